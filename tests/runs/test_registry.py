import os
from pathlib import Path

from topwork.runs.registry import forget, remember, runs


def test_runs_are_remembered_once_by_their_absolute_paths(own_home, tmp_path, monkeypatch):
    assert runs() == []
    monkeypatch.chdir(tmp_path)
    for path in ("runs/b", "runs/a", "./runs/../runs/b", tmp_path / "runs" / "a"):
        remember(Path(path))
    assert runs() == [tmp_path / "runs" / "a", tmp_path / "runs" / "b"]
    assert len(os.listdir(own_home / "runs")) == 2
    forget(Path("runs/b"))
    forget(Path("runs/b"))
    assert runs() == [tmp_path / "runs" / "a"]


def test_any_name_of_a_folder_is_kept(own_home, tmp_path):
    names = [tmp_path / "two\nlines", tmp_path / os.fsdecode(b"no utf-8 \xff"), tmp_path / " blank "]
    for path in names:
        remember(path)
    assert runs() == sorted(names)


def test_what_a_kill_left_is_no_run(own_home, tmp_path):
    remember(tmp_path / "a")
    (own_home / "runs" / ".half").write_text("/nowhere")
    assert runs() == [tmp_path / "a"]
