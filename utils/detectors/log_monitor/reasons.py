"""Why a session stands out, in words: texts of templates, how often they are there and usually, and their lines."""

import re
from collections.abc import Mapping, Sequence

import polars as pl

from utils.detectors.log_monitor.surprise import UNKNOWN, CountSurprise
from utils.features.log_templates.estimator import ID_LENGTH

MOST_REASONS = 4
MOST_LINES = 3
LONGEST = 110
TEMPLATE_ID = re.compile(rf"\b[a-z2-7]{{{ID_LENGTH}}}\b")
NUMBERED = re.compile(r"\b(events?) (\d+(?:, \d+)*(?: and \d+)?)\b")


def clauses(
    surprise: CountSurprise,
    rows: pl.DataFrame,
    texts: Mapping[str, str],
    unit: str,
    *,
    lines: str | None = "lines",
    most: int = MOST_REASONS,
) -> list[list[str]]:
    """Say for each session which events make it unusual, the largest share first.

    Args:
        surprise: fitted on the training sessions.
        rows: the sessions: ``events``, and a list column with the line of each event.
        texts: text of each template by the name of its event.
        unit: what a session is called.
        lines: name of that column, if there is one.
        most: most events to name.

    Returns:
        For each session a list of clauses.
    """
    found = surprise.shares(rows)
    said = [_length(surprise, number or 0, unit) for number in rows["events"].list.len()]
    named = [0] * rows.height
    places = rows[lines].to_list() if lines and lines in rows.columns else None
    events = rows["events"].list.eval(pl.element().cast(pl.String)).to_list()
    for row, event, known, code, count in found.select("row", "event", "known", "code", "count").iter_rows():
        named[row] += 1
        if named[row] <= most:
            here = [] if places is None else _lines_of(event, events[row], places[row])
            said[row].append(_clause(surprise, quoted(event, texts), known, code, count, unit, _listed_lines(here)))
    for row, left, new in _left_out(found, most).iter_rows():
        s, are = ("s", "are") if left > 1 else ("", "is")
        said[row].append(f"and {left:,} more event{s} that {are} unusual here{f', {new:,} of them new' if new else ''}")
    return said


def _left_out(found: pl.DataFrame, most: int) -> pl.DataFrame:
    """Sessions with more unusual events than are named: how many more, and how many of these are new."""
    place = pl.int_range(pl.len()).over("row")
    left = found.filter(place >= most)
    return left.group_by("row", maintain_order=True).agg(pl.len(), (~pl.col("known")).sum().alias("new"))


def _length(surprise: CountSurprise, number: int, unit: str) -> list[str]:
    """A clause where a session has fewer or more events than any training session."""
    least, middle, highest = surprise.lengths_
    if least <= number <= highest:
        return []
    return [f"{number:,} events: training {unit}s have {least:,} to {highest:,}, usually {middle:,}"]


def readable(sentence: str, texts: Mapping[str, str]) -> str:
    """Put the texts of templates in place of their ids in the sentence of a detector."""
    named = TEMPLATE_ID.sub(lambda found: quoted(found[0], texts) if found[0] in texts else found[0], sentence)
    return NUMBERED.sub(lambda found: _numbers(found[1], found[2], texts), named)


def quoted(event: str, texts: Mapping[str, str]) -> str:
    """Text of an event's template in quotation marks, shortened; its name where it has no text."""
    if event == UNKNOWN:
        return "a line of no known template"
    text = texts.get(event)
    if text is None:
        return f"event {event}"
    shown = " ".join(text.split())
    return f'"{shown}"' if len(shown) <= LONGEST else f'"{shown[: LONGEST - 3]}..."'


def _clause(surprise: CountSurprise, named: str, known: bool, code: int, count: int, unit: str, where: str) -> str:
    """One clause: what is new, missing, rare, or there more or less often than usual."""
    all_sessions = f"{surprise.n_sessions_:,.0f} training {unit}s"
    if not known:
        return f"{named}{_times(count)}{where} is new: none of {all_sessions} has it"
    present, middle, highest = surprise.usual(code)
    has = f"{present:,.0f} of {all_sessions} {'has' if present == 1 else 'have'} it"
    if not count:
        return f"{named} is missing: {has}"
    if count > highest:
        return f"{named}{_times(count)}{where}, more than ever in training: {has}, at most {highest:,} times"
    return f"{named}{_times(count)}{where}: {has}, usually {middle:,} and at most {highest:,} times"


def _times(count: int) -> str:
    return f" {count:,} times" if count > 1 else " once"


def _lines_of(event: str, events: Sequence[str | None], lines: Sequence[object]) -> list[str]:
    """Lines of an event in its session."""
    wanted = None if event == UNKNOWN else event
    return [str(line) for found, line in zip(events, lines, strict=True) if found == wanted]


def _listed_lines(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    if len(lines) == 1:
        return f" (line {lines[0]})"
    if len(lines) > MOST_LINES:
        return f" (lines {lines[0]} to {lines[-1]})"
    return f" (lines {', '.join(lines[:-1])} and {lines[-1]})"


def _numbers(word: str, numbers: str, texts: Mapping[str, str]) -> str:
    known = re.findall(r"\d+", numbers)
    if not all(number in texts for number in known):
        return f"{word} {numbers}"
    return re.sub(r"\d+", lambda found: f"{found[0]} {quoted(found[0], texts)}", f"{word} {numbers}")
