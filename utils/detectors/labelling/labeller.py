"""Labels for clusters and their events from shares of evidence, each with its interval.

An event with strong evidence of its own (an *alarm*: a signature, an attack tool, known bad content) is an attack,
wherever it lies. A cluster says what the events without an alarm are:

1. **Company.** Attacks come in company: the same client sends several. The share of events whose client has a history
   of alarms is known for alarms (about .65) and for the rest (about .05), from the data themselves and without labels;
   the share in a cluster then tells how many of its silent events are attacks (a mixture of two known rates), with the
   interval of the share. Clusters in which more than ``attack_share`` are surely attacks are attack, those in which
   surely fewer are good. Where alarms have no more company than others, company says nothing.
2. **Alarms.** If company does not decide: a cluster is attack where at least half of the events surely are alarms, or
   most surely carry suspicious marks; it is good where alarms surely are rare and marks surely are no majority.
3. **Seeds.** Known examples that fall into a cluster far more often than events do decide like alarms.
4. Everything else is unclassified: the interval does not decide. With several clusterings, fine to coarse, events of a
   fine cluster that does not decide are judged again with those of the next coarser one.

Noise, and what no cluster decides, is judged event by event: suspicious marks together with company or an odd agent, or
odds that follow from what the event shows and from the share of attacks among its like (Bayes, weights of evidence).

The size of a cluster is no evidence: it only decides how wide an interval is. Limits were chosen on simulated events
(see :class:`EvidenceLabeller`).

Sources:
    Wilson, JASA 1927 (intervals); Good, "Probability and the weighing of evidence", 1950; Ratner et al., "Snorkel:
    rapid training data creation with weak supervision", VLDB 2017 (rates of evidence learned without labels).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from utils.detectors.labelling.labels import (
    ATTACK,
    BY_ALARM,
    BY_CLUSTER,
    BY_MARKS,
    BY_NOTHING,
    BY_ODDS,
    GOOD,
    HOWS,
    NOISE,
    UNCLASSIFIED,
    ClusterLabels,
)
from utils.detectors.labelling.shares import Rates, Shares, count, learn_rates
from utils.errors import DataError, SchemaError
from utils.evaluation.inputs import Bools, Floats, Ints, as_fraction
from utils.evaluation.intervals import wilson

ALARMS = ("signature", "tool_agent")
SUSPICIONS = ("suspicion",)
COMPANY = ("client_history",)
SUPPORTS = ("client_history", "odd_agent")
LEVEL = 0.8
"""Coverage of the intervals; a limit is surely passed if it is with 90 %."""
SENTENCES = (
    "it lies in cluster {cluster}, which is {label}",
    "its own evidence is an alarm ({evidence})",
    "it has suspicious marks and {evidence}",
    "it shows {evidence}, and attacks are not rare among its like",
    "neither its cluster nor its own evidence decides",
)


class Seeds(NamedTuple):
    """Known examples: cluster of each for each level (seeds, levels), and whether each is bad (seeds,)."""

    clusters: Ints
    bad: Bools


@dataclass(frozen=True, eq=False)
class _Group:
    """A cluster that was judged: its number in the table, verdict (1 attack, -1 good, 0 open) and share of attacks."""

    number: int
    verdict: int
    attack_share: float


@dataclass(frozen=True, eq=False)
class _Flags:
    """Evidence as arrays: flags and whether they are known, by name; summaries over the roles."""

    flags: Mapping[str, Bools]
    known: Mapping[str, Bools]
    alarm: Bools
    suspicion: Bools
    support: Bools


class EvidenceLabeller(BaseEstimator):  # type: ignore[misc]
    """Call clusters good, attack or unclassified by the evidence of their events, and label every event.

    The default limits were chosen on simulated firewall events of twelve seeds (1001, 1011 to 1013 and 1021 to 1026
    with 8,000 rows, 1002 and 1003 with 58,000, with and without agents): of about 40 settings these kept most distance
    from both 95 % of the attacks and 1 % of the good events. None decides alone: recall moved by .02, false alarms by
    .005.

    Attributes:
        result_: clusters, evidence and labels of the events of training.
        labels_: labels of the events of training.
        rates_: how often attacks and others have each supporting evidence.
    """

    def __init__(
        self,
        *,
        alarms: Sequence[str] = ALARMS,
        suspicions: Sequence[str] = SUSPICIONS,
        company: Sequence[str] = COMPANY,
        supports: Sequence[str] = SUPPORTS,
        level: float = LEVEL,
        attack_share: float = 0.4,
        doubt: float = 0.1,
        alarm_shares: tuple[float, float] = (0.1, 0.5),
        suspicion_shares: tuple[float, float] = (0.5, 0.8),
        contrast: float = 0.1,
        odds: float = 0.6,
        seed_lift: float = 5.0,
    ) -> None:
        """Say what the columns of evidence mean and where the limits lie.

        Args:
            alarms: columns of which one alone makes an attack; the first is the one about content.
            suspicions: columns of weak marks of attacks.
            company: columns that do not depend on content and tell of attacks nearby (history of the client).
            supports: columns that, with a suspicion, make an attack.
            level: nominal coverage of the intervals.
            attack_share: share of attacks among silent events that company must surely exceed, or not reach.
            doubt: share of attacks that company may not surely exceed in a cluster that is good by rare alarms.
            alarm_shares: most share of alarms in a good cluster, least share in an attack cluster.
            suspicion_shares: the same for suspicions.
            contrast: least difference between alarms and others that makes company and supports informative.
            odds: probability from which an event is an attack by what it shows itself.
            seed_lift: how many times as often as events seeds must surely fall into a cluster.
        """
        self.alarms = alarms
        self.suspicions = suspicions
        self.company = company
        self.supports = supports
        self.level = level
        self.attack_share = attack_share
        self.doubt = doubt
        self.alarm_shares = alarm_shares
        self.suspicion_shares = suspicion_shares
        self.contrast = contrast
        self.odds = odds
        self.seed_lift = seed_lift

    def fit(
        self,
        clusters: ArrayLike,
        evidence: pl.DataFrame,
        *,
        seeds: Seeds | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> Self:
        """Weigh the evidence of each cluster.

        Args:
            clusters: cluster of each event, -1 for noise: shape (n,), or (n, levels), the finest clustering first.
            evidence: one Boolean column an evidence, n rows; null where it is not known. Columns that no role names are
                shown in the table and decide nothing; columns that are named and not there are not known of any event.
            seeds: known examples and the clusters that they fall into.
            absent: evidence that was not to be had, with the reason, for the result.

        Returns:
            The estimator itself.

        Raises:
            SchemaError: if the evidence is not Boolean or no alarm is among it.
            DataError: if clusters and evidence do not have the same rows, or a limit is no share.
        """
        self._check_limits()
        given = _as_levels(clusters, evidence.height)
        if not evidence.height:
            raise DataError("labels need at least one event, found none: give some")
        flags = self._flags(evidence)
        self.n_levels_ = given.shape[1]
        self._names = [np.unique(column[column >= 0]) for column in given.T]
        levels = self._coded(given)
        self.evidence_ = tuple(evidence.columns)
        self.rates_ = self._learn(flags)
        sizes = [np.bincount(column + 1) for column in levels.T]
        self._groups: list[dict[int, _Group]] = []
        self._rows: list[dict[str, object]] = []
        open_rows = np.ones(len(levels), dtype=np.bool_)
        for level in range(self.n_levels_):
            last = level == self.n_levels_ - 1
            groups = self._judge(levels[:, level], flags, np.flatnonzero(open_rows), sizes[level], seeds, level, last)
            self._groups.append(groups)
            decided = [name for name, group in groups.items() if group.verdict]
            open_rows &= ~np.isin(levels[:, level], decided)
        self._judge_noise(flags, np.flatnonzero(open_rows & (levels[:, -1] < 0)))
        self.result_ = self._result(levels, flags, absent or {})
        self.labels_ = self.result_.labels
        return self

    def predict(self, clusters: ArrayLike, evidence: pl.DataFrame) -> pl.Series:
        """Label new events: each by itself, whatever others are asked with it.

        Args:
            clusters: cluster of each event as in training, -1 for noise: shape (n,) or (n, levels).
            evidence: the columns of training, n rows.

        Returns:
            Labels (n,): ``"good"``, ``"attack"`` or ``"unclassified"``.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if evidence of training is not there or not Boolean.
            DataError: if rows or levels do not fit.
        """
        return self._answer(*self._asked(clusters, evidence))[0]

    def explain(self, clusters: ArrayLike, evidence: pl.DataFrame) -> list[str]:
        """Say for each event in one sentence what it is called and why.

        Args:
            clusters: as :meth:`predict`.
            evidence: as :meth:`predict`.

        Raises:
            NotFittedError: as :meth:`predict`.
            SchemaError: as :meth:`predict`.
            DataError: as :meth:`predict`.
        """
        levels, flags = self._asked(clusters, evidence)
        labels, how, groups = self._answer(levels, flags)
        verdicts = dict(zip(self.result_.table["cluster"], self.result_.table["label"], strict=True))
        sentences = []
        for row, (label, kind, cluster) in enumerate(zip(labels, how.tolist(), groups.tolist(), strict=True)):
            text = SENTENCES[kind].format(
                cluster=cluster, label=verdicts.get(cluster), evidence=_found(flags, row, self._shown(kind))
            )
            sentences.append(f"{label}: {text}.")
        return sentences

    def _asked(self, clusters: ArrayLike, evidence: pl.DataFrame) -> tuple[Ints, _Flags]:
        if not hasattr(self, "result_"):
            raise NotFittedError("EvidenceLabeller must be fitted before it labels events: call fit")
        missing = [name for name in self.evidence_ if name not in evidence.columns]
        if missing:
            raise SchemaError(f"evidence must have the columns of training, found no {', '.join(missing)}: add it")
        levels = _as_levels(clusters, evidence.height)
        if levels.shape[1] != self.n_levels_:
            expected = f"clusters must have the {self.n_levels_} levels of training"
            raise DataError(f"{expected}, found {levels.shape[1]}: predict them with the clusters of training")
        return self._coded(levels), self._flags(evidence.select(self.evidence_))

    def _coded(self, levels: Ints) -> Ints:
        """Number the clusters of training 0, 1, ... at each level; others are noise."""
        return np.stack([_codes(column, names) for column, names in zip(levels.T, self._names, strict=True)], axis=1)

    def _check_limits(self) -> None:
        for name in ("level", "attack_share", "doubt", "odds"):
            as_fraction(getattr(self, name), name, "choose a share such as 0.3")

    def _flags(self, evidence: pl.DataFrame) -> _Flags:
        """Evidence as arrays; what is not there is not known.

        Raises:
            SchemaError: if a column is not Boolean or no alarm is there.
        """
        unlike = [name for name, kind in evidence.schema.items() if kind not in (pl.Boolean, pl.Null)]
        if unlike or not set(self.alarms) & set(evidence.columns):
            odd = [f"{name} ({evidence.schema[name]})" for name in unlike] or evidence.columns
            expected = f"evidence must be Boolean columns with one of {', '.join(self.alarms)} among them"
            raise SchemaError(f"{expected}, found {', '.join(odd)}: give them, null where it is not known")
        known = {name: evidence[name].is_not_null().to_numpy() for name in evidence.columns}
        flags = {name: evidence[name].cast(pl.Boolean).fill_null(value=False).to_numpy() for name in evidence.columns}

        def any_of(names: Sequence[str]) -> Bools:
            present = [flags[name] for name in names if name in flags]
            return np.asarray(np.logical_or.reduce([np.zeros(evidence.height, dtype=np.bool_), *present]))

        return _Flags(flags, known, any_of(self.alarms), any_of(self.suspicions), any_of(self.supports))

    def _learn(self, flags: _Flags) -> dict[str, Rates]:
        first = next(name for name in self.alarms if name in flags.flags)
        names = [name for name in dict.fromkeys([*self.company, *self.supports]) if name in flags.flags]
        limits = (flags.flags[first], flags.alarm, self.level, self.contrast)
        return {name: learn_rates(flags.flags[name], flags.known[name], *limits) for name in names}

    def _judge(
        self,
        column: Ints,
        flags: _Flags,
        rows: Ints,
        sizes: Ints,
        seeds: Seeds | None,
        level: int,
        last: bool,
    ) -> dict[int, _Group]:
        """Judge the clusters of one level by their events that are open."""
        rows = rows[column[rows] >= 0]
        names, place = np.unique(column[rows], return_inverse=True)
        if not names.size:
            return {}
        shares = self._shares(flags, rows, place, len(names))
        mixtures = self._mixtures(flags, rows, place, len(names))
        low, high, middle = _attack_share(mixtures, len(names))
        from_seeds = self._seeded(names, sizes, seeds, level, len(column))
        verdicts, reasons = self._verdicts(shares, low, high, from_seeds)
        found = {}
        for at in np.flatnonzero((verdicts != 0) | last):
            estimate = (float(middle[at]), float(low[at]), float(high[at])) if mixtures else None
            judged = int(verdicts[at]), reasons[at]
            number = self._write(level, *judged, _at(shares, int(at)), estimate, int((place == at).sum()))
            found[int(names[at])] = _Group(number, int(verdicts[at]), float(middle[at]))
        return found

    def _judge_noise(self, flags: _Flags, rows: Ints) -> None:
        """Count the evidence of noise; its events are judged one by one."""
        place = np.zeros(len(rows), dtype=np.int64)
        mixtures = self._mixtures(flags, rows, place, 1)
        low, high, middle = _attack_share(mixtures, 1)
        self._noise = _Group(NOISE, 0, float(middle[0]))
        if rows.size:
            shares = self._shares(flags, rows, place, 1)
            estimate = (float(middle[0]), float(low[0]), float(high[0])) if mixtures else None
            reason = "noise: each event by its own evidence"
            self._write(None, 0, reason, _at(shares, 0), estimate, len(rows))

    def _shares(self, flags: _Flags, rows: Ints, place: Ints, size: int) -> dict[str, Shares]:
        all_known = np.ones(len(rows), dtype=np.bool_)
        found = {name: count(flags.flags[name][rows], flags.known[name][rows], place, size, self.level)
                 for name in flags.flags}  # fmt: skip
        found["alarm"] = count(flags.alarm[rows], all_known, place, size, self.level)
        found["mark"] = count(flags.suspicion[rows] | flags.alarm[rows], all_known, place, size, self.level)
        return found

    def _mixtures(self, flags: _Flags, rows: Ints, place: Ints, size: int) -> list[tuple[Rates, Shares]]:
        """Company of the silent events of each cluster, for each company that says something."""
        useful = [name for name in self.company if name in self.rates_ and self.rates_[name].informative]
        silent = ~flags.alarm[rows]
        return [
            (self.rates_[name],
             count(flags.flags[name][rows], flags.known[name][rows] & silent, place, size, self.level))
            for name in useful
        ]  # fmt: skip

    def _seeded(self, names: Ints, sizes: Ints, seeds: Seeds | None, level: int, rows: int) -> Ints:
        """What the seeds say of each cluster: 1 bad, -1 good, 0 nothing or both."""
        if seeds is None or not len(seeds.bad):
            return np.zeros(len(names), dtype=np.int64)
        given = _codes(_as_levels(seeds.clusters, len(seeds.bad))[:, level], self._names[level])
        lifted = []
        for chosen in (seeds.bad, ~np.asarray(seeds.bad, dtype=np.bool_)):
            inside = np.bincount(given[chosen] + 1, minlength=len(sizes))[names + 1]
            low = np.array([np.nan_to_num(wilson(k, int(chosen.sum()), self.level).low) for k in inside.tolist()])
            lifted.append(low >= self.seed_lift * sizes[names + 1] / rows)
        return lifted[0].astype(np.int64) - lifted[1].astype(np.int64)

    def _verdicts(
        self, shares: Mapping[str, Shares], low: Floats, high: Floats, seeded: Ints
    ) -> tuple[Ints, list[str]]:
        """Verdict of each cluster, 1 attack, -1 good, 0 open, and the reason in words."""
        alarm, mark = shares["alarm"], shares["mark"]
        many, few = low >= self.attack_share, high <= self.attack_share
        alarms, rare = alarm.least >= self.alarm_shares[1], alarm.most <= self.alarm_shares[0]
        marks, plain = mark.least >= self.suspicion_shares[1], mark.most <= self.suspicion_shares[0]
        quiet = rare & plain & (low <= self.doubt)
        rules = (
            (many, 1, "company tells of {low} or more attacks among the events without an alarm"),
            (few & ~alarms, -1, "company tells of at most {high} attacks among the events without an alarm"),
            (few, -1, "alarms ({alarm}), but company tells of at most {high} attacks among the other events"),
            (seeded > 0, 1, "known bad examples fall here far more often than events do"),
            (alarms, 1, "{alarm} of the events are alarms, {alarm_low} or more"),
            (marks, 1, "{mark} of the events have marks of attacks, {mark_low} or more"),
            ((seeded < 0) & rare, -1, "known good examples fall here far more often than events do"),
            (quiet, -1, "{alarm} of the events are alarms, at most {alarm_high}"),
        )
        verdicts, chosen = np.zeros(len(low), dtype=np.int64), np.full(len(low), len(rules))
        for place, (holds, verdict, _) in reversed(list(enumerate(rules))):
            verdicts[holds], chosen[holds] = verdict, place
        words = [*(text for *_, text in rules), "the interval does not decide: {alarm} of the events are alarms, "
                 "{alarm_low} to {alarm_high}"]  # fmt: skip
        numbers = _numbers(alarm, mark, low, high)
        return verdicts, [words[rule].format(**values) for rule, values in zip(chosen.tolist(), numbers, strict=True)]

    def _write(
        self,
        level: int | None,
        verdict: int,
        reason: str,
        shares: Mapping[str, tuple[float, float, float, int]],
        estimate: tuple[float, float, float] | None,
        events: int,
    ) -> int:
        """Write a row of the table and return its number; noise has no level."""
        number = NOISE if level is None else len(self._rows)
        label = {1: ATTACK, -1: GOOD, 0: UNCLASSIFIED}[verdict]
        row: dict[str, object] = {"cluster": number, "level": level, "rows": events, "label": label}
        row["reason"] = reason
        names = ("attack_share", "attack_share_low", "attack_share_high")
        row |= dict(zip(names, estimate or (None, None, None), strict=True))
        for name in self.evidence_:
            share, low, high, known = shares[name]
            row |= {name: share, f"{name}_low": low, f"{name}_high": high, f"{name}_known": known}
        self._rows.append(row)
        return number

    def _answer(self, levels: Ints, flags: _Flags) -> tuple[pl.Series, Ints, Ints]:
        """Label, what decided, and cluster of the table, for each event."""
        verdict, number, share = self._walk(levels)
        ratio = np.ones(len(levels))
        for name in self.supports:
            if name in self.rates_ and name in flags.flags:
                ratio = ratio * self.rates_[name].ratios(flags.flags[name], flags.known[name])
        likely = share * ratio / np.maximum(share * ratio + 1 - share, np.finfo(float).tiny)
        labels = np.array([GOOD, UNCLASSIFIED, ATTACK], dtype=object)[verdict + 1]
        how = np.where(verdict == 0, BY_NOTHING, BY_CLUSTER)
        supported = (verdict < 1) & flags.support
        conditions = [flags.alarm, supported & flags.suspicion, supported & (likely >= self.odds)]
        own = np.select(conditions, [BY_ALARM, BY_MARKS, BY_ODDS], BY_CLUSTER)
        labels[own != BY_CLUSTER], how[own != BY_CLUSTER] = ATTACK, own[own != BY_CLUSTER]
        return pl.Series("label", labels.tolist(), dtype=pl.String), how, number

    def _walk(self, levels: Ints) -> tuple[Ints, Ints, Floats]:
        """For each event the verdict, number and share of attacks of the finest cluster that decides, else the last."""
        rows = len(levels)
        verdict, number = np.zeros(rows, dtype=np.int64), np.full(rows, NOISE)
        share = np.full(rows, self._noise.attack_share)
        for column, groups, names in zip(levels.T, self._groups, self._names, strict=True):
            size = len(names)
            table = np.zeros((3, size))
            for name, group in groups.items():
                table[:, name] = group.verdict, group.number, group.attack_share
            judged = np.zeros(size, dtype=np.bool_)
            judged[list(groups)] = True
            mine = np.flatnonzero((verdict == 0) & (column >= 0))
            mine = mine[judged[column[mine]]]
            found = table[:, column[mine]]
            verdict[mine], number[mine], share[mine] = found[0], found[1], found[2]
        return verdict, number, share

    def _result(self, levels: Ints, flags: _Flags, absent: Mapping[str, str]) -> ClusterLabels:
        labels, how, number = self._answer(levels, flags)
        table = pl.DataFrame(self._rows, schema=self._schema(), orient="row")
        events = pl.DataFrame({"cluster": number, "label": labels})
        counts = events.group_by("cluster").agg(
            attack_events=(pl.col("label") == ATTACK).sum().cast(pl.Int64),
            unclassified_events=(pl.col("label") == UNCLASSIFIED).sum().cast(pl.Int64),
        )
        first = table.columns[: table.columns.index("reason") + 1]
        joined = table.join(counts, on="cluster", how="left", maintain_order="left").fill_nan(None)
        ordered = joined.select(*first, "attack_events", "unclassified_events", pl.exclude(*first, *counts.columns))
        named = pl.Series("how", [HOWS[kind] for kind in how.tolist()], dtype=pl.String)
        return ClusterLabels(ordered, number, labels, named, dict(self.rates_), dict(absent))

    def _schema(self) -> dict[str, type[pl.DataType]]:
        schema: dict[str, type[pl.DataType]] = {"cluster": pl.Int64, "level": pl.Int64, "rows": pl.Int64}
        schema |= {"label": pl.String, "reason": pl.String}
        schema |= dict.fromkeys(("attack_share", "attack_share_low", "attack_share_high"), pl.Float64)
        for name in self.evidence_:
            schema |= {
                name: pl.Float64,
                f"{name}_low": pl.Float64,
                f"{name}_high": pl.Float64,
                f"{name}_known": pl.Int64,
            }
        return schema

    def _shown(self, kind: int) -> Sequence[str]:
        return self.alarms if kind == BY_ALARM else self.supports


def _as_levels(clusters: ArrayLike, rows: int) -> Ints:
    """Clusters as a matrix of whole numbers from -1 on (n, levels).

    Raises:
        DataError: if there is no level, or rows or numbers do not fit.
    """
    found = clusters.to_numpy() if isinstance(clusters, pl.Series) else np.asarray(clusters)
    levels = found.reshape(len(found), -1) if found.ndim != 2 and len(found) else found
    levels = levels.reshape(0, 1) if levels.ndim != 2 else levels
    if len(levels) != rows or not levels.shape[1]:
        raise DataError(
            f"clusters must be given for each of {rows:,} events, found {len(levels):,}: take the same rows"
        )
    if levels.dtype.kind not in "iu" or (levels < NOISE).any():
        raise DataError(f"clusters must be whole numbers from -1 on, found {levels.dtype}: number them, noise is -1")
    return levels.astype(np.int64)


def _codes(column: Ints, names: Ints) -> Ints:
    place = np.searchsorted(names, column)
    known = (place < len(names)) & (np.append(names, NOISE)[place] == column)
    return np.where(known & (column >= 0), place, NOISE)


def _attack_share(mixtures: Sequence[tuple[Rates, Shares]], size: int) -> tuple[Floats, Floats, Floats]:
    """Lower and upper limit and middle of the share of attacks among silent events; 0, 1 and 0 if nothing is known."""
    low, high, middle = np.zeros(size), np.ones(size), np.zeros(size)
    for rates, shares in mixtures:
        low = np.maximum(low, rates.mixture(shares.least))
        high = np.minimum(high, rates.mixture(shares.most))
        middle += rates.mixture((shares.found + rates.other) / (shares.known + 1)) / len(mixtures)
    return np.clip(low, 0, 1), np.clip(high, 0, 1), np.clip(middle, 0, 1)


def _numbers(alarm: Shares, mark: Shares, low: Floats, high: Floats) -> list[dict[str, str]]:
    """Numbers for the reasons in words, one mapping a cluster."""
    columns = {
        "alarm": alarm.share, "alarm_low": alarm.low, "alarm_high": alarm.high,
        "mark": mark.share, "mark_low": mark.low, "low": low, "high": high,
    }  # fmt: skip
    return [{name: f"{100 * values[at]:.3g} %" for name, values in columns.items()} for at in range(len(low))]


def _at(shares: Mapping[str, Shares], at: int) -> dict[str, tuple[float, float, float, int]]:
    """Share, limits and number of known events of one cluster, by evidence."""
    return {name: (float(each.share[at]), float(each.low[at]), float(each.high[at]), int(each.known[at]))
            for name, each in shares.items()}  # fmt: skip


def _found(flags: _Flags, row: int, names: Sequence[str]) -> str:
    found = [name.replace("_", " ") for name in names if name in flags.flags and flags.flags[name][row]]
    return " and ".join(found) or "nothing"
