"""The numbered checks and :func:`check`, which runs those that apply to a data set, by the roles of its columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import polars as pl

from utils.audit import columns, labels, rows, sequences, splits
from utils.audit.finding import SEVERITIES, Finding, order
from utils.datasets import profile
from utils.datasets.contract import Dataset, Roles

FIRST_PLACE, LAST_PLACE = "first_line", "last_line"
KEY = "_row"


@dataclass(frozen=True)
class View:
    """One frame of a data set, as the checks look at it.

    Attributes:
        dataset: the data set.
        name: the frame's name.
    """

    dataset: Dataset
    name: str

    @property
    def roles(self) -> Roles:
        """What the columns mean."""
        return self.dataset.roles[self.name]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The frame without columns of Python objects, on which nothing can be computed."""
        frame = self.dataset.frames[self.name]
        return frame.select(name for name, dtype in frame.schema.items() if not isinstance(dtype, pl.Object))

    def known(self, name: str | None) -> str | None:
        """Return a column's name if the frame has it."""
        return name if name in self.frame.columns else None

    @cached_property
    def offered(self) -> tuple[str, ...]:
        """Columns that a model may use."""
        return tuple(name for name in self.roles.features if name in self.frame.columns)

    @cached_property
    def declared(self) -> tuple[str, ...]:
        """Columns whose role is to name or to place a row."""
        named = (*self.roles.identity, self.roles.time, self.roles.group)
        return tuple(name for name in dict.fromkeys(named) if name is not None and name in self.frame.columns)

    @cached_property
    def free(self) -> tuple[str, ...]:
        """Columns that are neither label nor split nor sequence nor made from the label."""
        roles, reasons = self.roles, self.roles.withheld
        taken = {roles.label, roles.anomaly_type, roles.split, roles.sequence}
        rest = (name for name in self.frame.columns if name not in taken)
        return tuple(name for name in rest if not columns.is_label_made(name, reasons.get(name, "")))

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Free columns that say something about a row rather than naming it."""
        return tuple(name for name in self.free if name not in self.declared)

    @cached_property
    def is_sequence(self) -> bool:
        """Whether a row is a sequence of events."""
        return self.known(self.roles.sequence) is not None

    @cached_property
    def keyed(self) -> pl.DataFrame | None:
        """Key of each row's content beside label, kind, split and group; nothing if contents cannot tell rows apart.

        Rows without content (every feature missing or zero, as of a pair of hosts that exchange nothing) are left out:
        they equal each other as a matter of course.
        """
        content = (self.roles.sequence,) if self.is_sequence else self.offered
        names = tuple(name for name in content if name is not None)
        if not names or not (self.is_sequence or profile.can_differ(self.frame, names)):
            return None
        roles = self.roles
        kept = (self.known(name) for name in (roles.label, roles.anomaly_type, roles.split, roles.group))
        keep = [self.frame[name] for name in dict.fromkeys(kept) if name is not None]
        keyed = pl.DataFrame([*keep, rows.row_keys(self.frame, names).alias(KEY)])
        return keyed if self.is_sequence else keyed.filter(rows.has_content(self.frame, names))

    @cached_property
    def groups_hold_twins(self) -> bool:
        """Whether equal rows are always of the same group."""
        group = self.known(self.roles.group)
        if group is None or self.keyed is None:
            return False
        return bool(self.keyed.group_by(KEY).agg(pl.col(group).n_unique())[group].max() == 1)

    @property
    def twins_stay_together(self) -> bool:
        """Whether the group of the roles keeps equal rows on one side of a split that is still to be made."""
        return self.groups_hold_twins and self.known(self.roles.split) is None

    @cached_property
    def once(self) -> pl.DataFrame:
        """The rows; where the group numbers equal rows, each of them once with each label.

        A column of measurements is learned by heart where its rows stand in other folds too: what it says must hold
        for rows that differ.
        """
        group, label = self.known(self.roles.group), self.known(self.roles.label)
        if group is None or label is None or self.keyed is None:
            return self.frame
        if self.keyed.group_by(group).agg(pl.col(KEY).n_unique())[KEY].max() != 1:
            return self.frame
        return self.frame.unique([group, label], keep="first", maintain_order=True)

    @property
    def are_parts(self) -> bool:
        """Whether rows are parts of a whole, as pairs of hosts are of a window: their label may depend on the rest."""
        return self.known(self.roles.group) is not None and not self.groups_hold_twins


@dataclass(frozen=True)
class Check:
    """One numbered check.

    Attributes:
        code: its number.
        title: what it looks for.
        function: the check itself, for plain tables.
        source: where the idea is from.
        run: the check on one frame of a data set; ``None`` if it needs more than a data set holds.
    """

    code: str
    title: str
    function: Callable[..., list[Finding]]
    source: str
    run: Callable[[View], list[Finding]] | None = None


def check(dataset: Dataset) -> list[Finding]:
    """Run every check that applies to a data set.

    A check that fails on an odd column is reported as A000 and does not hide the others.

    Returns:
        The findings of all frames that have roles, the gravest first.
    """
    views = [View(dataset, name) for name in dataset.frames if name in dataset.roles]
    return order(finding for view in views for one in CHECKS.values() for finding in _run(one, view))


def _run(one: Check, view: View) -> list[Finding]:
    if one.run is None or view.frame.is_empty():
        return []
    try:
        found = one.run(view)
    except Exception as problem:  # a user's odd column must not hide what the other checks find
        found = [_failed(one, problem)]
    return [replace(finding, frame=view.name) for finding in found]


def _failed(one: Check, problem: Exception) -> Finding:
    evidence = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else 'no message'}"
    return Finding(
        "A000",
        "low",
        f"Check {one.code} ({one.title}) could not run.",
        evidence,
        "Look at the types of the columns; what this check looks for may be there.",
    )


def _handled(findings: list[Finding], *, handled: bool = True) -> list[Finding]:
    return [replace(finding, handled=handled) for finding in findings]


def _at_most_medium(findings: list[Finding]) -> list[Finding]:
    return [replace(finding, severity="medium") if finding.severity == "high" else finding for finding in findings]


def _by_offer(findings: list[Finding], view: View) -> list[Finding]:
    """Column findings are handled where the roles offer none of the columns."""
    return [replace(finding, handled=not set(finding.columns) & set(view.offered)) for finding in findings]


def _separation(view: View) -> list[Finding]:
    if view.roles.label is None:
        return []
    found = columns.single_feature_separates(view.frame, view.roles.label, view.measured)
    if found and view.once.height < view.frame.height:
        again = columns.single_feature_separates(view.once, view.roles.label, view.measured)
        found = _milder(found, again)
    return _by_offer(found, view)


def _milder(found: list[Finding], again: list[Finding]) -> list[Finding]:
    """Findings on columns that were found twice, the milder of both."""
    other = {finding.columns: finding for finding in again}
    pairs = [(finding, other[finding.columns]) for finding in found if finding.columns in other]
    return [max(pair, key=lambda finding: SEVERITIES.index(finding.severity)) for pair in pairs]


def _identities(view: View) -> list[Finding]:
    offered = [name for name in view.free if name in view.offered]
    found = columns.identity_columns(view.frame, view.roles.label, offered, view.declared)
    if view.roles.label is not None:
        kept_out = [name for name in view.free if name not in view.offered]
        found += columns.identity_columns(view.frame, view.roles.label, kept_out, view.declared)
    return _by_offer(found, view)


def _twins(view: View) -> list[Finding]:
    if view.keyed is None:
        return []
    split, label = view.known(view.roles.split), view.known(view.roles.label)
    recurring = view.is_sequence or view.are_parts
    found = rows.twins_across_split(view.keyed, (KEY,), split, label=label, recurring=recurring)
    return _handled(found, handled=view.twins_stay_together)


def _groups(view: View) -> list[Finding]:
    split, group = view.known(view.roles.split), view.known(view.roles.group)
    found = [] if group is None else splits.groups_across_split(view.frame, group, split)
    return _handled(found) if split is None else found + _entities(view, split, group)


def _entities(view: View, split: str, group: str | None) -> list[Finding]:
    """Hosts and users are met again in service, so their being on both sides is no grave flaw."""
    names = (name for name in view.roles.identity if name in view.frame.columns and name != group)
    found = [finding for name in names for finding in splits.groups_across_split(view.frame, name, split)]
    return _at_most_medium(found)


def _times(view: View) -> list[Finding]:
    time, split, kind = (view.known(name) for name in (view.roles.time, view.roles.split, view.roles.anomaly_type))
    if time is None:
        return []
    overlap = [] if split is None else splits.time_overlap(view.frame, time, split)
    return overlap + ([] if kind is None else splits.anomalies_in_own_time(view.frame, time, kind))


def _fitted(view: View) -> list[Finding]:
    return _by_offer(columns.computed_over_all_rows(view.measured, {**view.roles.withheld, **view.roles.notes}), view)


def _uninformative(view: View) -> list[Finding]:
    return columns.uninformative_columns(view.frame, view.offered)


def _conflicts(view: View) -> list[Finding]:
    label = view.known(view.roles.label)
    if view.keyed is None or label is None:
        return []
    kind, split = view.known(view.roles.anomaly_type), view.known(view.roles.split)
    found = rows.conflicting_twins(view.keyed, (KEY,), label, anomaly_type=kind, split=split)
    found = _at_most_medium(found) if view.are_parts else found
    return _handled(found, handled="conflicting_twin" in view.frame.columns)


def _truncation(view: View) -> list[Finding]:
    sequence = view.known(view.roles.sequence)
    if sequence is None:
        return []
    return sequences.truncated_sessions(view.frame, sequence, FIRST_PLACE, LAST_PLACE, label=view.roles.label)


def _rules(view: View) -> list[Finding]:
    label = view.known(view.roles.label)
    clusters = [name for name in view.measured if columns.CLUSTER_NAME.fullmatch(name)]
    names = [label] if label else _given_names(view) or [None]
    found = [
        finding
        for cluster in clusters
        for name in names
        for finding in columns.label_from_cluster(view.frame, cluster, name)
    ]
    found = _handled(found, handled=label is None)
    if label is None:
        return found
    rest = [name for name in view.measured if name not in clusters]
    return found + _by_offer(columns.label_is_a_rule(view.once, label, rest), view)


def _given_names(view: View) -> list[str | None]:
    """Withheld columns that name rows which nobody labelled."""
    return [name for name in view.roles.withheld if view.known(name) and view.frame.schema[name] == pl.String]


def _share(view: View) -> list[Finding]:
    label = view.known(view.roles.label)
    natural = labels.NATURAL_SHARES.get(view.dataset.name) if view.dataset.source == "real" else None
    return [] if label is None else labels.class_share(view.frame, label, natural)


def _label_made(view: View) -> list[Finding]:
    """Label-made columns that are offered are as grave as they measure; beside the label they are a trap at most."""
    label = view.known(view.roles.label)
    if label is None:
        return []
    reserved = {view.roles.anomaly_type, view.roles.split}
    names = [name for name in view.frame.columns if name not in reserved]
    offered = [name for name in names if name in view.offered]
    kept_out = [name for name in names if name not in view.offered]
    used = columns.label_made_columns(view.frame, label, offered)
    kept = columns.label_made_columns(view.frame, label, kept_out, view.roles.withheld)
    return used + [replace(finding, severity="medium", handled=True) for finding in kept]


def _gaps(view: View) -> list[Finding]:
    if view.roles.label is None and view.name != view.dataset.main:
        return []
    few = [] if view.roles.label is None else labels.few_of_a_class(view.frame, view.roles.label)
    return labels.gaps(view.frame, view.roles.label, view.roles.split) + few


def _repeats(view: View) -> list[Finding]:
    split = view.known(view.roles.split)
    if view.is_sequence:
        return []
    if split is None:
        return rows.repeats_within_part(view.frame, view.frame.columns)
    return [] if view.keyed is None else rows.repeats_within_part(view.keyed, (KEY,), split)


_ALL = (
    Check(
        "A001",
        "one feature alone separates the classes",
        columns.single_feature_separates,
        "Kaufman et al. 2012; Arp et al. 2022",
        _separation,
    ),
    Check(
        "A002",
        "a column is an identity, an address, a port or a time",
        columns.identity_columns,
        "D'hooge et al. 2022; Arp et al. 2022",
        _identities,
    ),
    Check(
        "A003",
        "exact twins across a split",
        rows.twins_across_split,
        "Barz and Denzler 2020; Kapoor and Narayanan 2023; Landauer et al. 2024",
        _twins,
    ),
    Check(
        "A004",
        "the same group on both sides of a split",
        splits.groups_across_split,
        "Kapoor and Narayanan 2023",
        _groups,
    ),
    Check(
        "A005",
        "train and test overlap in time, or a class has a time of its own",
        splits.time_overlap,
        "Pendlebury et al. 2019; skore SKD013",
        _times,
    ),
    Check(
        "A006",
        "features computed over train and test together",
        splits.fitted_on_all,
        "Kapoor and Narayanan 2023; Arp et al. 2022",
        _fitted,
    ),
    Check(
        "A007",
        "constant or mostly missing features",
        columns.uninformative_columns,
        "Breck et al. 2019",
        _uninformative,
    ),
    Check(
        "A008",
        "equal rows with different labels",
        rows.conflicting_twins,
        "Engelen et al. 2021; Northcutt et al. 2021",
        _conflicts,
    ),
    Check(
        "A009",
        "sessions cut off by the end of the log",
        sequences.truncated_sessions,
        "Le and Zhang 2022; Landauer et al. 2024",
        _truncation,
    ),
    Check(
        "A010",
        "the label follows from a rule or a cluster",
        columns.label_is_a_rule,
        "Kaufman et al. 2012; Kapoor and Narayanan 2023",
        _rules,
    ),
    Check(
        "A011",
        "the threshold was fitted on the test labels",
        splits.test_fitted_threshold,
        "Arp et al. 2022; Kim et al. 2022",
    ),
    Check(
        "A012",
        "the share of anomalies is far from deployment",
        labels.class_share,
        "Axelsson 2000; Pendlebury et al. 2019",
        _share,
    ),
    Check(
        "A013",
        "columns made from the label",
        columns.label_made_columns,
        "Kaufman et al. 2012; Tavallaee et al. 2009",
        _label_made,
    ),
    Check("A014", "missing labels, or one class only", labels.gaps, "Arp et al. 2022", _gaps),
    Check(
        "A015", "rows that repeat each other within a part", rows.repeats_within_part, "Tavallaee et al. 2009", _repeats
    ),
)
CHECKS: Mapping[str, Check] = MappingProxyType({one.code: one for one in _ALL})
"""All checks by code."""
