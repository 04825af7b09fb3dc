"""The selection of full tests for a CI run."""

import os
import subprocess
import sys

import pytest

from tests import PROJECT
from tests.selection import changed, chosen, quarter_of

NAMES = [f"tests/store/test_{i}.py::test_{i}" for i in range(100)] + [f"tests/test_{i}.py::test" for i in range(100)]


def test_four_commits_of_different_quarters_take_all_tests():
    commits = {quarter_of(f"{number:040x}"): f"{number:040x}" for number in range(50)}
    taken = [chosen(NAMES, commit, set()) for commit in commits.values()]
    assert len(commits) == 4
    assert sorted(name for one in taken for name in one) == sorted(NAMES)
    assert all(20 < len(one) < 80 for one in taken)


def test_tests_of_folders_that_changed_are_taken_as_well():
    assert set(chosen(NAMES, "0", {"store"})) >= set(NAMES[:100])


@pytest.mark.parametrize(
    ("log", "folders"),
    [
        ("M\ttopwork/store/fill.py\n\nA\ttests/runs/test_needs.py", {"store", "runs"}),
        ("R100\ttopwork/fill.py\ttopwork/store/fill.py\nR093\ttopwork/a.py\ttopwork/data/a.py", set()),
        ("M\tREADME.md\nM\ttopwork/errors.py\nM\tdocs/log.md", set()),
    ],
)
def test_which_folders_changed(log, folders):
    assert changed(log) == folders


def test_what_would_begin_too_late_is_left_out_by_name():
    command = [sys.executable, "-m", "pytest", "-p", "tests.selection", "-m", "not full", "tests/test_cut.py"]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"TOPWORK_FULL_UNTIL": "1"}, capture_output=True, text=True
    )
    assert "full tests were left out" in done.stdout
    assert "tests/test_cut.py::" in done.stdout
    assert "passed" not in done.stdout
