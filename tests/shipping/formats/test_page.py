"""A page is a file of a run like any other: it answers, is checked, and is refused if it was changed."""

import shutil
from dataclasses import replace

import pytest

import topwork as tw
from tests.command import topwork
from tests.pages import fake_runtime
from tests.tiny import tiny
from topwork.errors import ExportError, MachineError
from topwork.shipping.formats import known
from topwork.shipping.page import contents
from topwork.shipping.page.runtime import kept


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "run"
    return tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=2)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture(scope="module")
def file(run):
    with fake_runtime():
        run.export(run.path.parent / "flowers.html", progress=False)
    return run.path.parent / "flowers.html"


def test_a_page_is_predicted_with_and_checked(run, file, pictures):
    path = next(pictures.glob("red/*.png"))
    answer = topwork("predict", file, path, "--json").json
    assert (answer["path"], answer["label"]) == (str(path), run.predict([path])[0].label)
    assert answer["known"] is not None
    assert topwork("check", file).out.startswith(f"{file}: page, float32, read by onnxruntime")
    about = tw.Predictor(file).about
    assert (about["kind"], about["parity"]["agreement"]) == ("page", 1.0)
    assert len(list(tw.Predictor(file).heat([path]))) == 1


def test_a_page_needs_nothing_beside_it(file, tmp_path):
    shutil.copy(file, tmp_path / "moved.html")
    assert tw.Predictor(tmp_path / "moved.html").labels == ("blue", "green", "red")


def changed(file, place, old, new):
    content = file.read_bytes()
    assert content.count(old) == 1
    path = place / "changed.html"
    path.write_bytes(content.replace(old, new))
    return path


def test_a_page_that_was_changed_is_refused(file, tmp_path):
    path = changed(file, tmp_path, b"answers are those of <code>", b"answers are like those of <code>")
    with pytest.raises(ExportError, match="was changed after it was written"):
        tw.Predictor(path)


def test_metadata_that_were_changed_are_refused(file, tmp_path):
    path = changed(file, tmp_path, b'["blue", "green", "red"]', b'["green", "blue", "red"]')
    with pytest.raises(ExportError, match=r"the metadata of .* were changed after the file was written"):
        tw.Predictor(path)


def test_another_page_is_refused(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("<!doctype html><title>A report</title>")
    with pytest.raises(ExportError) as error:
        tw.Predictor(path)
    assert str(error.value) == (
        f"onnxruntime cannot load '{path}' (it is a page without a model): expected a file that topwork exported."
    )


def test_a_page_that_is_cut_short_is_refused(file, tmp_path):
    path = tmp_path / "cut.html"
    path.write_bytes(file.read_bytes()[: file.read_bytes().find(contents.MODEL) + 1000])
    with pytest.raises(ExportError, match="cannot load"):
        tw.Predictor(path)


def test_without_the_runtime_nothing_is_computed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("topwork.shipping.export.restore", lambda _: pytest.fail("computed before it was refused"))
    with pytest.raises(MachineError, match="a page needs ONNX Runtime for browsers"):
        run.export(tmp_path / "page.html")
    ran = topwork("export", run.path, tmp_path / "page.html", "--runtime", tmp_path)
    assert (ran.status, f"--runtime '{tmp_path}' lacks ort.wasm.bundle.min.mjs" in ran.err) == (2, True)
    assert not (tmp_path / "page.html").exists()


@pytest.mark.full
def test_pages_are_among_all_files_only_if_their_runtime_was_fetched(run, tmp_path, monkeypatch):
    page = replace(known.PAGE, precisions=("float32",))  # so that the test is quick
    monkeypatch.setattr(known, "PAGE", page)
    monkeypatch.setattr(known, "FORMATS", (known.named("keras"), page))
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    assert kept() is None
    assert [one.kind for one in run.export_all(tmp_path / "without", progress=False)] == ["keras"]
    with fake_runtime():
        made = run.export_all(tmp_path / "all", progress=False)
    assert [(one.kind, one.problem) for one in made] == [("keras", ""), ("page", "")]


def test_a_model_of_several_pictures_per_row_has_no_page(pictures, tmp_path):
    paths = [sorted(pictures.glob(f"{name}/*.png")) for name in ("blue", "red")]
    rows = [f"{one},{other},{label}" for label, own in zip("ab", paths) for one, other in zip(own, own[::-1])]
    (tmp_path / "pairs.csv").write_text("\n".join(["front,side,label", *rows]) + "\n")
    run = tw.train(
        tmp_path / "pairs.csv",
        phases=[tw.Phase("tiny@pool[front] + tiny@pool[side]", epochs=1)],
        backbones=[tiny()],
        out=tmp_path / "run",
        progress=False,
    )
    with fake_runtime(), pytest.raises(ExportError) as error:
        run.export(tmp_path / "page.html", progress=False)
    assert str(error.value) == (
        "the model takes 2 pictures per row ('front' and 'side'), and a page takes one: export another format."
    )
    assert not (tmp_path / "page.html").exists()
