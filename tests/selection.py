"""Selects ``full`` tests for a CI run, because all take an hour: ``python -m pytest -m full -p tests.selection``.

If ``TOPWORK_FULL_QUARTER`` is set to a commit's hash, a run takes the quarter that follows from the hash, and the tests
of the folders that the last five commits changed; renames do not count. If ``TOPWORK_FULL_UNTIL`` is set (seconds since
1970), no test begins after that time. Without these variables, all tests run.
"""

import os
import subprocess
import time
from hashlib import sha256
from pathlib import PurePath

import pytest

from tests import PROJECT

COMMITS = 5
LATE = "left out, as the time for full tests is over"


def quarter_of(words: str) -> int:
    """Return the quarter, 0 to 3, that follows from a commit's hash or a test's name."""
    return sha256(words.encode()).digest()[0] % 4


def changed(log: str) -> set[str]:
    """Return the folders below ``topwork`` and ``tests`` in a ``git log --name-status --format=``, without renames.

    >>> sorted(changed("M\\ttopwork/store/fill.py\\nR100\\ta.py\\ttopwork/data/a.py\\nA\\ttests/runs/test_needs.py"))
    ['runs', 'store']
    """
    lines = (line.split("\t") for line in log.splitlines() if line)
    paths = [PurePath(names[-1]) for status, *names in lines if not status.startswith("R")]
    return {path.parts[1] for path in paths if len(path.parts) > 2 and path.parts[0] in ("topwork", "tests")}


def chosen(names: list[str], commit: str, folders: set[str]) -> list[str]:
    """Return the tests from a list that a run on *commit* takes."""
    wanted = quarter_of(commit)
    return [name for name in names if quarter_of(name) == wanted or PurePath(name).parts[1] in folders]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the tests that this run takes."""
    commit = os.environ.get("TOPWORK_FULL_QUARTER")
    if not commit:
        return
    taken = set(chosen([item.nodeid for item in items], commit, _changed_lately()))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in taken])
    items[:] = [item for item in items if item.nodeid in taken]


def pytest_report_header() -> str:
    """Return a line that reports which tests are taken."""
    commit = os.environ.get("TOPWORK_FULL_QUARTER")
    if not commit:
        return "full tests: all"
    folders = ", ".join(sorted(_changed_lately())) or "none"
    return f"full tests: quarter {quarter_of(commit) + 1} of 4, and those of the folders that changed lately: {folders}"


def pytest_runtest_setup() -> None:
    """Skip a test that would begin too late."""
    if time.time() > float(os.environ.get("TOPWORK_FULL_UNTIL", "inf")):
        pytest.skip(LATE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that were skipped because of the time."""
    skipped = terminalreporter.stats.get("skipped", [])
    late = sorted(report.nodeid for report in skipped if LATE in str(report.longrepr))
    if late:
        terminalreporter.section(f"{len(late)} full tests were left out, as the time for them was over")
        terminalreporter.line("\n".join(late))


def _changed_lately() -> set[str]:
    command = ["git", "log", f"-{COMMITS}", "--name-status", "--find-renames", "--format="]
    return changed(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)
