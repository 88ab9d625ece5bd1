"""The audit as a gate: a processed table with an open finding of severity high goes no further."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from utils import settings
from utils.audit.survey import survey
from utils.datasets.contract import Dataset


def admit(dataset: Dataset, findings: pl.DataFrame | None = None) -> Dataset:
    """Leave out the tables that a finding of severity high stands against, unless the roles handle it.

    Args:
        dataset: processed tables.
        findings: of :func:`utils.audit.survey`, if they are at hand.

    Returns:
        The data set without those tables; ``missing`` says which are out and why.
    """
    known = survey({dataset.name: dataset}) if findings is None else findings
    out = refused(known).get(dataset.name, {})
    reasons = {table: why for table, why in out.items() if table in dataset.frames}
    return replace(
        dataset,
        frames={name: frame for name, frame in dataset.frames.items() if name not in reasons},
        roles={name: roles for name, roles in dataset.roles.items() if name not in reasons},
        missing=dict(dataset.missing) | reasons,
    )


def refused(findings: pl.DataFrame) -> Mapping[str, Mapping[str, str]]:
    """Tables that must not be used, with the reasons.

    Args:
        findings: of :func:`utils.audit.survey`.

    Returns:
        By data set, then by table: codes and findings in words.
    """
    grave = findings.filter((pl.col("severity") == "high") & ~pl.col("handled"))
    reasons: dict[str, dict[str, list[str]]] = {}
    for name, frame, code, what in grave.select("data set", "frame", "code", "what").iter_rows():
        reasons.setdefault(name, {}).setdefault(frame, []).append(f"{code} {what}")
    return {name: {frame: " ".join(each) for frame, each in found.items()} for name, found in reasons.items()}


def admitted_tables(dataset: Dataset, *, seed: int = settings.SEED) -> Dataset:
    """Processed tables that passed the gate: those on disk if they are up to date, else built, audited and written.

    Args:
        dataset: as :func:`utils.datasets.load` gives it.
        seed: of the division into training and test.

    Raises:
        DataError: if nothing can be made of the data set, or the tables cannot be written.
    """
    from utils.features import tables

    current = tables.current(dataset, seed=seed)
    if current is not None:
        return current
    made = admit(tables.build(dataset, seed=seed))
    tables.write(made, dataset, seed=seed)
    return made
