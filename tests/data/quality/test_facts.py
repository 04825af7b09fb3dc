"""Facts about pictures are computed once; if the file with the facts is damaged, this costs only time."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.conftest import picture
from topwork.data import picture_files, pictures
from topwork.data.quality import facts, saved
from topwork.data.quality.facts import Fact


@pytest.fixture
def files(tmp_path, own_home):
    """Map digests to paths, for three photos, a flat picture and a broken one."""
    found = {}
    for number in range(3):
        picture((90, 120, 60), number, 96).save(tmp_path / f"{number}.png")
    Image.new("RGB", (60, 40), (9, 9, 9)).save(tmp_path / "flat.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
    for path in tmp_path.glob("*.png"):
        found[picture_files.digest(path)] = path
    return found


@pytest.fixture
def looks(monkeypatch):
    """Record each picture that is decoded from now on."""
    seen = []
    glance = pictures.glance
    monkeypatch.setattr(pictures, "glance", lambda *about: seen.append(about) or glance(*about))
    return seen


def test_a_fact_says_what_the_picture_is(files):
    known = {path.name: facts.known(files)[digest] for digest, path in files.items()}
    assert known["broken.png"] == "a PNG file that is cut short"
    assert (known["0.png"].width, known["0.png"].height, known["0.png"].is_plain) == (96, 96, False)
    assert known["0.png"].mark != known["1.png"].mark
    flat = known["flat.png"]
    assert (flat.width, flat.height, flat.is_plain, flat.coarse) == (60, 40, True, bytes([9]) * 64)


def test_a_picture_is_looked_at_once(files, looks):
    first = facts.known(files)
    assert len(looks) == 5
    assert facts.known(files) == first
    assert len(looks) == 6, "of what is broken nothing is kept"


def test_sides_are_those_of_the_upright_picture(tmp_path, own_home):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture((90, 120, 60), 0, 96).crop((0, 0, 96, 60)).save(tmp_path / "turned.jpg", exif=exif)
    fact = facts.known({"00": tmp_path / "turned.jpg"})["00"]
    assert (fact.width, fact.height) == (60, 96)


def test_arrays_have_facts_as_files_do(own_home, tmp_path):
    shown = picture((90, 120, 60), 0, 96)
    shown.save(tmp_path / "x.png")
    known = facts.known({"a": np.array(shown), "b": tmp_path / "x.png"})
    assert known["a"] == known["b"]
    found = facts.miniatures({"a": np.array(shown), "b": tmp_path / "x.png"})
    assert found["a"].shape == (64 * 64 + 2 * 64,)
    assert np.array_equal(found["a"], found["b"])


def test_what_is_nowhere_now_is_known_only_from_before(files):
    before = facts.known(files)
    sound = {digest: fact for digest, fact in before.items() if isinstance(fact, Fact)}
    assert facts.known(dict.fromkeys([*files, "new"])) == sound


@pytest.mark.parametrize("harm", ["text", "half", "zeros", "bits", "other tables", "journal"])
def test_a_damaged_file_costs_time_alone(files, own_home, harm):
    first = facts.known(files)
    facts.miniatures(files)
    path = own_home / "facts.sqlite"
    data = path.read_bytes()
    if harm == "text":
        path.write_text("no database" * 1000)
    elif harm == "half":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "zeros":
        path.write_bytes(data[:100] + bytes(len(data) - 100))
    elif harm == "bits":
        draw = np.random.default_rng(0)
        bits = np.frombuffer(data, np.uint8).copy()
        bits[draw.integers(100, len(bits), 400)] ^= 16
        path.write_bytes(bits.tobytes())
    elif harm == "other tables":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE facts (other TEXT)")
    else:
        (own_home / "facts.sqlite-journal").write_bytes(data[:3000])
    for _ in range(3):
        assert facts.known(files) == first
        assert facts.miniatures(files).keys() == {d for d, fact in first.items() if isinstance(fact, Fact)}


@pytest.mark.parametrize("kind", ["a file", "a folder without rights", "full"])
def test_a_home_that_cannot_be_written_stops_nothing(files, tmp_path, monkeypatch, kind):
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("TOPWORK_HOME", str(home))
    if kind == "a file":
        home.write_text("")
    elif kind == "full":
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda path: _full(connect(path)))
    else:
        monkeypatch.setattr(Path, "mkdir", _denied)
    assert len(facts.known(files)) == 5
    assert len(facts.miniatures(files)) == 4


def _full(db):
    db.execute("PRAGMA max_page_count = 2")
    return db


def _denied(*_, **__):
    raise PermissionError(13, "Permission denied")


WRITER = """
import sys
from pathlib import Path
from topwork.data.quality import saved
number = 0
print("ready", flush=True)
while True:
    saved.put("facts", {f"{sys.argv[1]}-{number}-{i}": bytes(105) for i in range(200)})
    number += 1
"""


def test_several_writers_that_are_killed_leave_a_sound_file(files, own_home):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, name], stdout=subprocess.PIPE, text=True) for name in "abc"
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        first = facts.known(files)
        wanted = {f"{name}-0-0": None for name in "abc"}
        give_up = time.monotonic() + 60
        while len(saved.get("facts", wanted)) < 3 and time.monotonic() < give_up:
            time.sleep(0.05)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    assert len(saved.get("facts", wanted)) == 3
    assert facts.known(files) == first
    with sqlite3.connect(own_home / "facts.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM facts WHERE key LIKE '1 a-%'").fetchone()[0] % 200 == 0


def test_broken_pictures_are_left_out_the_second_time_too(tmp_path, own_home):
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(4):
            picture((90, 120, 60), number + 10 * (label == "b"), 48).save(tmp_path / "data" / label / f"{number}.png")
    broken = tmp_path / "data" / "a" / "broken.png"
    broken.write_bytes((tmp_path / "data" / "a" / "0.png").read_bytes()[:200])
    for _ in range(2):
        assert [out.path for out in tw.read(tmp_path / "data", decode=True).left_out] == ["a/broken.png"]
        assert tw.read(tmp_path / "data").left_out == ()
