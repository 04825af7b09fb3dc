"""The page of a server, in a browser: it asks its own server alone, and for a token if the server wants one."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from tests.pages import chromium
from topwork.shipping.page.assembled import POLICY_SERVED, served

ACCURACY = {"value": 0.86, "low": 0.82, "high": 0.89}
LABELS = ["a", "<b>b</b>", "unknown"]


def png():
    file = BytesIO()
    Image.new("RGB", (8, 8), "orange").save(file, "PNG")
    return file.getvalue()


class Stub(BaseHTTPRequestHandler):
    """Answers like `topwork serve`, with two models; a picture called ``busy.png`` is told to come again, once."""

    asked: ClassVar[list[str]] = []
    is_busy = True

    def log_message(self, *_):
        pass

    def answer(self, status, found, kind="application/json", **headers):
        content = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def may(self):
        if self.headers.get("Authorization") == "Bearer secret":
            return True
        self.answer(401, {"error": "the token is missing or wrong"})
        return False

    def do_GET(self):
        if self.path == "/":
            return self.answer(200, served().encode(), "text/html", Content_Security_Policy=POLICY_SERVED)
        if self.may():
            one = {"model": "flowers", "labels": LABELS, "pictures": [], "accuracy": ACCURACY, "distance": {}}
            two = {"model": "pairs", "labels": ["x", "y"], "pictures": ["front", "side"], "accuracy": None}
            self.answer(200, [one, two])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.may():
            return
        Stub.asked.append(self.path)
        name = body.partition(b'filename="')[2].partition(b'"')[0].decode()
        if b'name="picture"' not in body or name == "bad.png":
            return self.answer(422, {"error": "not a picture"})
        if name == "busy.png" and Stub.is_busy:
            Stub.is_busy = False
            return self.answer(503, {"error": "too many"}, Retry_After="1")
        uri = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
        each = dict(zip(LABELS, [0.1, 0.7, 0.2]))
        found = {"path": name, "label": LABELS[1], "probability": 0.7, "probabilities": each}
        heat = [{"picture": None, "label": LABELS[1], "method": "occlusion", "image": uri}]
        self.answer(200, [{**found, "known": name != "far.png", "distance": 1.0, "heat": heat}])


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser, address):
    context = browser.new_context()
    found = context.new_page()
    found.addresses = []
    found.on("request", lambda request: found.addresses.append(request.url))
    found.goto(address)
    found.get_by_text("This server asks for a token").wait_for()
    yield found
    assert [one for one in found.addresses if not one.startswith((address, "blob:", "data:"))] == []
    context.close()


def give(tab, token):
    tab.fill("#token", token)
    tab.keyboard.press("Enter")


def ask(tab, tmp_path, *names):
    for name in names:
        (tmp_path / name).write_bytes(png())
    tab.set_input_files("#files", [tmp_path / name for name in names])
    tab.locator(f"#list > li:nth-child({len(names)}) .said h3").wait_for()


def test_the_token_is_asked_for_and_a_wrong_one_is_told(tab):
    give(tab, "wrong")
    tab.get_by_text("The token is wrong.").wait_for()
    give(tab, "secret")
    tab.get_by_text("Ready.", exact=True).wait_for()
    assert not tab.is_visible("#access")
    assert (
        tab.inner_text("#quality")
        == "It was right for 86 % of the test pictures (with many more of them, probably 82 % to 89 %)."
    )


def test_pictures_are_answered_by_the_server(tab, tmp_path):
    give(tab, "secret")
    tab.get_by_text("Ready.", exact=True).wait_for()
    ask(tab, tmp_path, "rose.png", "far.png", "bad.png")
    first, second, third = (tab.locator("#list > li").nth(n) for n in range(3))
    assert first.locator("h3").inner_text() == "<b>b</b>"
    assert first.locator(".map img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 8
    assert second.locator("h3").inner_text() == "Unknown"
    assert "Not a picture." in third.inner_text()
    query = parse_qs(urlsplit(Stub.asked[-1]).query)
    assert query == {"model": ["flowers"], "heat": ["1"]}
    tab.uncheck("#heat")
    tab.click("#clear")
    ask(tab, tmp_path, "rose.png")
    assert parse_qs(urlsplit(Stub.asked[-1]).query)["heat"] == ["0"]


def test_pictures_wait_until_the_token_is_given(tab, tmp_path):
    (tmp_path / "rose.png").write_bytes(png())
    tab.set_input_files("#files", tmp_path / "rose.png")
    assert tab.locator("#list").inner_text().endswith("Waiting…")
    give(tab, "secret")
    tab.locator("#list h3").wait_for()


def test_a_busy_server_is_asked_again(tab, tmp_path):
    give(tab, "secret")
    ask(tab, tmp_path, "busy.png")
    assert tab.locator("#list h3").inner_text() == "<b>b</b>"


def test_another_model_is_chosen_and_one_of_several_pictures_is_explained(tab):
    give(tab, "secret")
    tab.select_option("#model", "pairs")
    assert tab.inner_text("#status") == (
        "This model takes several pictures together (front, side), and the page only one."
    )
    assert tab.is_disabled("#choose")
    tab.select_option("#model", "flowers")
    assert tab.is_enabled("#choose")
