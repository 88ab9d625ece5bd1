"""What every notebook must look like, checked without running it."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from utils import settings
from utils.runner import notebooks

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
PARAMETERS = {"SOURCE", "DATASETS", "BUDGET", "SEED"}
CELLS = range(15, 41)
CODE_LINES = 200
CELL_LINES = 25
WORDS = range(300, 1501)
BYTES = 500_000
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt|usr)/[\w./-]+|[A-Z]:\\\\?Users")
IMAGES = {"image/png", "image/svg+xml", "application/vnd.plotly.v1+json"}

pytestmark = pytest.mark.skipif(not PATHS, reason="there are no notebooks")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


@pytest.fixture
def code(cells):
    return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]


@pytest.fixture
def prose(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def lines(cell):
    return len(cell.source.splitlines())


def tree(cell):
    return ast.walk(ast.parse(cell.source))


def test_names_are_numbered_without_a_repetition():
    numbers = [path.stem.split("_")[0] for path in PATHS]
    assert all(re.fullmatch(r"\d{2}_[a-z0-9_]+", path.stem) for path in PATHS)
    assert len(set(numbers)) == len(numbers)


def test_it_has_a_readable_size(path, cells, code, prose):
    assert len(cells) in CELLS
    assert sum(map(lines, code)) <= CODE_LINES
    assert max(map(lines, code)) <= CELL_LINES
    assert len(prose.split()) in WORDS
    assert path.stat().st_size <= BYTES


def test_it_opens_with_a_title_a_question_and_an_answer(cells):
    opening = cells[0].source
    assert opening.startswith("# ")
    assert re.search(r"\*\*Question\W", opening)
    assert re.search(r"\*\*Answer[^*]*\W", opening)


def test_sections_are_there(prose):
    headings = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    assert [heading for heading in headings if "Conclusions" in heading], headings
    assert [heading for heading in headings if "Limits" in heading], headings


def test_the_first_code_cell_is_the_only_one_that_imports(code):
    importing = [
        k for k, cell in enumerate(code) if any(isinstance(n, ast.Import | ast.ImportFrom) for n in tree(cell))
    ]
    assert importing == [0]


def test_the_second_code_cell_declares_the_parameters(path, code):
    assert "parameters" in code[1].metadata.get("tags", [])
    (declared,) = notebooks.select(FOLDER, [path.stem])
    assert set(declared.parameters) >= PARAMETERS
    assert declared.parameters["SOURCE"] in settings.SOURCES
    assert declared.parameters["BUDGET"] in settings.BUDGETS
    assert all("#" in line for line in code[1].source.splitlines() if line.strip()), "each parameter needs a comment"


def test_nothing_is_defined_in_it(code):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node.name for cell in code for node in tree(cell) if isinstance(node, kinds)] == []


def test_no_shell_command_or_magic_is_in_it(code):
    assert [cell.source for cell in code if re.search(r"^\s*[!%]", cell.source, re.MULTILINE)] == []


def test_the_last_code_cell_records_results(code):
    assert "log_results(" in code[-1].source


def test_conclusions_take_their_numbers_from_variables(cells):
    """Prose may name a fact of the literature, but a conclusion is displayed by a code cell."""
    heading = next(k for k, cell in enumerate(cells) if re.search(r"^## .*Conclusions", cell.source, re.MULTILINE))
    following = [cell.cell_type for cell in cells[heading : heading + 3]]
    assert "code" in following


def test_every_figure_and_table_is_followed_by_a_sentence(cells):
    for k, cell in enumerate(cells):
        if cell.cell_type == "code" and any(shows(output) for output in cell.outputs):
            assert k + 1 < len(cells), f"nothing follows cell {k + 1}"
            assert cells[k + 1].cell_type == "markdown", f"cell {k + 1} shows something that nobody reads"


def shows(output):
    kinds = set(output.get("data", {}))
    return bool(kinds & IMAGES) or "<table" in "".join(output.get("data", {}).get("text/html", ""))


def test_it_was_executed_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_no_output_is_an_error_or_a_warning(code):
    bad = [output for cell in code for output in cell.outputs if output.output_type == "error"]
    bad += [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    assert bad == []


def test_every_figure_has_a_still_image(code):
    bundles = [set(output.data) for cell in code for output in cell.outputs if "data" in output]
    assert [kinds for kinds in bundles if "application/vnd.plotly.v1+json" in kinds and len(kinds & IMAGES) < 2] == []


def test_no_path_of_a_machine_is_in_it(path):
    assert ABSOLUTE.findall(path.read_text(encoding="utf-8")) == []


def test_nothing_volatile_is_in_it(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"].get("kernelspec", {}).get("name") == "python3"
    assert "version" not in content["metadata"].get("language_info", {})
    assert [cell["id"] for cell in content["cells"] if "execution" in cell["metadata"]] == []
    assert [cell["id"] for cell in content["cells"] if "injected-parameters" in cell["metadata"].get("tags", [])] == []
