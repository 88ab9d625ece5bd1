"""Running one notebook in a copy of the laboratory."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest

from utils import runner

ROOT = Path(__file__).resolve().parents[2]


def run(lab, number, **parameters):
    """Run one notebook in a copy of the laboratory and return what it shows.

    Still images, which a browser draws, are left to the run of all notebooks: they take as long as small data do.
    """
    shutil.copytree(ROOT / "notebooks", lab.notebooks_dir, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER_PATH", os.devnull)
        (outcome,) = runner.run([number], parameters={"BUDGET": "fast", **parameters})
    assert outcome.status == "ok", f"{outcome.error}\n{outcome.details}"
    executed = nbformat.read(lab.reports_dir / f"{outcome.notebook}.ipynb", as_version=4)
    return "".join(str(output) for cell in executed.cells for output in cell.get("outputs", []))
