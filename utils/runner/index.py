"""``reports/index.html``: one page that leads to every executed notebook, with what each asked and found.

Made after every run, also of one that failed. It is a file among the pages that it links and fetches nothing; what the
store does not tell (because it cannot be read, say) is left out.
"""

import contextlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from utils.errors import LabError, NotebookError
from utils.runner import notebooks, report
from utils.runner.notebooks import Notebook

if TYPE_CHECKING:
    from utils.leaderboard.executions import Execution, Told
    from utils.runner import Outcome

NAME = "index.html"
TITLE = "Executed notebooks"
WORDS: Mapping[str, str] = {
    "finished": "ok",
    "failed": "failed",
    "killed": "interrupted",
    "running": "interrupted",
    "scheduled": "not run",
}
"""Status of an execution in the store, as the runner calls it."""

_STYLE = """
section{border-top:1px solid #e4e8ec;padding:.2em 0 .6em}section h2{border:0;margin:.8em 0 .1em;font-size:1.15em}
section p{margin:.2em 0}section ul{margin:.3em 0;padding-left:1.2em;font-size:.92em}
.state{font-size:.88em;color:#5b6875}.state b{color:#22303c}.state .bad{color:#a11d33}
.simulated{background:#fff6e0;border-left:4px solid #e69f00;padding:.5em .9em}
"""
_QUESTION = re.compile(r"\*\*Question\W*\*\*\s*(.+?)(?:\n\s*\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


def readable(folder: Path) -> list[Notebook]:
    """Read all numbered notebooks of a folder, without those that cannot be read."""
    found = []
    for path in sorted(folder.glob("[0-9]*_*.ipynb")):
        with contextlib.suppress(NotebookError):
            found += notebooks.select(folder, [path.stem])
    return sorted(found, key=lambda notebook: (notebook.number, notebook.name))


def write(folder: Path, of: Sequence[Notebook], outcomes: Iterable["Outcome"] = ()) -> Path:
    """Write the page.

    Args:
        folder: where the reports are.
        of: the notebooks, those that did not run too.
        outcomes: how the notebooks of this run ended; of the others the store tells.

    Returns:
        The page.

    Raises:
        NotebookError: if it cannot be written.
    """
    page = folder / NAME
    notebooks.write_text(build(folder, of, outcomes), page)
    return page


def build(folder: Path, of: Sequence[Notebook], outcomes: Iterable["Outcome"] = ()) -> str:
    """Make the page as text (arguments as :func:`write`)."""
    known, ended = _executions(), {outcome.notebook: outcome for outcome in outcomes}
    sections = [_section(folder, one, known.get(one.name), ended.get(one.name)) for one in of]
    body = f"<h1>{TITLE}</h1>{_banner(known, of)}{''.join(sections)}"
    return report.frame(TITLE, body, style=_STYLE)


def _executions() -> "dict[str, Execution]":
    """What the store knows; nothing where there is none that can be read."""
    from utils.leaderboard import executions, reading

    try:
        return executions.newest(reading.read())
    except LabError:
        return {}


def _banner(known: "Mapping[str, Execution]", of: Sequence[Notebook]) -> str:
    """Say once on top which data sets are simulated wherever they occur."""
    told = [each for one in of if one.name in known for each in known[one.name].told]
    simulated = sorted({each.data_set for each in told if each.source == "simulated"})
    if not simulated:
        return ""
    everything = not any(each.source == "real" for each in told)
    what = "all results on this page come" if everything else f"results about {', '.join(simulated)} come"
    return f'<p class="simulated">SIMULATED DATA: {_text(what)} from simulators, not from real files.</p>'


def _section(folder: Path, notebook: Notebook, known: "Execution | None", outcome: "Outcome | None") -> str:
    opening = next((cell.source for cell in notebook.content.cells if cell.cell_type == "markdown"), "")
    title = _HEADING.search(opening)
    name = _text(title[1] if title else notebook.name)
    page = folder / f"{notebook.name}.html"
    heading = f'<a href="{quote(page.name)}">{name}</a>' if page.exists() else name
    question = _QUESTION.search(opening)
    asked = f"<p>{_text(' '.join(question[1].split()))}</p>" if question else ""
    error = str(outcome.error) if outcome and outcome.error else known.error if known and not outcome else ""
    failure = f'<p class="failed">{_text(error)}</p>' if error else ""
    results = _results(known.told if known else (), outcome)
    return f"<section><h2>{heading}</h2>{asked}{_state(known, outcome, page)}{failure}{results}</section>"


def _state(known: "Execution | None", outcome: "Outcome | None", page: Path) -> str:
    """Status, duration, parameters and time in one line."""
    status = outcome.status if outcome else WORDS.get(known.status, known.status) if known else "not run"
    seconds = outcome.seconds if outcome and outcome.status != "not run" else known.seconds if known else None
    facts = [f"<b{' class=bad' * (status != 'ok')}>{_text(status)}</b>"]
    if status != "not run":
        facts += [] if seconds is None else [f"{seconds:,.0f} s"]
        facts += _parameters(known) if known else []
    if not page.exists() and status == "ok":
        facts.append("no page in this folder: run it again")
    return f'<p class="state">{" · ".join(facts)}</p>'


def _parameters(known: "Execution") -> list[str]:
    """Where the data were to come from, the budget, and when it was."""
    source = f"source: {known.source}" if known.source else ""
    budget = f"budget: {known.budget}" if known.budget else ""
    return [
        _text(fact)
        for fact in (source, budget, f"{datetime.fromtimestamp(known.started / 1_000):%Y-%m-%d %H:%M}")
        if fact
    ]


def _results(told: "Iterable[Told]", outcome: "Outcome | None") -> str:
    """Key results by data set, each marked where it comes from simulated data."""
    if outcome is not None and outcome.status != "ok":
        return ""
    lines = [
        f"<li><b>{_text(each.data_set)}</b>{' (simulated)' * (each.source == 'simulated')}: "
        f"{'; '.join(map(_text, each.results))}</li>"
        for each in told
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _text(words: str) -> str:
    return html.escape(words)
