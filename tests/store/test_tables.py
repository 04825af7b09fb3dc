"""Damage, growth, full disks: the tables report every problem in a clear message."""

import errno
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests import PROJECT
from topwork.errors import StoreError
from topwork.store.tables import Tables
from topwork.system.files import free

AGAIN = "Remove the folder: only its activations are computed again."
ROWS = {sha256(b"%d" % n).digest(): np.random.default_rng(n).bytes(20_000) for n in range(100)}


def append(tables: Tables, rows: dict[bytes, bytes]) -> None:
    def work(txn) -> None:
        for key, row in rows.items():
            tables.append(txn, key, row)

    tables.run(work, write=True)


def read(tables: Tables, keys: list[bytes]) -> list[bytes]:
    found = tables.run(lambda txn: {slot: bytes(row) for slot, row in tables.rows(txn, keys, 20_000)})
    return [found[slot] for slot in range(len(keys))]


def fill(tables: Tables) -> int:
    """Append all rows, five at a time; return how many were stored when the disk was full."""
    names = list(ROWS)
    for start in range(0, 100, 5):
        try:
            append(tables, {name: ROWS[name] for name in names[start : start + 5]})
        except StoreError as error:
            print(error)
            return start
    return 100


@pytest.fixture
def filled(tmp_path) -> Path:
    tables = Tables(tmp_path / "filled")
    assert fill(tables) == 100
    tables.close()
    return tables.folder


# Growth


def test_the_map_grows(tmp_path):
    tables = Tables(tmp_path, map_bytes=1)
    append(tables, ROWS)
    assert tables._env.info()["map_size"] > 2_000_000
    assert read(tables, list(ROWS)) == list(ROWS.values())


def test_a_map_that_another_process_made_grow_is_followed(tmp_path):
    tables = Tables(tmp_path)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from tests.store.test_tables import *; "
    code += "fill(Tables(Path(sys.argv[2])))"
    subprocess.run([sys.executable, "-c", code, str(PROJECT), str(tmp_path)], check=True)
    assert tables._env.info()["map_size"] < 2_000_000
    assert read(tables, list(ROWS)) == list(ROWS.values())


def test_nothing_is_kept_of_work_that_raises(tmp_path):
    tables = Tables(tmp_path)

    def work(txn) -> None:
        tables.append(txn, b"k" * 32, b"row")
        raise KeyError

    with pytest.raises(KeyError):
        tables.run(work, write=True)
    assert tables.run(tables.count) == 0


# Damage


def test_garbage_is_no_store(tmp_path):
    (tmp_path / "data.mdb").write_bytes(np.random.default_rng(0).bytes(100_000))
    with pytest.raises(StoreError) as e:
        Tables(tmp_path)
    assert str(e.value) == (
        f"the store {tmp_path} is damaged: {tmp_path}: MDB_INVALID: File is not an LMDB file. {AGAIN}"
    )


SURVIVES = """
import sys; sys.path.insert(0, sys.argv[1]); from tests.store.test_tables import *
for folder in sys.argv[2:]:
    try:
        tables = Tables(Path(folder))
        known = list(tables.run(lambda txn: tables.stored(txn, ROWS)))
        assert read(tables, known) == [ROWS[name] for name in known]
        append(tables, {b"n" * 32: bytes(20_000)})
        print("right", flush=True)
    except StoreError as error:
        assert str(error).startswith(f"the store {folder} is damaged: ") and str(error).endswith(AGAIN), error
        print("damaged", flush=True)
"""


def outcomes(folders: list[Path]) -> list[str]:
    """Return what a process finds in each folder: "right" or "damaged"; if the process crashes, the test fails."""
    command = [sys.executable, "-c", SURVIVES, str(PROJECT), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def copies(filled: Path, count: int) -> list[Path]:
    return [Path(shutil.copytree(filled, filled.with_name(f"copy-{n}"))) for n in range(count)]


def test_a_file_cut_short_gives_an_error_and_no_crash(filled):
    whole = (filled / "data.mdb").stat().st_size
    lengths = [100, 4096, 5000, 8192, 100_000, whole // 2, whole - 50_000, whole - 4096]
    folders = copies(filled, len(lengths))
    for folder, length in zip(folders, lengths):
        os.truncate(folder / "data.mdb", length)
    assert outcomes([filled, *folders]) == ["right"] + ["damaged"] * len(lengths)


def test_garbage_in_pages_never_gives_wrong_rows(filled):
    chance = np.random.default_rng(0)
    folders = copies(filled, 30)
    for folder in folders:
        with (folder / "data.mdb").open("r+b") as file:
            file.seek(4096 * int(chance.integers(2, 400)))
            file.write(chance.bytes(4096))
    assert outcomes(folders).count("damaged") > 20


def test_a_damaged_text_is_seen(tmp_path):
    tables = Tables(tmp_path)
    tables.run(lambda txn: tables.put(txn, "header", "a text that is long enough"), write=True)
    tables.close()
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(data.replace(b"long enough", b"long onough"))
    tables = Tables(tmp_path)
    with pytest.raises(StoreError) as e:
        tables.run(lambda txn: tables.get(txn, "header"))
    assert str(e.value) == f"the store {tmp_path} is damaged: its header does not match its checksum. {AGAIN}"


@pytest.mark.parametrize(
    ("table", "detail"), [("rows", "1 rows are missing"), ("keys", "its table of keys cannot be read")]
)
def test_tables_that_disagree_are_seen(tmp_path, table, detail):
    tables = Tables(tmp_path)
    append(tables, ROWS)
    first = next(iter(ROWS))
    handle = tables._handles[table]
    tables.run(
        lambda txn: txn.delete(bytes(8), db=handle) if table == "rows" else txn.put(first, b"short", db=handle),
        write=True,
    )
    with pytest.raises(StoreError) as e:
        read(tables, list(ROWS))
    assert str(e.value) == f"the store {tmp_path} is damaged: {detail}. {AGAIN}"


def test_numbers_out_of_sequence_are_seen(tmp_path):
    tables = Tables(tmp_path)
    append(tables, ROWS)
    tables.run(lambda txn: txn.delete(bytes(8), db=tables._handles["rows"]), write=True)
    with pytest.raises(StoreError) as e:
        append(tables, {b"n" * 32: b"row"})
    assert str(e.value) == f"the store {tmp_path} is damaged: its rows are not numbered in sequence. {AGAIN}"


# A disk that is full or cannot be written to

FULL = re.compile(
    r"cannot write to the store (?P<folder>.*): (?P<reason>.*), [0-9.]+ [KMGT]?B free. "
    r"The (?P<rows>\d+) rows stored before are safe. "
    r"Free some space, or set TOPWORK_HOME to a folder on a larger disk; the next run continues from there."
)


def check_full(folder: Path, stored: int, message: str) -> None:
    """Check that the message counts the rows that are safe, and that the store holds exactly these."""
    said = FULL.fullmatch(message)
    assert said, message
    assert said["folder"] == str(folder)
    assert said["reason"] in {os.strerror(code) for code in (errno.ENOSPC, errno.EFBIG, errno.EIO)}
    assert 0 < stored == int(said["rows"]) < 100
    tables = Tables(folder)
    assert tables.run(tables.count) == stored
    assert read(tables, list(ROWS)[:stored]) == list(ROWS.values())[:stored]
    tables.close()


LIMITED = """
import sys; sys.path.insert(0, sys.argv[1]); from tests.store.test_tables import *
import resource
tables = Tables(Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_234_567, 1_234_567))
print(fill(tables))
"""


def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(PROJECT), str(tmp_path)]
    message, stored = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    check_full(tmp_path, int(stored), message)
    tables = Tables(tmp_path)
    append(tables, ROWS)
    assert read(tables, list(ROWS)) == list(ROWS.values())


@pytest.fixture
def tiny_disk(tmp_path):
    """Mount a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk to fill")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(tiny_disk, capsys):
    tables = Tables(tiny_disk / "cut")
    stored = fill(tables)
    assert tables.run(tables.count) == stored
    tables.close()
    check_full(tiny_disk / "cut", stored, capsys.readouterr().out.rstrip())


def test_a_folder_that_may_not_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as e:
        Tables(tmp_path / "file" / "cut")
    assert str(e.value) == (
        f"cannot use the store {tmp_path}/file/cut: Not a directory. "
        "It must be a folder on a local disk that you may write to; set TOPWORK_HOME to such a place."
    )


@pytest.fixture
def nobody():
    """Run the test as a user other than root, whoever runs the tests."""
    if os.geteuid():
        yield
    else:
        os.seteuid(65534)
        yield
        os.seteuid(0)


def test_a_store_that_may_not_be_written(filled, request):
    (filled / "data.mdb").chmod(0o400)
    request.getfixturevalue("nobody")
    with pytest.raises(StoreError) as e:
        Tables(filled)
    assert str(e.value) == (
        f"cannot use the store {filled}: Permission denied. "
        "It must be a folder on a local disk that you may write to; set TOPWORK_HOME to such a place."
    )


def test_a_store_is_open_once_a_process(tmp_path):
    tables = Tables(tmp_path)
    with pytest.raises(StoreError) as e:
        Tables(tmp_path)
    assert str(e.value) == f"the store {tmp_path} is already open in this process. Close it first."
    tables.close()
    with pytest.raises(StoreError) as e:
        tables.run(tables.count)
    assert str(e.value) == (
        f"cannot use the store {tmp_path} (Attempt to operate on closed/deleted/dropped object). Open it again."
    )


def test_free_bytes_of_a_folder_that_is_not_there_yet(tmp_path, monkeypatch):
    asked = []
    there = shutil.disk_usage(tmp_path)._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: asked.append(place) or there)
    assert free(tmp_path / "a" / "b") == 1
    assert asked == [tmp_path]
