"""The notebooks as files: which there are, what parameters they have, and how they are written back."""

import ast
import contextlib
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from utils import settings
from utils.errors import NotebookError, SettingsError

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

_NAME = re.compile(r"(\d+)_\w+")


@dataclass(frozen=True)
class Notebook:
    """One numbered notebook, read but not run.

    Attributes:
        path: its file.
        number: its place in the order.
        content: its cells.
        parameters: the names and values of its cell tagged ``parameters``.
    """

    path: Path
    number: int
    content: NotebookNode
    parameters: Mapping[str, object]

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem


def select(folder: Path, only: Sequence[str] = (), start_from: str | None = None) -> list[Notebook]:
    """Read the notebooks of a folder that are asked for, in the order of their numbers.

    Args:
        folder: where the notebooks are, named ``<number>_<name>.ipynb``.
        only: numbers or names; empty for all.
        start_from: number or name of the first one.

    Raises:
        NotebookError: if one does not exist or cannot be read.
    """
    paths = sorted(
        (path for path in folder.glob("*.ipynb") if _NAME.fullmatch(path.stem)), key=lambda path: (_number(path), path)
    )
    if not paths:
        raise NotebookError(f"there is no numbered notebook (01_name.ipynb) in {folder}: check ANOMALY_ROOT")
    wanted = {path for token in only for path in _find(token, paths)} if only else set(paths)
    if start_from is not None:
        first = _number(_find(start_from, paths)[0])
        wanted = {path for path in wanted if _number(path) >= first}
    if not wanted:
        raise NotebookError(f"no notebook of {', '.join(only)} comes at or after {start_from}: name other ones")
    return [_read(path) for path in paths if path in wanted]


def check(notebook: Notebook, given: Mapping[str, object]) -> dict[str, object]:
    """Check parameters against those that the notebook declares, and return them as they will be set.

    Raises:
        NotebookError: if the notebook has no such parameter, or it is of another type.
        SettingsError: if ``SOURCE`` or ``BUDGET`` has a value that does not exist.
        CatalogError: if ``DATASETS`` names a data set that does not exist.
    """
    for name in given:
        if name not in notebook.parameters:
            known = ", ".join(notebook.parameters) or "none"
            raise NotebookError(f"{notebook.name} has no parameter {name!r}: its parameters are {known}")
    checked = {name: _fitting(notebook, name, value) for name, value in given.items()}
    _check_meaning(notebook.name, {**notebook.parameters, **checked})
    return checked


def inject(notebook: Notebook, values: Mapping[str, object]) -> NotebookNode:
    """Return a copy of the notebook with a cell behind its parameters that sets other values."""
    copy = _runnable(notebook)
    if values:
        place = next(k for k, cell in enumerate(copy.cells) if _tagged(cell, PARAMETERS_TAG))
        source = "\n".join(["# Set by the runner.", *(f"{name} = {value!r}" for name, value in values.items())])
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED_TAG]}, id="injected-parameters")
        copy.cells.insert(place + 1, cell)
    return copy


def rewrite(notebook: Notebook, values: Mapping[str, object]) -> NotebookNode:
    """Return a copy of the notebook whose own parameters cell has other values, its comments kept."""
    copy = _runnable(notebook)
    for cell in copy.cells:
        if _tagged(cell, PARAMETERS_TAG):
            cell.source = _replace_values(cell.source, values)
    return copy


def restore(content: NotebookNode, notebook: Notebook, values: Mapping[str, object]) -> NotebookNode:
    """Return a copy of a notebook that ran rewritten, with its own values again and a line that says what ran.

    Whoever opens it starts from the values that work everywhere, and still sees what its outputs were made with.
    """
    copy: NotebookNode = nbformat.from_dict(content)
    other = [f"{name} = {_literal(value)}" for name, value in values.items() if value != notebook.parameters[name]]
    own = next((cell.source for cell in notebook.content.cells if _tagged(cell, PARAMETERS_TAG)), "")
    for cell in copy.cells:
        if _tagged(cell, PARAMETERS_TAG) and other:
            cell.source = own
            cell.outputs = [nbformat.v4.new_output("stream", text=f"Outputs below: {', '.join(other)}\n")]
    return copy


def write(content: NotebookNode, path: Path) -> None:
    """Write a notebook without what differs from one machine or day to the next; complete or not at all.

    Raises:
        NotebookError: if it cannot be written.
    """
    for cell in content.cells:
        for volatile in ("execution", "papermill", "collapsed", "scrolled"):
            cell.metadata.pop(volatile, None)
    content.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    write_text(nbformat.writes(content) + "\n", path)


def check_folder(folder: Path) -> None:
    """Make a folder if there is none, and refuse one that nothing can be written to before hours were spent.

    Raises:
        NotebookError: if nothing can.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "it is read-only")
    except OSError as error:
        raise NotebookError(f"{folder} cannot be written ({error.strerror}): check its rights and room") from error


def write_text(text: str, path: Path) -> None:
    """Write a text file, complete or not at all.

    Raises:
        NotebookError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise NotebookError(
            f"{path} cannot be written ({error.strerror}): check its folder's rights and room"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.stem)
    return int(found[1]) if found else -1


def _find(token: str, paths: Sequence[Path]) -> list[Path]:
    name = token.strip().removesuffix(".ipynb")
    if name.isdecimal():
        found = [path for path in paths if _number(path) == int(name)]
    else:
        found = [path for path in paths if path.stem == name]
    if not found:
        raise NotebookError(f"there is no notebook {token!r}: there are {', '.join(path.stem for path in paths)}")
    return found


def _read(path: Path) -> Notebook:
    try:
        content = nbformat.read(path, as_version=4)
        nbformat.validate(content)
    except (OSError, ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotebookError(f"{path.name} is no readable notebook ({first}): restore the file") from error
    return Notebook(path, _number(path), content, _declared(path.name, content.cells))


def _declared(name: str, cells: Iterable[NotebookNode]) -> dict[str, object]:
    for cell in cells:
        if _tagged(cell, PARAMETERS_TAG):
            try:
                return {target: ast.literal_eval(value) for target, value in _assignments(cell.source)}
            except (SyntaxError, ValueError, TypeError) as error:
                raise NotebookError(
                    f"the parameters cell of {name} must hold plain assignments of literals: {error}"
                ) from error
    return {}


def _assignments(source: str) -> list[tuple[str, ast.expr]]:
    found = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found.append((statement.targets[0].id, statement.value))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found.append((statement.target.id, statement.value))
    return found


def _replace_values(source: str, values: Mapping[str, object]) -> str:
    lines = source.splitlines()
    for name, value in reversed(_assignments(source)):
        if name in values and value.end_lineno is not None and value.end_col_offset is not None:
            head = lines[value.lineno - 1].encode()[: value.col_offset].decode()
            tail = lines[value.end_lineno - 1].encode()[value.end_col_offset :].decode()
            lines[value.lineno - 1 : value.end_lineno] = [f"{head}{_literal(values[name])}{tail}"]
    return "\n".join(lines)


def _literal(value: object) -> str:
    """Write a value as the house style does, with double quotes."""
    text = repr(value)
    return text.replace("'", '"') if '"' not in text and "\\" not in text else text


def _fitting(notebook: Notebook, name: str, value: object) -> object:
    own = notebook.parameters[name]
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(own, float) and type(value) is int:
        value = float(value)
    fits = own is None or type(value) is type(own)
    if fits and isinstance(own, list) and isinstance(value, list):
        kinds = {type(entry) for entry in own} or {str}
        fits = all(type(entry) in kinds for entry in value)
    if not fits:
        raise NotebookError(
            f"parameter {name} of {notebook.name} must be of type {type(own).__name__} like {own!r}, found {value!r}"
        )
    return value


def _check_meaning(name: str, values: Mapping[str, Any]) -> None:
    if values.get("SOURCE", "auto") not in settings.SOURCES:
        raise SettingsError(
            f"SOURCE of {name} must be one of {', '.join(settings.SOURCES)}, found {values['SOURCE']!r}: "
            "choose one of them"
        )
    if "BUDGET" in values:
        settings.budget(values["BUDGET"])
    if values.get("DATASETS"):
        from utils.datasets import catalog

        catalog.read(settings.current().catalog_file).require(values["DATASETS"])


def _runnable(notebook: Notebook) -> NotebookNode:
    """Copy a notebook without outputs, counts and whatever an earlier run injected."""
    copy: NotebookNode = nbformat.from_dict(notebook.content)
    copy.cells = [nbformat.from_dict(cell) for cell in copy.cells if not _tagged(cell, INJECTED_TAG)]
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy


def _tagged(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])
