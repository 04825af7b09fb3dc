from pathlib import Path

from topwork.home import free, home, standing


def test_home_is_where_the_user_says(monkeypatch):
    monkeypatch.setenv("TOPWORK_HOME", "~/elsewhere")
    assert home() == Path.home() / "elsewhere"
    monkeypatch.delenv("TOPWORK_HOME")
    assert home().name == "topwork"
    assert home().is_absolute()


def test_what_stands(tmp_path):
    assert standing(tmp_path / "not" / "there") == tmp_path
    assert free(tmp_path / "not" / "there") == free(tmp_path) > 0
