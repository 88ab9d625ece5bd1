"""Processed table of call graphs: one row a behaviour, global degrees counted over training graphs only."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from utils.datasets.api import PUBLISHED_FEATURES, STD_LOCAL
from utils.datasets.contract import Dataset, Roles
from utils.features.call_graph import GLOBAL, LOCAL, CallGraphFeatures, describe
from utils.features.tables.columns import SPLIT, TWINS, offered
from utils.features.tables.keys import Part, divided, keys, part, training, widened, without_answers, without_constants

ID, BEHAVIORS, EDGES, PUBLISHED, GRAPHS = "_id", "behaviors", "edges", "features", "graphs"
SIZES = ("n_edges", "n_nodes")
"""What users' behaviours have from their edges: ``n_connections`` and ``n_unique_nodes`` say the same."""

CARRIED = {
    "ip_type": "all behaviours of data centres are outliers: the published protocol leaves them out",
    "upstream_rows": "how often the file repeats the row: only outliers are repeated",
}
LOCAL_NAMES = tuple(STD_LOCAL if name == "std_dest_in_degree" else name for name in LOCAL)
NOTES = {STD_LOCAL: "the published name; in truth the deviation of local destination degrees"} | dict.fromkeys(
    GLOBAL, "counted over training graphs; a new graph adds its own edges"
)


def build(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    """Make the table ``graphs``: features of the graphs where they are at hand, else the published ones.

    Args:
        dataset: with the frame ``behaviors`` and ``edges`` or ``features``.
        seed: of the division into training and test.

    Yields:
        The table by name. Rows stand in the order of the frame that they describe.
    """
    if EDGES in dataset.frames:
        yield GRAPHS, without_answers(without_constants(_from_edges(dataset, seed)))
    elif PUBLISHED in dataset.frames:
        yield GRAPHS, without_answers(_as_published(dataset, seed))


def _from_edges(dataset: Dataset, seed: int) -> Part:
    behaviors, roles, edges = dataset[BEHAVIORS], dataset.roles[BEHAVIORS], dataset[EDGES]
    carried = _carried(roles)
    own = offered(behaviors.drop(SIZES, strict=False), roles, taken=(SPLIT, TWINS, *CARRIED, *LOCAL_NAMES, *GLOBAL))
    local = describe(edges, behaviors[ID], features=LOCAL_NAMES).drop(ID)
    columns = own._replace(frame=pl.concat([own.frame, behaviors.select(*carried), local], how="horizontal"))
    made = divided(part(keys(behaviors, roles), columns, roles, carried), seed)
    fitted = CallGraphFeatures(features=GLOBAL)
    fitted.fit(edges.join(behaviors.filter(training(made)), on=ID, how="semi", maintain_order="left"))
    return _noted(widened(made, fitted.describe(edges, ids=behaviors[ID]).drop(ID)), NOTES)


def _as_published(dataset: Dataset, seed: int) -> Part:
    frame, roles = dataset[PUBLISHED], dataset.roles[PUBLISHED]
    known = dataset[BEHAVIORS].select(ID, *_carried(dataset.roles[BEHAVIORS]))
    columns = frame.select(ID, *PUBLISHED_FEATURES).join(known, on=ID, how="left", maintain_order="left").drop(ID)
    made = part(keys(frame, roles), columns, roles, {name: CARRIED[name] for name in known.columns if name != ID})
    return divided(_noted(made, roles.notes), seed)


def _carried(roles: Roles) -> dict[str, str]:
    """Columns that the published protocol needs, if all of them are there and no features."""
    return CARRIED if set(CARRIED) <= set(roles.withheld) else {}


def _noted(made: Part, notes: Mapping[str, str]) -> Part:
    known = {name: note for name, note in notes.items() if name in made.roles.features}
    return made._replace(roles=replace(made.roles, notes=known))
