"""Which messages topwork prints, and where."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

import topwork as tw
from topwork.store.extract import Watch
from topwork.system.messages import Bar, duration, say, size

DURATIONS = {0: "0.0 s", 0.44: "0.4 s", 9.94: "9.9 s", 9.96: "10 s", 59.4: "59 s", 59.6: "1 min 0 s", 75: "1 min 15 s"}
DURATIONS |= {3599.4: "59 min 59 s", 3599.6: "1 h 0 min", 7300: "2 h 1 min"}


@pytest.mark.parametrize("seconds", DURATIONS)
def test_durations(seconds):
    assert duration(seconds) == DURATIONS[seconds]


SIZES = {
    0: "0 B",
    999: "999 B",
    1000: "1.0 KB",
    1_280_000: "1.3 MB",
    999_999: "1.0 MB",
    5e9: "5.0 GB",
    2e15: "2000.0 TB",
}


@pytest.mark.parametrize("count", SIZES)
def test_sizes(count):
    assert size(count) == SIZES[count]


@given(st.integers(0, 10**14))
def test_a_size_is_near_and_short(count):
    number, unit = size(count).split()
    assert len(number) <= 5
    assert abs(float(number) * 1000 ** ["B", "KB", "MB", "GB", "TB"].index(unit) - count) <= 0.05 * count


def test_lines_go_to_stderr(capsys):
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_terminal_parts_no_number_from_its_unit(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    say("The fill and the test of it took just 10 min.")
    assert capsys.readouterr().err == "The fill and the test of it took just\n10 min.\n"
    say("The fill and the test of it together 95 %.")
    assert capsys.readouterr().err == "The fill and the test of it together\n95 %.\n"


def test_lines_stay_lines_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    say("first line\nsecond line")
    assert capsys.readouterr().err == "first line\nsecond line\n"


def test_bars_are_silent_where_nobody_looks(capsys):
    bar = Bar("trunk")
    bar.start()
    bar.update(1, 2, "note")
    bar.stop()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, "x@pool: 1,500 pictures to compute, 3.8 MB on disk\n"),
        ({"total": 1516}, "x@pool: 1,500 of 1,516 pictures to compute, 3.8 MB on disk; 16 in the store\n"),
        ({"repeated": 3}, "x@pool: 1,500 different pictures to compute, 3.8 MB on disk\n"),
        ({"views": True}, "x@pool: 1,500 views to compute, 3.8 MB on disk\n"),
        ({"seconds": 75.0}, "x@pool: 1,500 pictures to compute, about 1 min 15 s and 3.8 MB on disk\n"),
    ],
)
def test_an_extraction_says_its_time_and_disk_first(capsys, about, said):
    with Watch() as watch:
        watch.report("plan", term="x@pool", pictures=1500, bytes=3_840_000, **{"total": 1500, **about})
        watch.report("progress", done=750, total=1500, seconds=2.0)
        watch.report("filled", number=0)
    assert capsys.readouterr() == ("", said)


def test_the_bar_of_an_extraction_counts_what_is_computed_and_has_a_total_from_the_start(monkeypatch):
    notes = []
    monkeypatch.setattr(Bar, "update", lambda bar, done, total, note="": notes.append((done, total, note)))
    with Watch() as watch:
        for views in (False, True):
            watch.report("plan", term="x@pool", pictures=1500, total=1500, bytes=3_840_000, views=views)
            watch.report("progress", done=750, total=1500, seconds=2.0)
    begun = 0, 1500, ""
    assert notes == [begun, (750, 1500, "375 pictures/s"), begun, (750, 1500, "375 views/s")]


def test_something_is_shown_until_the_first_picture(monkeypatch):
    started = []
    monkeypatch.setattr(Bar, "start", lambda bar, first=None: started.append(first))
    with Watch() as watch:
        watch.report("begin", what="opening the network")
    assert started == ["opening the network"]


@pytest.fixture
def logger():
    """Return the logger that receives all messages; restore it after the test."""
    logger = logging.getLogger("topwork")
    level, handlers = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers


def test_lines_go_to_stderr_unless_the_logger_is_silenced(logger, capsys):
    say("50 % of one")
    assert capsys.readouterr() == ("", "50 % of one\n")
    logger.setLevel(logging.WARNING)
    say("two")
    assert capsys.readouterr() == ("", "")


def test_lines_go_to_the_users_handler(logger, capsys):
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append((record.name, record.levelname, record.getMessage()))
    logger.handlers[:] = [handler]
    say("one")
    assert heard == [("topwork", "INFO", "one")]
    assert capsys.readouterr() == ("", "")


def test_a_bar_takes_the_place_of_the_one_that_is_shown(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    first, second = Bar("trunk").start(), Bar("phase 1").start()
    assert first._progress is None
    first.update(1, 2)
    first.stop()
    assert second._progress is not None
    second.stop()


def test_a_silenced_logger_silences_bars(logger, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    logger.setLevel(logging.WARNING)
    bar = Bar("trunk")
    bar.start()
    assert bar._progress is None


def test_reading_is_silent_where_that_is_asked(logger, pictures, capsys):
    logger.setLevel(logging.WARNING)
    tw.read(pictures)
    assert capsys.readouterr() == ("", "")
