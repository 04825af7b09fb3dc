"""Law 2: the store returns what the trunk computed, in the stored dtype, whatever interrupted the writing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from tests import PROJECT
from topwork.errors import StoreError
from topwork.networks.graph import TensorSpec
from topwork.store.store import NOT_FINITE, Store, disk_bytes, key
from topwork.system.files import room
from topwork.version import STORE_FORMAT

ABOUT = {"backbone": "mobilenet_v2", "size": 160}
MAP = [TensorSpec((40, 40, 5))]  # 16,000 bytes per row as float16


def keys(*numbers: int) -> list[bytes]:
    return [key(sha256(b"%d" % n).hexdigest()) for n in numbers]


def rows(*numbers: int, tensor: TensorSpec = MAP[0]) -> np.ndarray:
    """Return activations for each number: different for each number, the same in each call."""
    return np.array([np.random.default_rng(n).normal(size=tensor.shape) for n in numbers], np.float32)


def put(store: Store, *numbers: int) -> dict[bytes, str]:
    return store.write(keys(*numbers), [rows(*numbers, tensor=store.tensors[0])])


def holds(store: Store, *numbers: int) -> bool:
    """Return whether the store returns the activations for these numbers bit for bit."""
    wanted = rows(*numbers, tensor=store.tensors[0]).astype(store.stored[0])
    return store.read(keys(*numbers))[0].tobytes() == wanted.tobytes()


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "cut", MAP, ABOUT) as store:
        yield store


# The store returns what was written


def batches(tensors: list[TensorSpec]) -> st.SearchStrategy:
    """Return a strategy for two batches of these tensors, with values below float16's largest."""
    values = {"float32": st.floats(-6e4, 6e4, width=32), "uint8": st.integers(0, 255)}
    batch = st.integers(1, 5).flatmap(
        lambda n: st.tuples(*(arrays_of.arrays(t.dtype, (n, *t.shape), elements=values[t.dtype]) for t in tensors))
    )
    return st.tuples(st.just(tensors), batch, batch)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
frontiers = st.lists(st.builds(TensorSpec, shapes, st.sampled_from(["float32", "uint8"])), min_size=1, max_size=3)


@settings(deadline=None, max_examples=40)
@given(frontiers.flatmap(batches), st.randoms(use_true_random=False))
def test_reads_what_was_written(written, chance):
    tensors, first, second = written
    whole = [np.concatenate(pair) for pair in zip(first, second)]
    names = keys(*range(len(whole[0])))
    order = chance.choices(range(len(names)), k=2 * len(names))
    with TemporaryDirectory() as folder, Store(folder, tensors, ABOUT) as store:
        store.write(names[: len(first[0])], first)
        store.write(names[len(first[0]) :], second)
        read = store.read([names[i] for i in order])
        stored = store.stored
    peaks = [np.abs(array).max() for array, tensor in zip(first, tensors) if tensor.dtype == "float32"]
    small = all(np.float32(1e-3) <= peak <= 3e4 for peak in peaks)
    assert stored == ["uint8" if t.dtype == "uint8" else "float16" if small else "float32" for t in tensors]
    for given_, back, dtype in zip(whole, read, stored):
        assert back.dtype == dtype
        assert back.tobytes() == given_[order].astype(dtype).tobytes()


def test_rows_outlive_the_handle_and_differ(tmp_path):
    with Store(tmp_path, MAP, ABOUT) as store:
        put(store, *range(10))
    with Store(tmp_path, MAP, ABOUT) as store:
        assert len(store) == 10
        assert len(np.unique(store.read(keys(*range(10)))[0].reshape(10, -1), axis=0)) == 10
        assert holds(store, 3, 9, 3, 0)
        assert not store.read([])[0].size


@pytest.mark.parametrize("damage", ["a bit", "two rows exchanged"])
def test_a_planted_fault_is_seen(tmp_path, damage):
    with Store(tmp_path, MAP, ABOUT) as store:
        put(store, 0, 1, 2)
    data = bytearray((tmp_path / "data.mdb").read_bytes())
    one, two = (data.index(row.tobytes()) for row in rows(1, 2).astype(np.float16))
    if damage == "a bit":
        data[one + 77] ^= 1
    else:
        data[one : one + 16_000], data[two : two + 16_000] = data[two : two + 16_000], data[one : one + 16_000]
    (tmp_path / "data.mdb").write_bytes(data)
    with Store(tmp_path, MAP, ABOUT) as store:
        assert holds(store, 0)
        with pytest.raises(StoreError) as e:
            store.read(keys(0, 1))
    assert str(e.value) == (
        f"the store {tmp_path} is damaged: the row of {keys(1)[0].hex()} does not match its checksum. "
        "Remove the folder: only its activations are computed again."
    )


def test_a_key_that_is_not_stored_is_named(store):
    put(store, 0)
    with pytest.raises(StoreError) as e:
        store.read(keys(0, 1, 2, 1))
    assert str(e.value) == (
        f"the store {store.folder} has no activations for {keys(1)[0].hex()} (2 keys in all). "
        "Compute what is missing before reading."
    )


def test_missing_keeps_the_order_and_names_each_key_once(store):
    put(store, 1, 3)
    store.fail(*keys(4), "image file is truncated")
    assert store.missing(keys(5, 1, 0, 5, 3, 4, 0)) == keys(5, 0)
    assert store.missing([]) == []


def test_a_key_that_is_there_keeps_what_it_has(store):
    put(store, 0, 1)
    store.write(keys(1, 2, 2), [rows(8, 2, 9)])
    assert len(store) == 3
    assert holds(store, 0, 1, 2)


def test_arrays_of_another_shape_are_refused(store):
    with pytest.raises(ValueError, match="cannot store") as e:
        store.write(keys(0), [np.zeros((1, 40, 40, 4), np.float16)])
    assert str(e.value) == (
        "cannot store arrays of [((1, 40, 40, 4), 'float16')]; expected [((1, 40, 40, 5), 'float32')]."
    )
    assert store.write([], [np.zeros((0, 40, 40, 5), np.float32)]) == {}


# Failures


def test_failures_outlive_the_handle(tmp_path):
    with Store(tmp_path, MAP, ABOUT) as store:
        store.fail(*keys(7), "cannot identify image file ‘é’")
    with Store(tmp_path, MAP, ABOUT) as store:
        assert store.failures(keys(6, 7)) == {keys(7)[0]: "cannot identify image file ‘é’"}
        assert len(store) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_left_out_and_recorded(store, value):
    activations = rows(0, 1, 2)
    activations[1, 5, 5, 2] = value
    assert store.write(keys(0, 1, 2), [activations]) == {keys(1)[0]: NOT_FINITE}
    assert store.failures(keys(0, 1, 2)) == {keys(1)[0]: "its activations are not finite"}
    assert store.missing(keys(0, 1, 2)) == []
    assert len(store) == 2
    assert holds(store, 0, 2)


def test_a_batch_without_a_finite_row_does_not_fix_the_dtype(store):
    store.write(keys(0), [np.full((1, 40, 40, 5), np.nan, np.float32)])
    assert store.stored is None
    put(store, 1)
    assert store.stored == ["float16"]


# float16 or float32


def one(value: float) -> list[np.ndarray]:
    return [np.array([[0, value]], np.float32)]


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [
        (1e-3, "float16"),
        (-1e-3, "float16"),
        (np.nextafter(np.float32(1e-3), np.float32(0)), "float32"),
        (0, "float32"),
        (3e4, "float16"),
        (-3e4, "float16"),
        (np.nextafter(np.float32(3e4), np.float32(1e9)), "float32"),
        (3e38, "float32"),
    ],
)
def test_the_first_batch_fixes_the_dtype(tmp_path, largest, dtype):
    with Store(tmp_path, [TensorSpec((2,))], ABOUT) as store:
        store.write(keys(0), one(largest))
        store.write(keys(1), one(1.5))
        assert store.stored == [dtype]
        assert store.read(keys(0))[0].tobytes() == one(largest)[0].astype(dtype).tobytes()
        assert json.loads((tmp_path / "cut.json").read_text())["stored"] == [dtype]


def test_one_small_tensor_makes_all_float32(tmp_path):
    with Store(tmp_path, [TensorSpec((2,)), TensorSpec((2,))], ABOUT) as store:
        store.write(keys(0), one(1) + one(1e-5))
        assert store.stored == ["float32", "float32"]


def test_float32_where_it_is_asked_for(tmp_path):
    with Store(tmp_path, MAP, ABOUT, dtype="float32") as store:
        put(store, 0, 1)
        assert store.stored == ["float32"]
        assert holds(store, 1, 0)


def test_float32_takes_over_when_float16_overflows(tmp_path):
    with Store(tmp_path, [TensorSpec((2,))], ABOUT) as store:
        store.write(keys(0, 1), [np.float32([[1, 2], [3, 4.0001]])])
        store.write(keys(2), one(65504))
        assert store.stored == ["float16"]
        store.write(keys(3), one(-65505))
        assert store.stored == ["float32"]
        assert store.missing(keys(0, 1, 2, 3)) == keys(0, 1, 2)
        store.write(keys(0, 1), [np.float32([[1, 2], [3, 4.0001]])])
    with Store(tmp_path, [TensorSpec((2,))], ABOUT) as store:
        assert store.missing(keys(0, 1, 2, 3)) == keys(2)
        assert store.read(keys(3, 1))[0].tolist() == [[0, -65505], [3, float(np.float32(4.0001))]]
        assert json.loads((tmp_path / "cut.json").read_text())["stored"] == ["float32"]


# Several processes

CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from tests.store.test_store import *; sys.stdin.readline(); "


def child(code: str) -> subprocess.Popen:
    """Start a process that imports this module, waits until it reads a line, and runs *code*."""
    command = [sys.executable, "-c", CHILD + code, str(PROJECT)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def go(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def fill(folder: str) -> None:
    """Fill a store three rows at a time, and print the numbers that are committed."""
    with Store(folder, MAP, ABOUT) as store:
        numbers = {name: n for n, name in enumerate(keys(*range(3000)))}
        todo = [numbers[name] for name in store.missing(numbers)]
        for i in range(0, len(todo), 3):
            put(store, *todo[i : i + 3])
            print(*todo[i : i + 3], flush=True)


def test_a_killed_writer_loses_nothing_that_it_had_committed(tmp_path):
    chance, told = random.Random(0), []
    for _ in range(6):
        process = child(f"fill({str(tmp_path)!r})")
        go(process)
        lines = [process.stdout.readline() for _ in range(chance.randint(1, 20))]
        time.sleep(chance.random() / 100)
        process.kill()
        lines += process.stdout.readlines()
        told += [int(n) for line in lines if line.endswith("\n") for n in line.split()]
        with Store(tmp_path, MAP, ABOUT) as store:
            assert len(told) == len(set(told)) <= len(store)
            assert holds(store, *told)
            lacking = set(store.missing(keys(*range(3000))))
            there = [n for n, name in enumerate(keys(*range(3000))) if name not in lacking]
            assert len(there) == len(store)
            assert holds(store, *there)


def die(folder: str) -> None:
    """Die inside a transaction, with three rows written and nothing committed."""

    def work(txn) -> None:
        for name, row in zip(keys(5, 6, 7), rows(5, 6, 7)):
            store._tables.append(txn, name, row.astype(np.float16).tobytes())
        os.kill(os.getpid(), signal.SIGKILL)

    store = Store(folder, MAP, ABOUT)
    store._tables.run(work, write=True)


def test_a_writer_killed_inside_a_transaction_leaves_neither_rows_nor_lock(store):
    put(store, 0)
    process = child(f"die({str(store.folder)!r})")
    go(process)
    assert process.wait() == -signal.SIGKILL
    assert store.missing(keys(0, 5, 6, 7)) == keys(5, 6, 7)
    put(store, 5)
    assert holds(store, 0, 5)


def scramble(folder: str, seed: int) -> None:
    """Write all numbers in an order that depends on the seed, whether they are stored already or not."""
    numbers = random.Random(seed).sample(range(300), 300)
    with Store(folder, MAP, ABOUT) as store:
        for i in range(0, 300, 7):
            put(store, *numbers[i : i + 7])


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.full)])
def test_processes_that_fill_one_store_at_once_do_no_harm(tmp_path, count):
    processes = [child(f"scramble({str(tmp_path)!r}, {seed})") for seed in range(count)]
    go(*processes)
    assert [process.wait() for process in processes] == [0] * count
    with Store(tmp_path, MAP, ABOUT) as store:
        assert len(store) == 300
        assert holds(store, *range(300))


def stay(folder: str) -> None:
    """Read, let another process overflow, read again; then ask what is missing."""
    with Store(folder, MAP, ABOUT) as store:
        print(holds(store, 0, 1), store.stored, flush=True)
        sys.stdin.readline()
        print(holds(store, 0, 1), store.stored, flush=True)
        print(len(store.missing(keys(0, 1, 2))), holds(store, 2), store.stored, flush=True)


def test_a_reader_keeps_its_rows_when_another_process_overflows(tmp_path):
    with Store(tmp_path, MAP, ABOUT) as store:
        put(store, 0, 1)
        process = child(f"stay({str(tmp_path)!r})")
        go(process)
        assert process.stdout.readline() == "True ['float16']\n"
        store.write(keys(3), [rows(3) * 1e6])
        put(store, 2)
        go(process)
        assert process.communicate()[0] == "True ['float16']\n2 True ['float32']\n"


def test_after_a_fork_both_processes_read_and_write(store):
    put(store, 0, 1)
    forks = [get_context("fork").Process(target=in_fork, args=(store, number)) for number in (2, 3)]
    for fork in forks:
        fork.start()
    put(store, 4)
    for fork in forks:
        fork.join()
    assert [fork.exitcode for fork in forks] == [0, 0]
    assert len(store) == 5
    assert holds(store, 4, 3, 2, 1, 0)


def in_fork(store: Store, number: int) -> None:
    put(store, number)
    assert holds(store, 0, 1, number)


def test_threads_share_a_handle_while_the_map_grows(tmp_path):
    with Store(tmp_path, MAP, ABOUT) as store:
        put(store, 0)
        right: list[bool] = []
        writers = [Thread(target=put, args=(store, *range(n, n + 40))) for n in (100, 200, 300)]
        readers = [Thread(target=lambda: right.extend(holds(store, 0, 0, 0) for _ in range(20))) for _ in range(2)]
        for thread in writers + readers:
            thread.start()
        for thread in writers + readers:
            thread.join()
        assert right == [True] * 40
        assert holds(store, *range(100, 140), *range(200, 240), *range(300, 340))


# What a folder says about itself


def test_cut_json_tells_people_what_the_folder_holds(store):
    told = {"format": STORE_FORMAT, "description": ABOUT, "tensors": [{"shape": [40, 40, 5], "dtype": "float32"}]}
    path = store.folder / "cut.json"
    assert json.loads(path.read_text()) == {**told, "dtype": "auto", "stored": None}
    put(store, 0)
    assert json.loads(path.read_text()) == {**told, "dtype": "auto", "stored": ["float16"]}
    assert sorted(p.name for p in store.folder.iterdir()) == ["cut.json", "data.mdb", "lock.mdb"]


def test_a_cut_json_that_cannot_be_written_stops_nothing(tmp_path):
    """The file is only for people to read, and no code needs it."""
    (tmp_path / "cut.json").mkdir()
    with Store(tmp_path, MAP, ABOUT) as store:
        put(store, 0)
        assert len(store) == 1


def test_another_format_is_refused(tmp_path):
    with Store(tmp_path, MAP, ABOUT) as store:
        tables, header = store._tables, json.dumps({"format": 7, "rows": "elsewhere"})
        tables.run(lambda txn: tables.put(txn, "header", header), write=True)
    with pytest.raises(StoreError) as e:
        Store(tmp_path, MAP, ABOUT)
    assert str(e.value) == (
        f"the store {tmp_path} has format 7; this topwork reads format {STORE_FORMAT}. "
        "Use the topwork that wrote it, or remove the folder: only its activations are computed again."
    )


@pytest.mark.parametrize(
    ("tensors", "about", "dtype", "difference"),
    [
        (MAP, {**ABOUT, "size": 224}, "auto", "size is 160 there, not 224"),
        (MAP, {"size": 160}, "auto", "backbone is 'mobilenet_v2' there, not None"),
        (MAP, ABOUT, "float32", "dtype is 'auto' there, not 'float32'"),
        (
            [TensorSpec((8,))],
            ABOUT,
            "auto",
            "tensors is [{'shape': [40, 40, 5], 'dtype': 'float32'}] there, not [{'shape': [8], 'dtype': 'float32'}]",
        ),
    ],
)
def test_another_cut_is_refused(tmp_path, tensors, about, dtype, difference):
    Store(tmp_path, MAP, ABOUT).close()
    with pytest.raises(StoreError) as e:
        Store(tmp_path, tensors, about, dtype=dtype)
    assert str(e.value) == (
        f"the store {tmp_path} holds activations of another cut: {difference}. Use another folder for this cut."
    )
    Store(tmp_path, MAP, ABOUT).close()


# Keys and disk space


def test_keys_tell_views_and_contents_apart():
    content = sha256(b"a picture").hexdigest()
    made = [key(content), key(content, "1 flip"), key(content, "2 flip"), key(sha256(b"other").hexdigest(), "1 flip")]
    assert made[0] == bytes.fromhex(content)
    assert len(set(made)) == 4
    assert {len(k) for k in made} == {32}


def test_room(tmp_path):
    room(tmp_path / "not" / "there", 1)
    with pytest.raises(StoreError, match=r"^not enough disk for a plot: 2.0 TB needed, "):
        room(tmp_path, 2 * 10**12, "a plot")
    with pytest.raises(StoreError) as e:
        room(tmp_path / "not" / "there", 10**14)
    start, _, end = str(e.value).partition(" needed, ")
    assert start == "not enough disk for the activations: 100.0 TB"
    assert end.endswith(
        f" free at {tmp_path}/not/there. Free some space, or set TOPWORK_HOME to a folder on a larger disk."
    )


@pytest.mark.parametrize("length", [100, 900, 1010, 1280, 20_000])
def test_disk_bytes_is_what_a_store_takes(tmp_path, length):
    tensors = [TensorSpec((length,))]
    with Store(tmp_path, tensors, ABOUT) as store:
        for start in range(0, 600, 100):
            put(store, *range(start, start + 100))
    taken = (tmp_path / "data.mdb").stat().st_size
    assert 0.75 * taken - 100_000 < disk_bytes(tensors, 600) < 1.1 * taken
