"""What reading knows of the pictures is named in two lines at most."""

from tests.command import topwork
from tests.conftest import make_folder, picture
from topwork.data.quality import glance
from topwork.data.quality.findings import Finding
from topwork.data.readers import read


def folder_with_a_dark_picture(path):
    make_folder(path, each=10, side=96, first=700)
    picture((40, 180, 60), 1, 96).point(lambda value: value // 40).save(path / "red" / "dark.png")
    return path


def test_reading_names_strange_pictures_and_points_at_the_audit(tmp_path, own_home):
    folder = folder_with_a_dark_picture(tmp_path / "d")
    ran = topwork("read", folder)
    assert ran.out.endswith(f"\nMuch darker than the others: red/dark.png\nAll findings: topwork audit {folder}\n"), (
        ran.out
    )
    lines = glance.lines(read(folder))
    assert lines == ["Much darker than the others: red/dark.png", "All findings: topwork.audit(data)"]


def test_two_kinds_are_named_at_most_and_none_if_nothing_is_found(tmp_path, own_home):
    data = read(folder_with_a_dark_picture(tmp_path / "d"))
    further = [Finding.of("leak", 1, ["a.png", "b.png"], ""), Finding.of("outlier", 1, ["c.png"], "")]
    assert len(glance.lines(data, further)) == 3
    assert glance.lines(read(make_folder(tmp_path / "usual", each=10, side=96, first=900))) == []


def test_without_saved_facts_no_picture_is_opened(tmp_path, own_home, monkeypatch):
    data = read(folder_with_a_dark_picture(tmp_path / "d"), near_copies="ignore")
    monkeypatch.setattr("topwork.data.pictures.glance", None)
    assert glance.lines(data) == []
