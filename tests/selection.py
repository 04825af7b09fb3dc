"""Which ``full`` tests a CI run takes, as all of them take an hour: ``python -m pytest -m full -p tests.selection``.

With ``TOPWORK_FULL_QUARTER`` (a commit's hash) these are the quarter that follows from the hash, and the tests of the
folders that the last five commits changed; renames do not count. With ``TOPWORK_FULL_UNTIL`` (seconds since 1970) no
test begins later than that. Without them all tests are taken.
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
    """0 to 3, of a commit's hash or of a test's name."""
    return sha256(words.encode()).digest()[0] % 4


def changed(log: str) -> set[str]:
    """The folders below ``topwork`` and ``tests`` that ``git log --name-status --format=`` names, renames not counted.

    >>> sorted(changed("M\\ttopwork/store/fill.py\\nR100\\ta.py\\ttopwork/data/a.py\\nA\\ttests/runs/test_needs.py"))
    ['runs', 'store']
    """
    lines = (line.split("\t") for line in log.splitlines() if line)
    paths = [PurePath(names[-1]) for status, *names in lines if not status.startswith("R")]
    return {path.parts[1] for path in paths if len(path.parts) > 2 and path.parts[0] in ("topwork", "tests")}


def chosen(names: list[str], commit: str, folders: set[str]) -> list[str]:
    """Those of a list of tests that a run on *commit* takes."""
    wanted = quarter_of(commit)
    return [name for name in names if quarter_of(name) == wanted or PurePath(name).parts[1] in folders]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests of this run alone."""
    commit = os.environ.get("TOPWORK_FULL_QUARTER")
    if not commit:
        return
    taken = set(chosen([item.nodeid for item in items], commit, _changed_lately()))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in taken])
    items[:] = [item for item in items if item.nodeid in taken]


def pytest_report_header() -> str:
    """Say which tests are taken."""
    commit = os.environ.get("TOPWORK_FULL_QUARTER")
    if not commit:
        return "full tests: all"
    folders = ", ".join(sorted(_changed_lately())) or "none"
    return f"full tests: quarter {quarter_of(commit) + 1} of 4, and those of the folders that changed lately: {folders}"


def pytest_runtest_setup() -> None:
    """Leave out what would begin too late."""
    if time.time() > float(os.environ.get("TOPWORK_FULL_UNTIL", "inf")):
        pytest.skip(LATE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out."""
    skipped = terminalreporter.stats.get("skipped", [])
    late = sorted(report.nodeid for report in skipped if LATE in str(report.longrepr))
    if late:
        terminalreporter.section(f"{len(late)} full tests were left out, as the time for them was over")
        terminalreporter.line("\n".join(late))


def _changed_lately() -> set[str]:
    command = ["git", "log", f"-{COMMITS}", "--name-status", "--find-renames", "--format="]
    return changed(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)
