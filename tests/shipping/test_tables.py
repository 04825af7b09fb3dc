"""Tables of answers: CSV and Parquet have the same rows."""

import csv
import sys
from pathlib import Path

import pytest

from topwork.errors import MissingExtra
from topwork.shipping import tables
from topwork.shipping.answers import Guess
from topwork.shipping.tables import CsvTable, ParquetTable, columns

LABELS = ("cat", "path", "dog")
START = ["path", "label", "probability", "known", "distance"]
GUESSES = [
    Guess("a.png", "cat", 0.5, {"cat": 0.5, "path": 0.25, "dog": 0.25}, known=True, distance=0.1),
    Guess("b.png", "", 0.0, {}, "the file is empty"),
    Guess("c\udcff.png", "dog", 0.75, {"cat": 0.125, "path": 0.125, "dog": 0.75}, known=False, distance=9.0),
]


def written(kind, path, top):
    with kind(path, LABELS, top) as table:
        for guess in GUESSES:
            table.add(guess)


def test_columns():
    assert columns(LABELS, None) == [*START, "cat", "class path", "dog", "error"]
    assert columns(LABELS, 1) == [*START, "error"]
    assert columns(LABELS, 2) == [*START, "label_2", "probability_2", "error"]
    assert columns(LABELS, 9) == [*columns(LABELS, 3)]


@pytest.mark.parametrize("top", [None, 1, 2, 9])
@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_both_kinds_have_the_same_rows(tmp_path, monkeypatch, top, chunk):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(tables, "CHUNK", chunk)
    written(CsvTable, tmp_path / "a.csv", top)
    written(ParquetTable, tmp_path / "a.parquet", top)
    with (tmp_path / "a.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        ours = list(csv.DictReader(file))
    theirs = pandas.read_parquet(tmp_path / "a.parquet").astype(object)
    assert list(ours[0]) == list(theirs.columns) == columns(LABELS, top)
    assert [row["path"] for row in ours] == ["a.png", "b.png", "c\udcff.png"]
    assert list(theirs["path"]) == ["a.png", "b.png", "c?.png"]
    for name in columns(LABELS, top)[1:]:
        for here, there in zip(ours, theirs[name]):
            expected = "" if pandas.isna(there) else str(there).lower() if isinstance(there, bool) else str(there)
            assert here[name] == expected


def test_a_table_without_rows_can_be_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    with ParquetTable(tmp_path / "a.parquet", LABELS, None):
        pass
    assert list(pandas.read_parquet(tmp_path / "a.parquet").columns) == columns(LABELS, None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("kind", [CsvTable, ParquetTable])
def test_a_full_disk_is_told_with_the_file(kind):
    with pytest.raises(OSError, match="No space left") as error:
        written(kind, Path("/dev/full"), None)
    assert error.value.filename == "/dev/full"


def test_without_pyarrow_a_parquet_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra) as error:
        ParquetTable(tmp_path / "a.parquet", LABELS, None)
    assert str(error.value) == (
        'writing a Parquet file needs pyarrow. Install it with: pip install "topwork[parquet]".'
    )
    assert not (tmp_path / "a.parquet").exists()
