"""The audit as a whole: planted faults are found, its table can be used, and poor data lose nothing."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageFilter

import topwork as tw
from tests.command import topwork
from tests.conftest import COLOURS, make_folder, picture
from tests.tiny import NAME, tiny
from topwork.data.readers import read
from topwork.errors import CutError, DatasetError, UsageError

CUT = f"{NAME}@pool"


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch):
    """Let a cut of the tiny network take its file."""
    monkeypatch.setattr("topwork.store.extract.Backbone", lambda *_: tiny())


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Return a folder with parts, and with one of each fault that bytes and pixels show."""
    folder = tmp_path_factory.mktemp("audit") / "d"
    make_folder(folder / "train", each=30, side=96, first=40_000)
    make_folder(folder / "test", each=8, side=96, first=50_000)
    with Image.open(folder / "train" / "red" / "000.png") as image:
        image.save(folder / "test" / "red" / "saved.jpg", quality=90)
    with Image.open(folder / "train" / "red" / "001.png") as image:
        image.save(folder / "train" / "blue" / "saved.jpg", quality=90)
    for label in ("green", "blue"):
        picture((120, 120, 120), 7, 96).save(folder / "train" / label / "torn.png")
    shutil.copy(folder / "train" / "green" / "003.png", folder / "train" / "green" / "equal.png")
    (folder / "train" / "green" / "broken.png").write_bytes(b"\x89PNG broken")
    picture(COLOURS["red"], 60_000, 96).filter(ImageFilter.GaussianBlur(8)).save(folder / "train" / "red" / "blur.png")
    (folder / "train" / "green" / "004.png").rename(folder / "train" / "red" / "wrong.png")
    return folder


@pytest.fixture(scope="module")
def found(faulty):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topwork.store.extract.Backbone", lambda *_: tiny())
        return tw.audit(faulty, CUT, progress=False)


def paths(found, kind):
    return [set(one.paths) for one in found.findings if one.kind == kind]


def test_each_planted_fault_is_found_as_what_it_is(found):
    assert {"train/red/000.png", "test/red/saved.jpg"} in paths(found, "leak")
    assert {"train/red/001.png", "train/blue/saved.jpg"} in paths(found, "contradiction")
    assert {"train/green/torn.png", "train/blue/torn.png"} in paths(found, "contradiction")
    assert paths(found, "equal") == [{"train/green/003.png", "train/green/equal.png"}]
    assert paths(found, "unreadable") == [{"train/green/broken.png"}]
    assert {"train/red/blur.png"} in paths(found, "blurred")
    suspects = [one for one in found.findings if one.kind == "label_suspect"]
    doubtful = {one.paths[0] for one in suspects}
    assert all(doubtful.isdisjoint(one.paths[1:]) for one in suspects), "a suspect is no evidence"
    (wrong,) = [one for one in suspects if one.paths[0] == "train/red/wrong.png"]
    assert (wrong.label, wrong.proposed) == ("red", "green")
    assert all("/green/" in path for path in wrong.paths[1:])


def test_errors_come_first_and_stop_a_script(found):
    assert [one.severity for one in found.findings] == sorted(one.severity for one in found.findings)
    with pytest.raises(DatasetError, match=r"^\d+ errors in the data.*saved\.jpg.*topwork\.audit\(data\)\.fixed"):
        found.raise_for_errors()


def test_the_numbers_of_the_json_object_are_those_of_the_findings(found):
    told = found.as_json()
    assert json.loads(json.dumps(told)) == json.loads(json.dumps(told))
    assert told["errors"] == len(found.errors) >= 3
    assert told["errors"] + told["remarks"] == len(told["findings"])
    assert told["pictures"] == len(found.fixed)


def test_nothing_is_lost_in_the_fixed_data(faulty, found):
    before = read(faulty, decode=True)
    assert [(row.path, row.label) for row in found.fixed.rows] == [(row.path, row.label) for row in before.rows]
    moved = [row for row, was in zip(found.fixed.rows, before.rows) if row.split != was.split]
    assert moved
    assert all(row.group and row.split in ("val", "test") for row in moved), "copies get into the last of their parts"
    assert found.fixed.left_out == before.left_out


def test_the_table_of_a_fix_can_be_data_and_has_no_leaks(faulty, tmp_path):
    ran = topwork("audit", faulty, "--cut", CUT, "--fix", tmp_path / "fixed.csv", "--json")
    assert ran.status == 1
    told = json.loads(ran.out)
    assert told["fix"] == str(tmp_path / "fixed.csv")
    fixed = tw.read(tmp_path / "fixed.csv")
    marked = {row.path.split("/d/")[1] for row in fixed.rows if "suspect" in row.extra}
    assert marked == {one["paths"][0] for one in told["findings"] if one["kind"] == "label_suspect"}
    again = tw.audit(tmp_path / "fixed.csv", CUT)
    assert {one.kind for one in again.findings if one.severity == "error"} == {"contradiction"}, (
        "leaks share a part now"
    )
    assert paths(again, "leak") == []
    assert not any("Moved" in note for note in fixed.notes)


@pytest.mark.parametrize("way", ["a row is removed", "a label is corrected"])
def test_a_contradiction_is_gone_after_the_table_was_corrected(faulty, tmp_path, way):
    table = tmp_path / "fixed.csv"
    topwork("audit", faulty, "--cut", CUT, "--fix", table)
    first = [one.paths for one in tw.audit(table, CUT).errors]
    header, *lines = table.read_text().splitlines()
    torn = {path for paths in first for path in paths}
    again = []
    for line in lines:
        path, digest, label, *rest = line.split(",")
        if path in torn and label != "red":
            if way == "a row is removed":
                continue
            line = ",".join([path, digest, "red", *rest])
        again.append(line)
    assert len(first) >= 1
    table.write_text("\n".join([header, *again]) + "\n")
    assert tw.audit(table, CUT).errors == ()


def test_the_printed_findings_fit_a_terminal(faulty):
    ran = topwork("audit", faulty, "--cut", CUT)
    assert ran.status == 1
    assert ran.out.splitlines()[0].startswith("118 pictures, tiny@pool: ")
    assert "train/red/wrong.png: 'red', or 'green'?" in ran.out
    assert max(len(line) for line in ran.out.splitlines() if not line.startswith("    ")) <= 80
    assert "\n\n\n" not in ran.out


def test_data_without_faults_have_no_errors(tmp_path):
    folder = make_folder(tmp_path / "d", each=30, side=96, first=80_000)
    ran = topwork("audit", folder, "--cut", CUT)
    assert ran.status == 0, ran.out
    assert "0 errors" in ran.out


def test_the_same_data_have_the_same_findings(faulty, found):
    assert tw.audit(faulty, CUT, progress=False) == found


@pytest.mark.parametrize("count", [1, 2])
def test_few_pictures_are_judged_by_what_can_be_judged(tmp_path, count):
    folder = make_folder(tmp_path / "d", each=count, first=90_000)
    result = tw.audit(tw.read(folder, split=(1, 0, 0)), CUT)
    assert result.findings == ()
    assert result.notes == ("Labels are not checked: fewer than two classes have 5 independent pictures.",)


def test_a_class_of_few_pictures_is_not_proposed(tmp_path):
    folder = make_folder(tmp_path / "d", each=12, first=91_000)
    for path in sorted((folder / "red").iterdir())[2:]:
        path.unlink()
    result = tw.audit(folder, CUT)
    assert "red" not in {one.proposed for one in result.findings}
    assert result.notes == ("Labels are not checked in classes of fewer than 5 independent pictures: red.",)


def test_arrays_and_pairs_of_pictures_are_looked_at(tmp_path):
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (40, 8, 8), np.uint8)
    pixels[20:] //= 4
    result = tw.audit((pixels, ["a", "b"] * 20), CUT)
    assert result.pictures == 40
    ran = topwork("audit", _npz(tmp_path / "d.npz", pixels), "--cut", CUT, "--fix", tmp_path / "fixed.csv")
    assert ran.status == 2
    assert "arrays, not files" in ran.err

    folder = make_folder(tmp_path / "d", each=10, first=92_000)
    names = [f"{label}/{i:03}.png" for label in COLOURS for i in range(10)]
    lines = [f"d/{name},d/{names[(i + 1) % 30]},{name.split('/')[0]}" for i, name in enumerate(names)]
    (tmp_path / "pairs.csv").write_text("\n".join(["front,side,label", *lines]))
    assert folder.is_dir()
    assert tw.audit(tmp_path / "pairs.csv", f"{CUT}[front] + {CUT}[side]").pictures == 30


def _npz(path, pixels):
    np.savez(path, X=pixels, y=np.array(["a", "b"] * 20))
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fix", "fixed.txt"), "does not end in '.csv' or '.tsv'"),
        (("--cut", "tiny@nowhere"), "nowhere"),
        (("--weights", "random"), "came without a cut"),
    ],
)
def test_wrong_use_is_said(faulty, words, message):
    ran = topwork("audit", faulty, *words)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err


def test_wrong_use_from_python(faulty):
    with pytest.raises(UsageError, match="came without a cut"):
        tw.audit(faulty, weights="random")
    with pytest.raises(CutError):
        tw.audit(faulty, "tiny@nowhere")


def test_a_full_disk_loses_no_finding(faulty, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "fixed.csv")

    monkeypatch.setattr("topwork.data.reading.listing.write_csv", full)
    ran = topwork("audit", faulty, "--cut", CUT, "--fix", tmp_path / "fixed.csv")
    assert (ran.status, "No space left on device" in ran.err) == (3, True)
    assert "train/red/wrong.png: 'red', or 'green'?" in ran.out
    assert not ran.out.endswith("fixed.csv\n")
    assert not (tmp_path / "fixed.csv").exists()
