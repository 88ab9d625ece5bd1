"""What each stage of the analysis leaves in the store, read as standings.

One reader a stage, found by the tag ``stage`` of a run. Own data sets are read like the project's, as tables and
metrics are named after the table that they are about. A run that lacks what a reader needs gives no standing.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from utils.leaderboard.reading import Snapshot
from utils.leaderboard.standings import (
    TRAINING_SPLITS,
    UNIT,
    Behind,
    Entry,
    Gap,
    Lead,
    Standing,
    between,
    by_draws,
    decided,
)

RULE, UNLABELLED, SELECTION, LABELLED = "one rule", "no labels", "with labels, defaults", "with labels"
SEQUENCES, SEQUENCES_LABELLED = "sequences", "sequences, with labels"
GRAPHS, GRAPHS_LABELLED, FEWER = "graphs", "graphs, with labels", "fewer features"
KINDS = (RULE, UNLABELLED, GRAPHS, SEQUENCES, SELECTION, FEWER, LABELLED, GRAPHS_LABELLED, SEQUENCES_LABELLED)
"""Kinds of standings, from what needs least to what needs most."""

TUNING, RETRAINING = "tuning", "retraining"
"""Stages that make champions; a retrained model stands on the board where it holds the title."""

TRIVIAL = frozenset({"flag everything", "dummy"})
STRICTEST = "new count vectors"
"""The protocol of labelled sessions whose test anomalies have counts that training does not hold."""

CORRECTED = "corrected resampled t-test"
DEFAULT_POINT = "best F1"
_INTERVAL = re.compile(r"^(\d\.\d+)")


@dataclass(frozen=True)
class Recorded:
    """What one run recorded.

    Attributes:
        run: its row of the store's runs.
        store: the store.
    """

    run: Mapping[str, Any]
    store: Snapshot

    @property
    def metrics(self) -> Mapping[str, float]:
        """Numbers by name."""
        return self.store.numbers(str(self.run["run"]))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of a stored table; none where there is no such table."""
        return self.store.table(self.run, name)

    def tables_named(self, ending: str) -> list[tuple[str, list[dict[str, Any]]]]:
        """Stored tables whose name ends so: what stands before the ending, and the rows."""
        listed = re.findall(r'"tables/([^"]+)\.json"', str(self.run["tables"] or ""))
        found = [(name.removesuffix(ending), self.rows(name)) for name in listed if name.endswith(ending)]
        return [(name, rows) for name, rows in found if rows]


Reader = Callable[[Recorded], Iterable[Standing]]


def reader_of(stage: str | None) -> Reader | None:
    """Find the reader of a stage: its own, or that of graphs for every stage that is named after them."""
    return READERS.get(str(stage)) or (_graphs if "graph" in str(stage) else None)


def headline_of(stage: str | None) -> "tuple[str, str, Headline] | None":
    """Find what the history shows of a stage: its kind, the metric in words, and where it is."""
    return HEADLINES.get(str(stage)) or ((GRAPHS, "F1", _graph_f1) if "graph" in str(stage) else None)


def standings(recorded: Recorded) -> list[Standing]:
    """Read the standings of a run; none where its stage has no methods to compare."""
    reader = reader_of(recorded.run["stage"])
    return [] if reader is None else [found for found in reader(recorded) if found.entries]


def _rules(recorded: Recorded) -> Iterable[Standing]:
    for metric in [name for name in recorded.metrics if name.endswith("_rule_f1")]:
        yield _rule(recorded, metric.removesuffix("_rule_f1"))
    if rows := recorded.rows("novelty"):
        yield _session_rules(recorded, rows)


def _rule(recorded: Recorded, table: str) -> Standing:
    """The rule that training rows chose, and those that came after it there."""
    numbers, rows = recorded.metrics, recorded.rows(f"{table}_rules")
    said = next((row for row in recorded.rows(f"{table}_estimates") if row.get("metric") == "f1"), {})
    reached = {f"f1{end}": numbers.get(f"{table}_rule_f1{end}") for end in ("", "_low", "_high")}
    reached["alarms"] = _thousand(numbers.get(f"{table}_false_alarm_rate"))
    words = str(said.get("threshold") or "on training rows")
    best = _entry(_rule_words(rows[0]) if rows else RULE, reached, words)
    others = [
        _entry(
            _rule_words(row),
            {"f1": _number(row, "test_f1"), "alarms": _alarms(row, "test_false_alarm_rate")} | _tested(row, "rule"),
        )
        for row in rows[1:]
    ]
    best = replace(best, stored=str(rows[0].get("rule") or "")) if rows else best
    lead = between(best, others[0], "f1") if others else Lead(best.method)
    trivial, unit = numbers.get(f"{table}_trivial_f1"), str(said.get("unit") or UNIT)
    return Standing(RULE, table, [best, *others], lead=lead, trivial=trivial, unit=unit)


def _rule_words(row: Mapping[str, Any]) -> str:
    """A rule in few words: feature, direction and cut."""
    feature, cut = row.get("feature"), _number(row, "cut")
    if row.get("kind") == "number" and cut is not None:
        return f"{feature} {'≤' if row.get('direction') == 'low' else '≥'} {_cut(cut)}"
    return f"{feature} in a list" if row.get("kind") == "nominal" else str(row.get("rule") or feature or RULE)


def _cut(value: float) -> str:
    """Four digits of a threshold, and all digits of a large one."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _session_rules(recorded: Recorded, rows: Sequence[Mapping[str, Any]]) -> Standing:
    draws = {str(row.get("rule")): row for row in recorded.rows("novelty_draws")}
    entries = [
        _entry(
            _spaced(row.get("rule")),
            _limits(row)
            | _numbers(draws.get(str(row.get("rule")), {}), mean="mean", worst="min")
            | _tested(draws.get(str(row.get("rule")), row), "rule")
            | {"alarms": _alarms(row, "false_alarm_rate")},
            str(row.get("sentence") or ""),
        )
        for row in rows
    ]
    ranked = "mean" if draws else "f1"
    ordered = _ordered(entries, ranked)
    lead = _lead_of_means(ordered) if draws else _lead(ordered, "f1")
    return Standing(RULE, "sequences", ordered, ranked, lead=lead, unit="session", picked=len(ordered))


def _lead_of_means(ordered: Sequence[Entry]) -> Lead:
    if len(ordered) < 2 or ordered[1].behind:
        return _lead(ordered, "mean")
    first, second = ordered[:2]
    said = f"{first.method} over {second.method}: cannot be tested, as means over draws are stored and not each draw"
    return Lead(first.method, second.method, "mean", first.value("mean") - second.value("mean"), sentence=said)


def _detectors(recorded: Recorded) -> Iterable[Standing]:
    for table, rows in recorded.tables_named("_detectors"):
        entries = [
            _entry(
                _spaced(row.get("detector")),
                _numbers(
                    row, f1="f1", f1_low="f1_low", f1_high="f1_high", auc="roc_auc", auc_low="low", auc_high="high"
                )
                | {"alarms": _alarms(row, "real"), "seconds": _number(row, "seconds")}
                | _tested(row, "detector"),
                f"{_number(row, 'nominal') or 0:.0%} of normal training rows flagged",
            )
            for row in rows
            if row.get("detector") not in TRIVIAL
        ]
        ordered = _ordered(entries, "auc")
        lead, trivial = _lead(ordered, "auc"), _trivial(rows, "detector")
        yield Standing(UNLABELLED, table, ordered, "auc", lead=lead, trivial=trivial, picked=len(ordered))


def _classifiers(recorded: Recorded) -> Iterable[Standing]:
    for table, rows in recorded.tables_named("_classifiers"):
        models = sorted((row for row in rows if row.get("model") not in TRIVIAL), key=_f1, reverse=True)
        entries = [
            _entry(
                str(row.get("model")),
                _numbers(row, f1="f1", f1_low="f1_low", f1_high="f1_high", seconds="fit_seconds")
                | _numbers(row, auc="roc_auc", auc_low="roc_auc_low", auc_high="roc_auc_high"),
                "0.5, not chosen",
            )
            for row in models
        ]
        lead, trivial = _selection_lead(models), _trivial(rows, "model")
        yield Standing(
            SELECTION, table, entries, protocol=TRAINING_SPLITS, lead=lead, trivial=trivial, picked=len(entries)
        )


def _selection_lead(models: Sequence[Mapping[str, Any]]) -> Lead:
    """The lead over the second model; the table compares each with the best."""
    if len(models) < 2:
        return Lead(str(models[0].get("model"))) if models else Lead("")
    first, second = models[:2]
    gap, low, high = (_number(second, f"difference{end}") for end in ("", "_low", "_high"))
    lead = Gap(_minus(gap), _minus(high), _minus(low), _number(second, "p_value"))
    names = (str(first.get("model")), str(second.get("model")))
    return decided(*names, "f1", lead, CORRECTED, comparisons=len(models) - 1)


def _champions(recorded: Recorded) -> Iterable[Standing]:
    protocols = recorded.rows("protocols")
    guessed = next((str(row["model"]) for row in protocols if row.get("model")), "champion")
    name = str(recorded.run.get("classifier") or guessed)
    for table, rows in recorded.tables_named("_operating_points"):
        points = {str(row.get("rule")): row for row in rows}
        rule = champion_rule(recorded, points)
        shared = {
            "auc": recorded.metrics.get(f"{table}_roc_auc"),
            "seconds": _mean_seconds(recorded.rows(f"{table}_gains")),
        }
        entries = [
            _entry(
                name,
                shared | _numbers(row, f1="f1", f1_low="f1_low", f1_high="f1_high", alarms="alarms"),
                f"by {place}: {row.get('chosen') or ''}".strip(": "),
            )
            for place, row in sorted(points.items(), key=lambda point: point[0] != rule)
        ]
        gain = Gap(*(recorded.metrics.get(f"{table}_{part}_f1") for part in ("difference", "low", "high")))
        lead = decided("tuned", "default parameters", "f1", gain, CORRECTED)
        yield Standing(LABELLED, table, entries, lead=lead)


def champion_rule(recorded: Recorded, points: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the operating point that the champion carries: as the run says, or the one whose F1 its version has.

    Args:
        recorded: the run.
        points: rows of the table of operating points by the rule that chose them.
    """
    if (said := str(recorded.run.get("rule") or "")) in points:
        return said
    made = recorded.store.f1_of_versions.get(str(recorded.run["data_set"]), ())
    own_first = sorted(made, key=lambda version: version[0] != recorded.run["run"])
    for _, text in own_first:
        found = _INTERVAL.match(text)
        rules = [rule for rule, row in points.items() if found and f"{_f1(row):.3f}" == found[1]]
        if rules:
            return DEFAULT_POINT if DEFAULT_POINT in rules else rules[0]
    return DEFAULT_POINT if DEFAULT_POINT in points else next(iter(points), "")


def _representations(recorded: Recorded) -> Iterable[Standing]:
    for table, rows in recorded.tables_named("_representations"):
        entries = [
            _entry(
                f"{row.get('model')}, {row.get('representation')} ({row.get('size')})",
                _limits(row)
                | {"seconds": _sum(_number(row, "prepare_seconds"), _number(row, "fit_seconds"))}
                | _tested(row),
                "0.5, not chosen",
            )
            for row in rows
        ]
        ordered = _ordered(entries, "f1")
        yield Standing(FEWER, table, ordered, protocol=TRAINING_SPLITS, lead=_lead(ordered, "f1"), picked=len(ordered))


def _graphs(recorded: Recorded) -> Iterable[Standing]:
    """Every stored table of detectors with F1 and an interval: of edges, of hosts."""
    for table, rows in recorded.tables_named(""):
        if not {"detector", "f1", "low", "high", "roc_auc"} <= set(rows[0]) or all(_f1(row) < 0 for row in rows):
            continue
        trivial = _trivial(rows, "detector")
        for kind, labelled in ((GRAPHS, False), (GRAPHS_LABELLED, True)):
            entries = [
                _entry(
                    str(row.get("detector")),
                    _limits(row)
                    | _numbers(row, auc="roc_auc", seconds="seconds")
                    | {"alarms": _alarms(row, "real")}
                    | _tested(row),
                    str(row.get("threshold") or ""),
                )
                for row in rows
                if row.get("detector") not in TRIVIAL and ("labels" in str(row.get("detector"))) == labelled
            ]
            ordered, protocol = _ordered(entries, "f1"), "latest part"
            lead, picked = _lead(ordered, "f1"), len(ordered)
            yield Standing(kind, table, ordered, protocol=protocol, lead=lead, trivial=trivial, picked=picked)


def _sequences(recorded: Recorded) -> Iterable[Standing]:
    for table, rows in recorded.tables_named("_detectors"):
        yield _unlabelled_sessions(recorded, table, rows)
    labelled = recorded.rows("with_labels")
    for table in dict.fromkeys(str(row.get("table")) for row in labelled):
        yield _labelled_sessions(table, [row for row in labelled if str(row.get("table")) == table])


def _unlabelled_sessions(recorded: Recorded, table: str, rows: Sequence[Mapping[str, Any]]) -> Standing:
    draws: dict[str, dict[Any, float]] = {}
    for row in recorded.rows(f"{table}_draws"):
        if (found := _number(row, "f1")) is not None:
            draws.setdefault(str(row.get("detector")), {})[row.get("draw")] = found
    most = max(map(len, draws.values()), default=0)
    draws = {name: each for name, each in draws.items() if len(each) == most}
    first = {str(row.get("detector")): row for row in reversed(rows) if row.get("detector") not in TRIVIAL}
    entries = [_session_entry(name, row, list(draws.get(name, {}).values())) for name, row in first.items()]
    ranked = "mean" if draws else "f1"
    ordered = _ordered(entries, ranked)
    lead = _lead(ordered, "f1")
    if draws and len(draws) > 1 and len(ordered) > 1:
        ahead, behind = (draws.get(entry.method, {}) for entry in ordered[:2])
        shared = [draw for draw in ahead if draw in behind]
        names = (ordered[0].method, ordered[1].method)
        values = ([each[draw] for draw in shared] for each in (ahead, behind))
        lead = by_draws(*names, *values, picked=len(draws))
    trivial = _trivial(rows, "detector")
    return Standing(SEQUENCES, table, ordered, ranked, lead=lead, trivial=trivial, unit="session", picked=len(ordered))


def _session_entry(name: str, row: Mapping[str, Any], draws: Sequence[float]) -> Entry:
    steady = {"mean": sum(draws) / len(draws) if draws else None, "worst": min(draws, default=None)}
    own = _numbers(row, auc="roc_auc", seconds="seconds") | {"alarms": _alarms(row, "real")}
    return _entry(name, _limits(row) | own | steady, str(row.get("threshold") or ""))


def _labelled_sessions(table: str, rows: Sequence[Mapping[str, Any]]) -> Standing:
    """The protocol that shares least with training."""
    protocols = {str(row.get("protocol")): _number(row, "shared") or 0.0 for row in rows}
    strictest = STRICTEST if STRICTEST in protocols else min(protocols, key=lambda name: protocols[name])
    chosen = [row for row in rows if row.get("protocol") == strictest]
    entries = [
        _entry(
            str(row.get("model")),
            _limits(row) | _numbers(row, seconds="seconds") | _tested(row),
            str(row.get("threshold") or ""),
        )
        for row in chosen
        if row.get("model") not in TRIVIAL
    ]
    ordered = _ordered(entries, "f1")
    return Standing(
        SEQUENCES_LABELLED,
        table,
        ordered,
        protocol=f"{strictest} in each test part",
        lead=_lead(ordered, "f1"),
        trivial=_trivial(chosen, "model"),
        unit="session",
        picked=len(ordered),
    )


def _entry(method: str, reached: Mapping[str, Any], threshold: str = "") -> Entry:
    return replace(Entry(method, threshold=threshold), **reached)


def _numbers(row: Mapping[str, Any], **columns: str) -> dict[str, float | None]:
    """Numbers of an entry, each from the column of a row that is named."""
    return {name: _number(row, column) for name, column in columns.items()}


def _limits(row: Mapping[str, Any]) -> dict[str, float | None]:
    """F1 of a row whose interval is called ``low`` and ``high``."""
    return _numbers(row, f1="f1", f1_low="low", f1_high="high")


def _ordered(entries: Iterable[Entry], metric: str) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.value(metric), reverse=True)


def _lead(ordered: Sequence[Entry], metric: str) -> Lead:
    if len(ordered) < 2:
        return Lead(ordered[0].method if ordered else "")
    return between(ordered[0], ordered[1], metric, picked=(len(ordered), len(ordered)))


def _tested(row: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
    """What a stored row says of its distance from a better one (:func:`utils.evaluation.comparison.with_gaps`).

    Args:
        row: a row of a scoreboard.
        name: column of its name, where the leaderboard calls it otherwise.
    """
    gap, low, high, p_value = (_number(row, f"gap{end}") for end in ("", "_low", "_high", "_p_value"))
    against = Gap(_minus(gap), _minus(high), _minus(low), p_value)
    behind = Behind(str(row["compared_with"]), against, str(row["compared_by"])) if gap is not None else None
    return {"stored": str(row.get(name) or "") if name else "", "behind": behind}


def _trivial(rows: Iterable[Mapping[str, Any]], column: str) -> float | None:
    return next((_number(row, "f1") for row in rows if row.get(column) in TRIVIAL), None)


def _mean_seconds(rows: Sequence[Mapping[str, Any]]) -> float | None:
    found = [seconds for row in rows if (seconds := _number(row, "seconds")) is not None]
    return sum(found) / len(found) if found else None


def _spaced(name: object) -> str:
    """A class name in words: ``GaussianMixture`` becomes ``gaussian mixture``, ``OneClassSVM`` ``one class SVM``."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", str(name))
    return " ".join(part.strip() if part.isupper() else part.strip().lower() for part in parts)


def _f1(row: Mapping[str, Any]) -> float:
    found = _number(row, "f1")
    return float("-inf") if found is None else found


def _number(row: Mapping[str, Any], column: str) -> float | None:
    found = row.get(column)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _thousand(rate: float | None) -> float | None:
    return None if rate is None else 1_000 * rate


def _alarms(row: Mapping[str, Any], column: str) -> float | None:
    return _thousand(_number(row, column))


def _minus(number: float | None) -> float | None:
    return None if number is None else -number


def _sum(*numbers: float | None) -> float | None:
    found = [number for number in numbers if number is not None]
    return sum(found) if found else None


def _first_f1(recorded: Recorded) -> tuple[str, float] | None:
    found = {name: value for name, value in recorded.metrics.items() if name.endswith("_rule_f1")}
    drawn = {name: value for name, value in recorded.metrics.items() if name.endswith("_mean_f1")}
    return next(iter(found.items()), None) or max(drawn.items(), key=_second, default=None)


def _highest_auc(recorded: Recorded) -> tuple[str, float] | None:
    found = {name: value for name, value in recorded.metrics.items() if _DETECTOR.search(name)}
    return max(found.items(), key=_second, default=None)


def _highest_f1(recorded: Recorded) -> tuple[str, float] | None:
    numbers = recorded.metrics
    found = {
        name: value
        for name, value in numbers.items()
        if name.endswith("_f1") and (f"{name.removesuffix('f1')}fit_seconds" in numbers or _VIEW.search(name))
    }
    return max(found.items(), key=_second, default=None)


def _champion_f1(recorded: Recorded) -> tuple[str, float] | None:
    points: dict[str, dict[str, Any]] = {
        place: {"f1": value, "metric": name}
        for name, value in recorded.metrics.items()
        for place, ending in POINTS.items()
        if name.endswith(f"_{ending}_f1") and not name.endswith(f"_expected_{ending}_f1")
    }
    if not points:
        return None
    chosen = points[champion_rule(recorded, points)]
    return str(chosen["metric"]), float(chosen["f1"])


def _highest_mean(recorded: Recorded) -> tuple[str, float] | None:
    found = {name: value for name, value in recorded.metrics.items() if _DRAWN.search(name)}
    return max(found.items(), key=_second, default=None)


def _graph_f1(recorded: Recorded) -> tuple[str, float] | None:
    found = {name: value for name, value in recorded.metrics.items() if _EDGES.search(name) and "labels" not in name}
    return max(found.items(), key=_second, default=None)


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


POINTS: Mapping[str, str] = MappingProxyType(
    {DEFAULT_POINT: "best_F1", "new kinds": "new_kinds", "look-alikes": "look-alikes"}
)
"""Operating points that a champion may carry, and what their metrics are called."""

_DETECTOR = re.compile(r"_[A-Z]\w+_roc_auc$")
_VIEW = re.compile(r"_(?:all_features|top_by|recursive|principal|autoencoder)\w*_\d+_f1$")
_EDGES = re.compile(r"edges/[^/]+/f1$")
_DRAWN = re.compile(r"_draws/[^/]+/mean$")

Headline = Callable[[Recorded], tuple[str, float] | None]

HEADLINES: Mapping[str, tuple[str, str, Headline]] = MappingProxyType(
    {
        "baseline": (RULE, "F1", _first_f1),
        "detection": (UNLABELLED, "AUC", _highest_auc),
        "selection": (SELECTION, "F1", _highest_f1),
        TUNING: (LABELLED, "F1", _champion_f1),
        RETRAINING: (LABELLED, "F1", _champion_f1),
        "representation": (FEWER, "F1", _highest_f1),
        "sequences": (SEQUENCES, "mean F1", _highest_mean),
    }
)
"""What the history shows of each stage: its kind, the metric in words, and where among a run's metrics it is."""

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "baseline": _rules,
        "detection": _detectors,
        "selection": _classifiers,
        TUNING: _champions,
        RETRAINING: _champions,
        "representation": _representations,
        "sequences": _sequences,
    }
)
"""Reader of each stage."""
