"""Rules of the package that no linter knows: layers, size of functions, what public functions must say."""

import ast
import statistics
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "utils"
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = (
    {"errors", "settings", "console", "compute"},
    {"datasets", "simulate"},
    {"features", "evaluation"},
    {"classifiers", "detectors"},
    {
        "audit",
        "plots",
        "tracking",
        "artifact_store",
        "explain",
        "runner",
        "report",
        "leaderboard",
        "retraining",
    },
    {"serving"},
)
LONGEST_BODY = 60
MEDIAN_BODY = 8


def topic(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(place for place, names in enumerate(LAYERS) if name in names)


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    holders = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    return [
        node
        for holder in holders
        for node in holder.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards_only(module):
    if module == PACKAGE / "__init__.py":
        return
    here = layer(topic(module))
    tree = ast.parse(module.read_text())
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    imported = [name.split(".")[1] for name in names if name.startswith("utils.")]
    imported += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "utils"
        for alias in node.names
    ]
    above = [name for name in imported if name != topic(module) and layer(name) > here]
    assert above == []


@pytest.mark.parametrize("module", sorted((PACKAGE / "simulate").glob("*.py")), ids=lambda path: path.name)
def test_simulators_know_the_contract_of_the_data_sets_and_no_loader(module):
    tree = ast.parse(module.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name for name in imported if name.startswith("utils.datasets")} <= {"utils.datasets.contract"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_is_long_and_public_ones_speak(module):
    tree = ast.parse(module.read_text())
    too_long = [f"{item.name}: {body_lines(item)} lines" for item in functions(tree) if body_lines(item) > LONGEST_BODY]
    assert too_long == []
    silent = [item.name for item in public_functions(tree) if not ast.get_docstring(item) or item.returns is None]
    assert silent == []


def test_the_median_function_is_short():
    lengths = [body_lines(item) for module in MODULES for item in functions(ast.parse(module.read_text()))]
    assert statistics.median(lengths) <= MEDIAN_BODY
