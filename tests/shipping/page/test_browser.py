"""A page from ``file://`` in a browser answers as ``topwork predict`` does, and can be used in every way."""

import base64
import csv
from contextlib import contextmanager
from io import BytesIO

import keras
import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.conftest import make_folder
from tests.exports import write_as
from tests.pages import assert_same, chromium, page_of_flowers, pictures_in, real_runtime, runtime_folder, some_flowers
from tests.tiny import tiny
from topwork.data.pictures import Fit
from topwork.shipping.metadata import Input
from topwork.shipping.tables import columns

MARKUP = "<img src=x onerror=alert(1)>"
CLASSES = {"blue": "unknown", "green": MARKUP, "red": "a/b"}
"""Names of classes that a page could take for something else."""


@pytest.fixture(scope="module")
def runtime():
    """Keep the real runtime while these tests run, as an export does."""
    with real_runtime():
        yield


@pytest.fixture(scope="module")
def browser(runtime):
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as found:
        yield found


@pytest.fixture(scope="module")
def file(runtime, tmp_path_factory):
    """Return a page whose classes have odd names."""
    folder = make_folder(tmp_path_factory.mktemp("page") / "colours")
    rows = [f'{path},"{CLASSES[path.parent.name]}"' for path in sorted(folder.glob("*/*.png"))]
    table = folder / "rows.csv"
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    run = tw.train(
        table, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=folder / "run", progress=False
    )
    path = folder / "my colours.html"
    run.export(path, runtime=runtime_folder(), progress=False)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return pictures_in(tmp_path_factory.mktemp("photos"))


class Opened:
    """A page in a browser, and what it wrote to the console or asked for."""

    def __init__(self, tab, address):
        self.tab, self.complaints, self.asked, self.choosers = tab, [], [], []
        # from the start, because Playwright's `expect_file_chooser` came too late at times
        tab.on("filechooser", lambda chooser: self.choosers.append(chooser))
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(address)

    @property
    def status(self):
        return self.tab.inner_text("#status")

    def ready(self):
        self.tab.get_by_text("Ready.", exact=True).wait_for()
        return self

    def answers(self, count):
        """Return the answers, once there are so many."""
        self.tab.locator(f"#list > li:nth-child({count}) .said h3").wait_for()
        self.tab.get_by_text("Waiting…").wait_for(state="detached")
        return self.tab.evaluate("asked")

    def ask(self, *pictures):
        before = self.tab.locator("#list > li").count()
        self.tab.set_input_files("#files", pictures)
        return self.answers(before + len(pictures))[-len(pictures) :]


@contextmanager
def opened(browser, path, **how):
    context = browser.new_context(accept_downloads=True, **how)
    try:
        yield Opened(context.new_page(), path if isinstance(path, str) else path.as_uri())
    finally:
        context.close()


@pytest.fixture(scope="module")
def shared_page(browser, file):
    with opened(browser, file) as found:
        yield found.ready()


@pytest.fixture
def page(shared_page):
    """Return a page without answers, which must not complain or ask for anything elsewhere."""
    if shared_page.tab.locator("#clear").is_visible():
        shared_page.tab.click("#clear")
    yield shared_page
    assert shared_page.complaints == []
    assert [address for address in shared_page.asked if not address.startswith(("file:", "blob:", "data:"))] == []


def test_the_answers_are_those_of_predict(page, file, photos):
    found = page.ask(*photos)
    assert_same(found, file, photos)
    assert page.status.startswith("Answers for 4 of 4 pictures, ")
    assert page.tab.inner_text("#name") == "my colours"


def test_names_of_classes_are_text(page, photos):
    page.ask(photos[0])
    assert page.tab.locator("img[src=x]").count() == 0
    words = page.tab.inner_text("#list")
    assert all(label in words for label in CLASSES.values())
    assert f"Which of 3 classes is in your picture: {MARKUP}, a/b or unknown?" in page.tab.inner_text("#question")


def test_a_picture_unlike_the_others_is_unknown_and_a_class_of_that_name_is_not(page, photos, file):
    (far,) = page.ask(photos[3])
    assert far["known"] is False
    title = page.tab.locator("#list h3").first
    assert (title.inner_text(), title.get_attribute("class")) == ("Unknown", "warning")
    assert "unlike the pictures that the model learned from. The nearest class is" in page.tab.inner_text("#list")
    assert page.status.startswith("white.png: unknown; the nearest class is ")
    blue = next((file.parent / "blue").glob("*.png"))
    (near,) = page.ask(blue)
    assert (near["label"], near["known"]) == ("unknown", True)
    assert page.tab.locator("#list h3").first.inner_text() == "unknown"


READ = """async (image) => {
  await image.decode();
  const size = { width: image.naturalWidth, height: image.naturalHeight };
  const canvas = Object.assign(document.createElement("canvas"), size);
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""


def test_the_heat_map_is_that_of_predict(page, photos, file):
    page.ask(photos[1])
    found = Image.open(BytesIO(base64.b64decode(page.tab.locator(".map img").evaluate(READ)))).convert("RGB")
    (heat,) = tw.Predictor(file).heat([str(photos[1])])
    expected = heat.image()
    assert found.size == expected.size == (448, 224)
    colour = np.asarray(expected, float)[..., 0] - np.asarray(expected, float)[..., 2]
    assert np.ptp(colour) > 50, "no place speaks more for the answer than others"
    assert np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean() < 5
    page.tab.uncheck("#heat")
    assert not page.tab.locator(".map").is_visible()
    page.tab.check("#heat")
    assert page.tab.locator(".map").is_visible()


def test_what_is_no_picture_is_told(page, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    (tmp_path / "page.txt").write_text("no picture")
    (tmp_path / "scan.tif").write_bytes(b"II*\0" + b"\0" * 20)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    names = ["empty.jpg", "cut.jpg", "page.txt", "scan.tif", "dot.png"]
    found = page.ask(*(tmp_path / name for name in names))
    assert [one["error"] for one in found] == [
        "the file is empty",
        "the picture is damaged, or cut short",
        "not a picture that this browser can read",
        "this browser cannot read TIFF: convert it to JPEG or PNG",
        "a single pixel",
    ]
    assert page.status == "Answers for 0 of 5 pictures."
    assert "No answer\n\nThe file is empty." in page.tab.locator("#list > li").first.inner_text()


def test_the_csv_is_that_of_predict(page, file, photos, tmp_path):
    (tmp_path / 'a "b", c.png').write_bytes(photos[1].read_bytes())
    (tmp_path / "empty.png").write_bytes(b"")
    found = page.ask(tmp_path / 'a "b", c.png', tmp_path / "empty.png")
    with page.tab.expect_download() as download:
        page.tab.click("#save")
    assert download.value.suggested_filename == "my colours-answers.csv"
    with open(download.value.path(), newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    labels = tw.Predictor(file).labels
    assert list(rows[0]) == columns(labels, None)
    assert (rows[0]["path"], rows[0]["label"]) == ('a "b", c.png', found[0]["label"])
    assert rows[0]["known"] == str(found[0]["known"]).lower()
    assert float(rows[0][MARKUP]) == found[0]["probabilities"][MARKUP]
    assert (rows[1]["label"], rows[1]["known"], rows[1]["error"]) == ("", "", "the file is empty")


def test_classes_with_the_names_of_other_columns(page):
    labels = ["path", "class path", "distance"]
    head = page.tab.evaluate(
        "(labels) => { const before = model; model = { ...model, labels }; const found = csv(); model = before; "
        "return found; }",
        labels,
    )
    assert head == ",".join(columns(labels, None)) + "\r\n"


def test_the_list_is_cleared_while_pictures_are_waiting(page, photos):
    page.tab.set_input_files("#files", photos)
    page.tab.click("#clear")
    while page.tab.evaluate("waiting"):
        page.tab.wait_for_timeout(20)
    assert page.tab.evaluate("asked") == []
    page.ask(photos[2])
    assert page.tab.evaluate("asked.length") == 1
    assert page.status.startswith("turned.jpg: ")


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(page, photos, way):
    content = base64.b64encode(photos[1].read_bytes()).decode()
    page.tab.evaluate(
        """([way, content]) => {
          const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "image.png", { type: "image/png" }));
          const how = { bubbles: true, cancelable: true };
          const event = way === "paste"
            ? new ClipboardEvent("paste", { ...how, clipboardData: data })
            : new DragEvent("drop", { ...how, dataTransfer: data });
          document.getElementById("add").dispatchEvent(event);
        }""",
        [way, content],
    )
    (found,) = page.answers(1)
    assert not found.get("error")
    assert found["path"].startswith("pasted " if way == "paste" else "image.png")


def test_a_photo_is_taken(page):
    page.tab.click("#photograph")
    page.tab.wait_for_timeout(300)
    while not page.tab.locator("#video").evaluate("(video) => video.videoWidth"):
        page.tab.wait_for_timeout(50)
    page.tab.click("#shoot")
    (found,) = page.answers(1)
    assert found["path"].startswith("photo ")
    assert not found.get("error")
    assert page.tab.locator("#video").evaluate("(video) => video.srcObject.active") is False


def test_the_keyboard_reaches_everything(page, photos):
    page.ask(photos[0])
    page.tab.focus("#choose")
    reached = []
    for _ in range(5):
        page.tab.keyboard.press("Tab")
        reached.append(page.tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["photograph", "heat", "save", "clear", "SUMMARY"]
    page.tab.focus("#choose")
    page.tab.keyboard.press("Enter")
    while not page.choosers:
        page.tab.wait_for_timeout(20)
    assert page.choosers[0].is_multiple()


def test_screen_readers_are_told_names_and_results(page, photos):
    page.ask(photos[2])
    for role, name in [("button", "Choose pictures"), ("button", "Save as CSV"), ("checkbox", "Heat maps")]:
        assert page.tab.get_by_role(role, name=name).is_visible()
    assert page.tab.get_by_role("status").inner_text().startswith("turned.jpg: ")
    assert page.tab.get_by_role("img", name="Heat map of turned.jpg").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction(browser, file, photos, scheme):
    how = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "color_scheme": scheme}
    with opened(browser, file, **how) as page:
        page.ready().ask(*photos)
        page.tab.locator("#know > summary").click()
        assert page.tab.evaluate("document.documentElement.scrollWidth") == 360
        light = page.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert light == (scheme == "light")
        assert page.complaints == []


def test_an_old_browser_is_told_what_it_lacks(browser, file, photos):
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    page = Opened(context.new_page(), file.as_uri())
    page.tab.get_by_text("The page cannot start").wait_for()
    assert page.status.startswith("The page cannot start: this browser lacks DecompressionStream, which the page needs")
    page.tab.set_input_files("#files", photos[0])
    page.tab.get_by_text("The page did not start.").wait_for()
    context.close()


def test_a_model_with_two_sizes_and_the_probabilities_alone(browser, runtime, photos, tmp_path):
    """Nothing is called unknown then, and there are no heat maps."""
    keras.utils.set_random_seed(0)
    fits = [Fit((32, 32)), Fit((20, 28), "crop")]
    starts = [keras.Input((*fit.size, 3), dtype="uint8", name=f"pixels_{n}") for n, fit in enumerate(fits, 1)]
    ends = [keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(start)) for start in starts]
    end = keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()(ends))
    entries = [Input(f"pixels_{n}", None, fit).as_json() for n, fit in enumerate(fits, 1)]
    about = {"format": 2, "kind": "page", "precision": "float32", "labels": ["a", "b", "c"], "inputs": entries}
    path = tmp_path / "two.html"
    write_as("page", keras.Model(starts, end), path, about)
    with opened(browser, path) as page:
        assert_same(page.ready().ask(*photos), path, photos)
        assert page.tab.evaluate("asked[0].known") is None
        assert page.tab.locator("#heat-switch, #about-heat, #about-unknown, .map").filter(visible=True).count() == 0
        assert page.complaints == []


@pytest.mark.full
@pytest.mark.parametrize(("name", "megabytes"), [("mobilenet_v2_035", 10), ("efficientnet_lite0", 28)])
def test_on_real_photos_the_page_answers_as_predict_does(
    browser, runtime, real, tmp_path, monkeypatch, name, megabytes
):
    path = page_of_flowers(name, real, tmp_path, monkeypatch)
    assert path.stat().st_size <= megabytes * 1e6
    with opened(browser, path) as page:
        assert_same(page.ready().ask(*some_flowers(real)), path, some_flowers(real))
        assert page.complaints == []
