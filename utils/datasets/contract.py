"""What a loaded data set looks like, whoever made it: a loader, a simulator or a user's catalogue entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

LABEL = "is_anomaly"
ANOMALY_TYPE = "anomaly_type"
NORMAL = "normal"

Source = Literal["real", "simulated"]
Kind = Literal["table", "events", "call_graph", "log"]


@dataclass(frozen=True)
class Roles:
    """What the columns of one frame mean.

    Attributes:
        unit: what one row is, in the singular ("session", "connection", "event").
        label: Boolean column, true for an anomaly; ``None`` where nobody labelled the rows.
        anomaly_type: column that names the kind of anomaly, ``"normal"`` for normal rows.
        features: columns that a model may use.
        identity: identifiers, addresses and ports; never features.
        time: column with the time of the row.
        group: column of which one value must never stand on both sides of a split.
        split: column with the published split (``"train"`` or ``"test"``).
        sequence: list column with the row's events in order, or the key into a frame of distinct sequences.
        withheld: other columns that are no features, each with the reason.
        notes: how features were computed, where that has to be known to trust them.
    """

    unit: str
    label: str | None = None
    anomaly_type: str | None = None
    features: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    split: str | None = None
    sequence: str | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Defect:
    """A known flaw of the files, how many rows it touches and what the loader did about it."""

    what: str
    rows: int
    handling: str


@dataclass(frozen=True)
class Assembled:
    """What a loader makes of raw tables, read from files or simulated.

    Attributes:
        frames: the cleaned tables; the first one is the main one.
        roles: for each frame, what its columns mean.
        truth: what the labels mean and who set them.
        defects: known flaws that were found and handled.
        missing: what could not be made of the raw tables at hand, each with the consequence.
    """

    frames: Mapping[str, pl.DataFrame]
    roles: Mapping[str, Roles]
    truth: str
    defects: tuple[Defect, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """One data set, ready to use.

    Attributes:
        name: name in the catalogue.
        kind: form of the evidence.
        source: ``"real"`` or ``"simulated"``.
        origin: where it came from: ``"cache"``, ``"mirror"``, ``"download"``, ``"own files"`` or ``"simulator"``;
            several places are joined as in ``"cache + mirror"``.
        digest: one SHA-256 over the digests of the files read, or over the simulator's recipe.
        truth: what the labels mean and who set them.
        frames: the tables; the first one is the main one.
        roles: for each frame, what its columns mean.
        defects: known flaws that the loader handled.
        missing: optional files that were not at hand, each with the consequence.
        title: one line for headings.
        licence: terms of use.
        cite: what to cite.
    """

    name: str
    kind: Kind
    source: Source
    origin: str
    digest: str
    truth: str
    frames: Mapping[str, pl.DataFrame]
    roles: Mapping[str, Roles]
    defects: tuple[Defect, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    licence: str = ""
    cite: str = ""

    def __getitem__(self, frame: str) -> pl.DataFrame:
        """Return one frame by name."""
        return self.frames[frame]

    @property
    def main(self) -> str:
        """Name of the main frame; empty where the audit has left no frame."""
        return next(iter(self.frames), "")

    @property
    def banner(self) -> str:
        """Sentence to show above simulated data; empty for real data."""
        if self.source == "real":
            return ""
        return f"SIMULATED DATA: {self.name} comes from the project's simulator, not from {self.title or 'real files'}."
