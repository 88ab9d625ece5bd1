"""The README says what is true of the code."""

import re
from pathlib import Path

from utils.audit import CHECKS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_check_of_the_audit_is_listed_with_its_title():
    listed = dict(re.findall(r"^\| (A\d{3}) \| (.+) \|$", README, re.MULTILINE))
    assert listed == {check.code: check.title for check in CHECKS.values()}


def test_every_notebook_is_listed_with_its_question():
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    listed = re.findall(r"\]\(notebooks/(\w+\.ipynb)\)", README)
    assert listed == [notebook.name for notebook in notebooks]


def test_every_command_and_variable_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE)) <= targets
    code = "".join(path.read_text() for path in (ROOT / "utils").rglob("*.py"))
    assert all(variable in code for variable in re.findall(r"`(ANOMALY_\w+)`", README))


def test_the_first_screen_holds_the_results_and_the_two_commands():
    first = README.splitlines()[:30]
    assert "make run" in "\n".join(first)
    assert "make test" in "\n".join(first)
    assert any(line.startswith("| data set |") for line in first)
