"""A child process answers requests in order and passes on its errors unchanged; it ends when this process ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from topwork.errors import DatasetError, MachineError, RecipeError
from topwork.system.processes import Beside, Ended

CHILD = """
import os, sys
from topwork.errors import DatasetError, RecipeError
from topwork.system.processes import serve

def work(request, report):
    what, value = request
    if what == "count":
        for number in range(value):
            report(number)
        return value
    if what == "text":
        return value
    if what == "say":
        print(value, file=sys.stderr, flush=True)
        return None
    if what == "recipe":
        raise RecipeError(value, "phase.2.optimizer")
    if what == "unlabelled":
        raise DatasetError(value, unlabelled=True)
    if what == "machine":
        open(value)
    if what == "fault":
        raise KeyError(value)
    if what == "exit":
        os._exit(value)

if __name__ == "__main__":
    serve(work)
"""


@pytest.fixture
def paths(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))


@pytest.fixture
def child(paths):
    with Beside("child") as beside:
        yield beside


def asked(child, *request):
    child.ask(request)
    return child.answer()


def test_reports_come_before_the_result(child):
    told = []
    child.ask(("count", 3))
    assert child.answer(told.append) == 3
    assert told == [0, 1, 2]


def test_requests_are_answered_in_their_order(child):
    for number in range(5):
        child.ask(("count", number))
    assert [child.answer() for _ in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "ascii"])
def test_text_arrives_as_it_was_whatever_the_encoding_of_streams(paths, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    with Beside("child") as child:
        for text in ("花\n", "caf\udce9", "x" * 1_000_000):
            assert asked(child, "text", text) == text


def test_errors_are_raised_here_as_they_were_there(child):
    child.ask(("recipe", "no optimizer 'adm'."))
    child.ask(("unlabelled", "no labels."))
    child.ask(("machine", "/none/such"))
    child.ask(("text", "still there"))
    with pytest.raises(RecipeError) as wrong:
        child.answer()
    assert (str(wrong.value), wrong.value.key) == ("no optimizer 'adm'.", "phase.2.optimizer")
    with pytest.raises(DatasetError) as unlabelled:
        child.answer()
    assert (str(unlabelled.value), unlabelled.value.unlabelled) == ("no labels.", True)
    with pytest.raises(MachineError) as refused:
        child.answer()
    assert str(refused.value) == "cannot use '/none/such': No such file or directory."
    assert child.answer() == "still there"


def test_a_fault_of_ours_ends_it_and_is_seen_once(paths, capfd):
    with Beside("child") as child, pytest.raises(Ended) as ended:
        asked(child, "fault", "x")
    assert ended.value.status == 1
    assert capfd.readouterr().err.count("KeyError: 'x'") == 1


@pytest.mark.parametrize("how", ["before", "meanwhile"])
def test_one_that_is_gone_answers_nothing(child, how):
    if how == "before":
        child.process.kill()
        child.process.wait()
    else:
        child.ask(("exit", 7))
    child.ask(("text", "x"))
    with pytest.raises(Ended) as ended:
        child.answer()
    assert ended.value.status == (-signal.SIGKILL if how == "before" else 7)
    with pytest.raises(Ended):
        asked(child, "text", "x")


def test_a_module_that_is_not_there(capfd):
    with Beside("topwork.none") as child, pytest.raises(Ended):
        asked(child, "text", "x")
    assert "No module named topwork.none" in capfd.readouterr().err


def test_nothing_is_left_of_it(child):
    assert asked(child, "text", "x") == "x"
    assert child.end() == child.end() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(child.process.pid, 0)
    assert child.process.stdin.closed and child.process.stdout.closed


def test_what_it_says_is_seen_once_or_not_at_all(paths, capfd):
    with Beside("child") as loud, Beside("child", quiet=True) as quiet:
        asked(loud, "say", "loud")
        asked(quiet, "say", "quiet")
    assert capfd.readouterr() == ("", "loud\n")


def test_it_has_the_environment_of_this_process_and_settings_of_its_own(paths, monkeypatch, capfd, tmp_path):
    (tmp_path / "told.py").write_text(
        "import os\nfrom topwork.system.processes import serve\nserve(lambda name, _: os.environ.get(name))"
    )
    monkeypatch.setenv("ONE", "1")
    monkeypatch.setenv("TWO", "2")
    with Beside("told", {"TWO": "two", "THREE": "three"}) as child:
        for name in ("ONE", "TWO", "THREE", "FOUR"):
            child.ask(name)
        assert [child.answer() for _ in range(4)] == ["1", "two", "three", None]


def test_ctrl_c_is_not_for_it(child):
    assert os.getpgid(child.process.pid) == child.process.pid != os.getpgid(0)


PARENT = """
import sys, time
from topwork.system.processes import Beside
child = Beside("child")
child.ask(("text", "x"))
child.answer()
print(child.process.pid, flush=True)
sys.stdin.read()
"""


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_it_ends_with_this_process_however_that_ends(paths, how):
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.stdin.close() if how is None else parent.send_signal(how)
        parent.wait()
    end = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_process_beside_need_not_import_what_starts_processes():
    code = "import sys; from topwork.system import processes; print('subprocess' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
