"""Kind ``call_graph``: for each behaviour the calls that it makes, as edges from one interface to another."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from utils.datasets.contract import LABEL, Dataset, Defect, Roles
from utils.datasets.own import labels, roles, tabular
from utils.datasets.own.entry import OwnEntry
from utils.datasets.wording import listed
from utils.errors import DataError

ID, FROM, TO = "_id", "from", "to"
NESTED = "call_graph"
USUAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"id": ("id", "_id"), "from": ("from", "fromId"), "to": ("to", "toId")}
)
SIZES = ("n_edges", "n_nodes")


class Part(NamedTuple):
    """One of the two tables, with its files and what was reported."""

    frame: pl.DataFrame
    read: tabular.Table
    defects: tuple[Defect, ...]


def load(entry: OwnEntry) -> Dataset:
    """Load call graphs as the frames ``behaviors`` (one row an id) and ``edges`` (one row a call).

    The columns of an edge are called ``_id``, ``from`` and ``to``. ``behaviors`` gets the size of each graph:
    ``n_edges`` and ``n_nodes`` (distinct interfaces).

    Raises:
        CatalogError: if the entry names files or columns that are not there.
        DataError: if behaviours contradict each other, have no edges at all, or their labels cannot be used.
        SchemaError: if a file is no table.
    """
    graphs = _graphs(entry)
    described = _behaviors(entry) if entry.behaviors else None
    behaviors = described.frame if described else graphs.frame.select(pl.col(ID).unique(maintain_order=True))
    edges = graphs.frame.drop_nulls([FROM, TO]).join(behaviors.select(ID), on=ID, how="semi", maintain_order="left")
    if edges.is_empty():
        ids = f"found {behaviors[ID][0]!r} among the behaviours and {graphs.frame[ID][0]!r} among the edges"
        raise DataError(f"data set {entry.name!r}: the behaviours must have edges, {ids}: correct the ids")
    sized = _sized(behaviors, edges)
    defects = [*graphs.defects, *(described.defects if described else ()), *_unmatched(graphs.frame, edges, sized)]
    files = (*graphs.read.files, *(described.read.files if described else ()))
    frames = {"behaviors": sized, "edges": edges}
    meanings = {"behaviors": _behavior_roles(entry, sized), "edges": Roles("call", identity=(FROM, TO), group=ID)}
    return roles.dataset(entry, frames, meanings, files, defects)


def _graphs(entry: OwnEntry) -> Part:
    """Read the edges: one a row, or as lists in JSON; an empty graph is one row without from and to."""
    usual = [name for names in USUAL.values() for name in names]
    read = tabular.read(entry, "files", entry.files, (*entry.columns.values(), *usual))
    where = tabular.named(read.files)
    frame, defects = read.frame, read.defects
    if isinstance(frame.schema.get(NESTED), pl.List):
        key = _column(entry, frame, "id", where)
        single = frame.select(pl.col(key), NESTED).unique(maintain_order=True)
        defects = (*defects, *_repeated(frame.height - single.height, "graphs that repeat another one"))
        frame = _exploded(single, key)
    names = {_column(entry, frame, role, where): name for role, name in (("id", ID), ("from", FROM), ("to", TO))}
    if len(names) < len(USUAL):
        raise entry.wrong("columns", f"must name three columns for id, from and to, found {listed(names)}: choose")
    edges = frame.select(pl.col(old).cast(pl.String).str.strip_chars().alias(new) for old, new in names.items())
    nameless = edges[ID].null_count()
    lost = (Defect("edges without an id", nameless, "left out"),) if nameless else ()
    if nameless == edges.height:
        raise DataError(
            f"data set {entry.name!r}: the edges of {where} must have an id, found none: correct columns.id"
        )
    return Part(edges.drop_nulls(ID), read, (*defects, *lost))


def _exploded(single: pl.DataFrame, key: str) -> pl.DataFrame:
    """One row a call with the id of its graph; an id that a call has of its own is left out."""
    calls = single.explode(NESTED, empty_as_null=True)
    if not isinstance(calls.schema[NESTED], pl.Struct):
        return calls
    return calls[NESTED].struct.unnest().drop(key, strict=False).insert_column(0, calls[key])


def _column(entry: OwnEntry, frame: pl.DataFrame, role: str, where: str) -> str:
    """Name of a column of the edges: as the entry says, else one of the usual names."""
    name = entry.column(role) or next((name for name in USUAL[role] if name in frame.columns), role)
    roles.require_values(entry, frame, where, {f"columns.{role}": name})
    return name


def _behaviors(entry: OwnEntry) -> Part:
    """Read the table of behaviours: one row an id, labelled if it has a label."""
    label, kinds, time = entry.column("label"), entry.column("type"), entry.column("time")
    verbatim = (*USUAL["id"], entry.column("id"), label, kinds, time, entry.column("group"))
    read = tabular.read(entry, "behaviors", entry.behaviors, (*verbatim, *entry.lists.get("identity", ())))
    where = tabular.named(read.files)
    key = _column(entry, read.frame, "id", where)
    roles.check_columns(entry, read.frame, where, but=("id", "from", "to"))
    frame = read.frame.drop(entry.lists.get("ignore", ()))
    _only_id(entry, frame, key, where)
    frame = frame.rename({key: ID})
    frame = frame.with_columns(pl.col(ID).cast(pl.String).str.strip_chars())
    single = frame.drop_nulls(ID).unique(maintain_order=True)
    if single.is_empty():
        raise DataError(f"data set {entry.name!r}: {where} must have ids in column {key!r}, found none: correct it")
    if not (twice := single.filter(pl.col(ID).is_duplicated())).is_empty():
        problem = f"must have one row for each id, found {twice[ID][0]!r} in rows that differ: keep one"
        raise DataError(f"data set {entry.name!r}: {where} {problem}")
    timed, time_defects = roles.timed(entry, single, time)
    labelled, label_defects = roles.split(entry, timed, entry.column("split")), tuple[Defect, ...]()
    if label:
        labelled, label_defects = labels.label(entry, labelled, label, kinds, where)
    repeated = _repeated(frame.height - single.height, "behaviours that repeat another one or have no id")
    return Part(labelled, read, (*read.defects, *repeated, *time_defects, *label_defects))


def _only_id(entry: OwnEntry, frame: pl.DataFrame, key: str, where: str) -> None:
    """Check that the id of the behaviours has no other role and no rival, and that no role is that of a graph's size.

    Raises:
        CatalogError: if it has.
    """
    others = [role for role, name in entry.columns.items() if name == key and role not in ("id", "group")]
    if others or key not in frame.columns:
        role = others[0] if others else "ignore"
        raise entry.wrong(
            f"columns.{role}", f"names {key!r}, found it to be the id of {where}: name the id, or another"
        )
    sizes = [role for role in ("time", "group", "split") if entry.column(role) in SIZES]
    if sizes:
        problem = f"names {entry.column(sizes[0])!r}, found it to be the name of a size of the graph: rename the column"
        raise entry.wrong(f"columns.{sizes[0]}", problem)
    if key != ID and ID in frame.columns:
        raise entry.wrong("columns.id", f"names {key!r}, found {where} to have {ID!r} as well: add {ID!r} to ignore")


def _sized(behaviors: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """Add the number of edges and of distinct interfaces to each behaviour."""
    n_edges = edges.group_by(ID).agg(n_edges=pl.len().cast(pl.Int64))
    ends = pl.concat([edges.select(ID, node=FROM), edges.select(ID, node=TO)]).unique()
    n_nodes = ends.group_by(ID).agg(n_nodes=pl.len().cast(pl.Int64))
    plain = behaviors.drop(SIZES, strict=False)
    joined = plain.join(n_edges, on=ID, how="left", maintain_order="left")
    sized = joined.join(n_nodes, on=ID, how="left", maintain_order="left")
    return sized.with_columns(pl.col(SIZES).fill_null(0))


def _behavior_roles(entry: OwnEntry, behaviors: pl.DataFrame) -> Roles:
    group = entry.column("group")
    return roles.describe(
        entry,
        behaviors,
        "behaviour",
        always=(ID,),
        labelled=LABEL in behaviors.columns,
        time=entry.column("time"),
        group=ID if group and group not in behaviors.columns else group,
        split=entry.column("split"),
    )


def _unmatched(graphs: pl.DataFrame, edges: pl.DataFrame, sized: pl.DataFrame) -> list[Defect]:
    report = []
    foreign = graphs.drop_nulls([FROM, TO]).height - edges.height
    if foreign:
        report.append(Defect("edges of ids that the behaviours do not have", foreign, "left out"))
    if empty := int((sized["n_edges"] == 0).sum()):
        report.append(Defect("behaviours without an edge", empty, "kept, with 0 edges"))
    return report


def _repeated(rows: int, what: str) -> tuple[Defect, ...]:
    return (Defect(what, rows, "left out"),) if rows else ()
