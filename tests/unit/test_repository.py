"""What the repository may hold, and that its commands say what they do."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".txt", ".ipynb", ".sh", ".yaml", ".yml", ""}
LARGEST_FILE = 3_000_000
MOST_OUTPUTS = 15_000_000
"""Bytes of what runs produced: store, artefacts and executed notebooks."""

LARGEST_TREE = 22_000_000


@pytest.fixture(scope="module")
def tracked():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this copy is no git checkout: the list of tracked files is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_large_is_tracked(tracked):
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in tracked}
    assert [name for name, size in sizes.items() if size > LARGEST_FILE] == []
    produced = ("mlflow.db", "mlartifacts/", "notebooks/")
    assert sum(size for name, size in sizes.items() if name.startswith(produced)) < MOST_OUTPUTS
    assert sum(sizes.values()) < LARGEST_TREE


def test_no_absolute_path_and_no_downloaded_data_are_tracked(tracked):
    absolute = re.compile(r"/(?:work|root|home/[a-z]+)/[\w./-]+")
    texts = [path for path in tracked if path.suffix in TEXT]
    assert [path.name for path in texts if absolute.search(path.read_text(errors="ignore"))] == []
    assert [path.name for path in tracked if path.is_relative_to(ROOT / "data" / "raw")] == []


def test_make_help_lists_every_target():
    printed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test", "ui", "lab", "data", "reference", "bench", "lock", "help"} <= set(targets)
    assert [target for target in targets if f"make {target} " not in printed] == []


def test_an_environment_that_was_made_elsewhere_is_made_anew_by_the_next_command(tmp_path):
    folder = tmp_path / "moved laboratory"
    (folder / ".venv").mkdir(parents=True)
    for name in ("Makefile", "setup.sh", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv" / "ready").touch()
    for made_in, expected in ((folder, False), (tmp_path, True)):
        (folder / ".venv" / "made-in").write_text(f"{made_in}\n")
        planned = subprocess.run(["make", "-n", "run"], cwd=folder, capture_output=True, text=True, check=True).stdout
        assert ("./setup.sh" in planned) == expected


def test_too_old_a_python_is_one_sentence_and_leaves_nothing(tmp_path):
    for name in ("setup.sh", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\ncase "$*" in *platform*) echo 3.8.18 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    tried = subprocess.run(
        ["./setup.sh"], cwd=tmp_path, env={"PYTHON": str(old), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert tried.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed, found 3.8.18" in tried.stderr
    assert len(tried.stderr.strip().splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


def required(*groups):
    """Names of the packages that the project asks for itself; ``dev`` adds those of its tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] + [item for group in groups for item in project["optional-dependencies"][group]]
    extras = [group for item in listed if item.startswith(project["name"]) for group in re.findall(r"[\w-]+", item)[1:]]
    own = {re.split(r"[<>=;\[ ]", item)[0].lower() for item in listed} - {project["name"]}
    return own | required(*extras) if extras else own


def imported(folder):
    """Top-level names of what the modules below a folder import, Python's own and the project's left out."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"utils", "benchmarks", "tests"}


def test_the_lock_pins_every_direct_dependency():
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert required("dev") - pinned == set()


@pytest.mark.parametrize(("folder", "groups"), [("utils", ("dask",)), ("benchmarks", ()), ("tests", ("dev",))])
def test_what_is_imported_is_a_dependency_of_the_project_itself(folder, groups):
    providers = importlib.metadata.packages_distributions()
    packages = {name: {package.lower().replace("_", "-") for package in providers[name]} for name in imported(folder)}
    assert packages
    assert [name for name, offered in packages.items() if not offered & required(*groups)] == []
