"""The report of real runs: what is kept, what a short one lacks, folds, several runs, and pictures that are gone."""

import json
import shlex
import shutil
from html import unescape

import keras
import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.inference import outputs
from tests.tiny import NAME, tiny
from topwork.errors import RunError, UsageError
from topwork.scoring.report import answers, heat
from topwork.scoring.report import report as reports
from topwork.scoring.report.report import report

CUT = f"{NAME}@pool"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("report") / "colours", each=30, side=96, first=120_000)


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "run"
    return tw.train(pictures, phases=[tw.Phase(CUT)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the run, to write to."""
    shutil.copytree(trained.path, tmp_path / "run")
    return tw.Run(tmp_path / "run")


def test_a_report_is_a_page_and_the_summary_behind_it(run, pictures):
    path = run.report()
    assert path == run.path / "report.html"
    found = json.loads((run.path / "report.json").read_text())
    assert found["scores"]["accuracy"] == run.results.accuracy.as_json()
    assert sum(cell["count"] for cell in found["confusion"]) == run.results.test.pictures
    assert found["curve"]["measured"] == len(run.data.part("val")) + len(run.data.part("test"))
    assert isinstance(found["findings"], list)
    assert found["command"] == f"topwork train {pictures} --recipe {run.path / 'recipe.toml'}"
    assert found["verdict"][0] in path.read_text()
    assert 1 <= len(found["proposals"]) <= 3
    assert path.stat().st_size < 3_000_000


def test_the_audit_and_the_curve_are_made_once_for_the_same_data(run, monkeypatch):
    first = run.report().read_bytes()
    monkeypatch.setattr(reports, "examined", lambda *_: pytest.fail("audited again"))
    monkeypatch.setattr(reports, "measured", lambda *_: pytest.fail("measured again"))
    assert run.report().read_bytes() == first
    (run.path / "audit.json").write_text("{")
    with pytest.raises(pytest.fail.Exception, match="audited again"):
        run.report()


def test_another_label_makes_another_audit(run):
    run.report()
    before = json.loads((run.path / "audit.json").read_text())["digest"]
    table = (run.path / "pictures.csv").read_text()
    (run.path / "pictures.csv").write_text(table.replace(",train,,", ",train,one,", 1))
    run.report()
    assert json.loads((run.path / "audit.json").read_text())["digest"] != before


def test_a_short_report_comes_with_training_if_asked_and_has_no_audit(pictures, tmp_path):
    run = tw.train(pictures, phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "run", report=True)
    found = json.loads((run.path / "report.json").read_text())
    assert found["findings"] is None
    assert found["curve"] is None
    assert found["proposals"][0]["command"].startswith("topwork audit ")
    text = (run.path / "report.html").read_text()
    assert text.count(f"There is no audit. topwork report {run.path} makes one.") == 2
    assert f"It was not measured. topwork report {run.path} measures it." in text
    assert found["lacking"]["heat"] == f"There are no heat maps yet: topwork report {run.path} makes them."


def test_python_writes_no_report_by_itself(trained):
    assert not (trained.path / "report.html").exists()


def test_pictures_that_are_gone_are_left_out_and_that_is_no_error(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(answers, "SURE", 1)  # so that some right answers are shown
    moved = tmp_path / "elsewhere"
    shutil.copytree(pictures, moved)
    away = tw.train(moved, phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "away", progress=False)
    shutil.rmtree(moved)
    path = away.report()
    assert "not shown" in path.read_text()
    assert "data:image/webp" not in path.read_text()
    told = json.loads((away.path / "report.json").read_text())
    why = "because the pictures are not where they were, or cannot be read."
    assert told["lacking"] == {"heat": f"There are no heat maps, {why}"}
    shutil.copytree(pictures, tmp_path / "new place")
    assert "data:image/webp" in away.report(data=tmp_path / "new place").read_text()


def test_folds_are_pooled(pictures, tmp_path):
    words = {"phases": [tw.Phase(CUT)], "backbones": [tiny()], "out": tmp_path / "folds", "progress": False}
    folds = tw.cross_validate(pictures, 3, **words)
    found = json.loads((folds.report().parent / "report.json").read_text())
    assert found["scores"]["pictures"] == 90
    assert found["folds"] == folds.results.folds
    assert found["pictures"]["red"] == {"tested": 30}
    assert "tested once, by one of 3 models" in found["verdict"][1]


def test_several_runs_are_compared(trained, run, tmp_path):
    path = report([trained, run.path], tmp_path / "both.html")
    told = json.loads((tmp_path / "both.json").read_text())
    assert [one["name"] for one in told["runs"]] == ["run", "run"]
    assert told["comparisons"][0]["p"] == 1.0
    assert [one["findings"] is None for one in told["runs"]] == [False, True], "only the first is shown at length"
    text = path.read_text()
    assert "Which is better?" in text
    for one in (trained, run):
        assert f"<td><bdi>{one.path}</bdi></td>" in text, "side by side; both have the same name"


def test_the_command_writes_a_page_and_refuses_wrong_use(run, tmp_path, monkeypatch):
    ran = topwork("report", run.path)
    assert (ran.status, ran.out) == (0, f"{run.path / 'report.html'}\n")
    assert topwork("report", run.path).status == 0, "its own page is written again"
    (tmp_path / "there.html").write_text("mine")
    assert topwork("report", run.path, "--out", tmp_path / "there.html").status == 2
    assert (tmp_path / "there.html").read_text() == "mine"
    assert topwork("report", tmp_path / "nowhere").status == 1
    with pytest.raises(UsageError, match=r"does not end in '\.html'"):
        report([run], tmp_path / "page.txt")
    (tmp_path / "file").touch()
    monkeypatch.setattr(reports, "compare", lambda *_: pytest.fail("computed before it is known where to write"))
    with pytest.raises(UsageError, match=r"page\.html' cannot be written: .*file.*: it is not a folder"):
        report([run, run], tmp_path / "file" / "page.html")
    (run.path / "audit.json").unlink()
    with pytest.raises(UsageError, match=r"'audit\.json' is a file of the run"):
        report([run], run.path / "audit.html")
    with pytest.raises(UsageError, match="one run at a time"):
        report([run, run], tmp_path / "two.html", data=tmp_path)
    (run.path / "results.json").unlink()
    with pytest.raises(RunError):
        run.report()


def test_a_page_that_cannot_be_written_does_not_fail_a_training(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.store.extract.Backbone", lambda *_: tiny())
    monkeypatch.setattr(reports, "_write", _full)
    run = tw.train(
        pictures, phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "run", report=True, progress=False
    )
    assert run.results.accuracy
    assert not (run.path / "report.html").exists()


def _full(*_):
    raise OSError(28, "No space left on device")


def test_the_average_of_a_heat_map_is_the_logit(trained):
    """The class activation map is exact: the mean over the places is the logit, beyond the mean of the classes."""
    folder, data = trained.folder, trained.folder.data()
    frozen, live = heat._frozen(folder, data), heat._in_keras(folder, data)
    assert frozen.how == live.how == heat.EXACT
    row = data.part("test")[0]
    pixels = heat._seen(data, row, {}, live.inputs)
    logits = np.log(outputs(trained.model(), pixels[0][None])[0])
    for number in range(3):
        values = frozen.values(pixels, number)
        assert values.size > 1
        assert values.mean() == pytest.approx(logits[number] - logits.mean(), abs=1e-3)
        np.testing.assert_allclose(values, live.values(pixels, number), atol=1e-3)
    maps, how = heat.maps(folder, data, {row.path: "blue"}, {})
    assert (maps[row.path].width, how) == (96, heat.EXACT)


@pytest.mark.parametrize(("head", "place"), [("mlp", "pool"), ("linear", "block_13_project")])
def test_trained_layers_have_exact_heat_maps_and_other_heads_have_them_by_occlusion(pictures, tmp_path, head, place):
    phases = [tw.Phase(f"{NAME}@{place}", epochs=1)]
    run = tw.train(pictures, phases=phases, head=head, backbones=[tiny()], out=tmp_path / "run", progress=False)
    shown = {row.path: row.label for row in run.data.part("test")[:2]}
    maps, how = heat.maps(run.folder, run.data, shown, {})
    assert maps.keys() == shown.keys()
    assert how == (heat.COVERED if head == "mlp" else heat.EXACT)
    page = run.report()
    found = json.loads((page.parent / "report.json").read_text())
    assert found["heat"] == (how if found["mistakes"] or found["unsure"] else "")
    assert found["heat"] in unescape(page.read_text())


def test_renamed_pictures_are_shown_under_their_new_names(run, pictures, tmp_path):
    shown = json.loads((run.report().parent / "report.json").read_text())["unsure"]
    new = tmp_path / "new"
    for file in sorted(pictures.rglob("*.png")):
        (new / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, new / file.parent.name / f"renamed {file.name}")
    page = run.report(data=new).read_text()
    again = json.loads((run.path / "report.json").read_text())["unsure"]
    assert [one["probability"] for one in again] == [one["probability"] for one in shown]
    assert all("renamed" in one["path"] for one in again)
    assert "not shown" not in page


def test_equal_pictures_keep_their_own_names(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "d")
    for file in sorted((tmp_path / "d" / "red").glob("*.png")):
        shutil.copy(file, file.with_name(f"same {file.name}"))
    run = tw.train(
        tmp_path / "d", phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "run", report=True, progress=False
    )
    run.report()
    cells = json.loads((run.path / "report.json").read_text())["confusion"]
    shown = [one["path"] for cell in cells for one in cell["answers"]]
    assert len(shown) == len(set(shown))
    assert set(shown) <= {row.path for row in run.data.part("test")}


def test_a_parent_that_is_gone_stops_no_report(pictures, tmp_path):
    words = {"backbones": [tiny()], "progress": False}
    parent = tw.train(pictures, phases=[tw.Phase(CUT)], out=tmp_path / "parent", **words)
    child = tw.train(pictures, parent=parent, out=tmp_path / "child", progress=False)
    shutil.rmtree(parent.path)
    child.report()
    assert json.loads((child.path / "report.json").read_text())["command"].endswith(f"--from {parent.path}")


def arrays(pictures, each=12):
    files = sorted(pictures.rglob("*.png"))
    some = [file for label in ("red", "green", "blue") for file in files if file.parent.name == label][:90]
    some = [file for number, file in enumerate(some) if number % 30 < each]
    return np.stack([np.asarray(Image.open(file)) for file in some]), np.array([file.parent.name for file in some])


def test_a_run_on_a_file_of_arrays_shows_its_pictures(pictures, tmp_path):
    X, y = arrays(pictures)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    rows = tw.read(tmp_path / "data.npz", split=(0.6, 0.1, 0.3))
    run = tw.train(rows, phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "run", progress=False)
    text = run.report().read_text()
    assert "data:image/webp" in text
    assert "not shown" not in text


def test_a_run_on_arrays_in_memory_shows_what_it_kept_of_them(pictures, tmp_path):
    given = arrays(pictures)
    rows = tw.read(given, split=(0.6, 0.1, 0.3))
    run = tw.train(rows, phases=[tw.Phase(CUT)], backbones=[tiny()], out=tmp_path / "run", report=True, progress=False)
    assert "data:image/webp" in (run.path / "report.html").read_text()
    found = json.loads((run.report().parent / "report.json").read_text())
    assert found["findings"] is not None, "the activations are in the store"
    assert "not shown" not in run.report(data=given).read_text()


def test_pictures_are_compared_where_the_trunks_end(pictures, tmp_path):
    """Activations at an early cut show colours and edges, and pictures of one colour would all be alike."""
    phases = [tw.Phase(f"{NAME}@block_1_project", epochs=1)]
    words = {"views": tw.Views(2, "live"), "backbones": [tiny()], "out": tmp_path / "run", "progress": False}
    run = tw.train(pictures, phases=phases, **words)
    run.report()
    assert json.loads((run.path / "audit.json").read_text())["cut"] == CUT
    assert json.loads((run.path / "curve.json").read_text())["cut"] == CUT


def test_copies_in_two_folds_are_leaks(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "d")
    for number, file in enumerate(sorted((tmp_path / "d" / "red").glob("*.png"))[:4]):
        with Image.open(file) as image:
            image.save(tmp_path / "d" / "red" / f"copy {number}.jpg", quality=92)
    rows = tw.read(tmp_path / "d", near_copies="ignore")
    words = {"phases": [tw.Phase(CUT)], "backbones": [tiny()], "out": tmp_path / "folds", "progress": False}
    folds = tw.cross_validate(rows, 3, **words)
    tested = {row.path: fold for fold in (1, 2, 3) for row in tw.Run(folds.path / f"fold-{fold}").data.part("test")}
    folds.report()
    found = json.loads((folds.path / "audit.json").read_text())["findings"]
    apart = [one for one in found if one["kind"] == "leak" and one["severity"] == "error"]
    assert apart
    for one in apart:
        assert len({tested[path] for path in one["paths"]}) > 1
        assert "in fold " in one["advice"]


def test_a_join_has_an_audit_of_all_its_trunks_and_the_command_that_repeats_it(trained, pictures, tmp_path):
    phases = [tw.Phase("tiny_48@pool")]
    other = tw.train(trained.data, phases=phases, backbones=[tiny(48)], out=tmp_path / "other", progress=False)
    joined = tw.join([trained, other], out=tmp_path / "joined", progress=False)
    found = json.loads((joined.report().parent / "report.json").read_text())
    assert json.loads((joined.path / "audit.json").read_text())["cut"] == f"{CUT} + tiny_48@pool"
    words = shlex.split(found["command"])
    assert words[:3] == ["topwork", "train", "--set"]
    assert words[3] == f"join.members={json.dumps([str(trained.path), str(other.path)])}"


def test_the_command_that_repeats_a_run_names_its_own_head_and_its_parent(trained, pictures, tmp_path):
    head = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
    words = {"backbones": [tiny()], "progress": False, "report": True}
    own = tw.train(pictures, phases=[tw.Phase(CUT, epochs=1)], head=head, out=tmp_path / "own", **words)
    child = tw.train(pictures, parent=trained.path, out=tmp_path / "child", progress=False, report=True)
    commands = [json.loads((run.path / "report.json").read_text())["command"] for run in (own, child)]
    assert commands[0].endswith(f"--head {own.path / 'head.keras'}")
    assert commands[1].endswith(f"--from {trained.path}")
