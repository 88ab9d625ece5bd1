"""What speaks for or against each web event by itself: one Boolean column an evidence, null where it is not known."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from utils.detectors.rules.signatures import ALARM, Signatures
from utils.evaluation.inputs import Floats
from utils.features.web_events import EventColumns, columns_of
from utils.features.web_events.addresses import networks_of
from utils.features.web_events.agents import is_valid
from utils.features.web_events.columns import check, distinct
from utils.features.web_events.numbers import as_texts, code_of

SUSPICION = 0.5
"""Score of signatures from which an event is suspicious though no alarm."""
ODD_AGENT = 0.25
"""Score of the agent from which it is odd: malformed, empty, a library or a tool."""
FIRST_ERROR = 400
LEAST_ALARMS, LEAST_SHARE = 2, 0.25
"""Alarms of a client's other events, and their share among them, from which the client has a history of attacks."""
EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "signature": "the content matches signatures of attacks",
        "tool_agent": "the agent is that of an attack tool, or an attack itself",
        "suspicion": "the content has marks that attacks have, too weak for an alarm",
        "client_history": "other events of the client's address are alarms, two or more and a quarter of them at least",
        "odd_agent": "the agent is malformed, empty, a library or a tool",
        "malformed_agent": "the agent is no well-formed product list",
        "error_response": "the response was an error (4xx or 5xx)",
    }
)
"""Evidence in words."""
ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "tool_agent": "no user agents",
        "odd_agent": "no user agents",
        "malformed_agent": "no user agents",
        "client_history": "no client addresses",
        "error_response": "no response codes",
    }
)
"""Why an evidence can be missing altogether."""
_NOTHING = "_nothing"


class WebEvidence(BaseEstimator):  # type: ignore[misc]
    """Find the evidence of web events; nothing is learned from labels.

    All but ``client_history`` look at the event alone. That one is learned in :meth:`fit`: how many events, and alarms,
    each address had in training. For an event of training its own alarm does not count.

    Attributes:
        columns_: what the columns mean.
        history_: events and alarms of each address in training.
        missing_: evidence for which there is no column, with what is missing.
    """

    def __init__(self, columns: EventColumns | None = None) -> None:
        """Choose the columns.

        Args:
            columns: what the columns mean; found by their names in :meth:`fit` if not given.
        """
        self.columns = columns

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Find the columns and count the alarms of each client.

        Args:
            X: raw web events, n rows.
            y: not used.

        Returns:
            The evidence itself.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pl.DataFrame, y: object = None) -> pl.DataFrame:
        """Count the alarms of each client and find the evidence; an event's own alarm is not its client's history.

        Args:
            X: raw web events, n rows.
            y: not used.

        Returns:
            As :meth:`transform`.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        columns = self.columns or columns_of(X)
        check(X, columns)
        self.columns_ = columns
        self.missing_ = _missing(columns)
        found = self._alone(X)
        alarms = found["signature"] | found["tool_agent"].fill_null(value=False)
        addresses = _addresses(X[columns.address]) if columns.address else _unknown(X.height).cast(pl.String)
        self.history_ = _history(addresses, alarms)
        return self._with_history(X, found, own=alarms)

    def transform(self, X: pl.DataFrame) -> pl.DataFrame:
        """Find the evidence of events that were not in training.

        Args:
            X: raw web events with the columns of training, n rows.

        Returns:
            One Boolean column for each of :data:`EVIDENCE`, n rows; null where the evidence is not known: all null
            where there is no such column.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing or has the wrong type.
        """
        if not hasattr(self, "history_"):
            raise NotFittedError("WebEvidence must be fitted before it looks at events: call fit")
        check(X, self.columns_)
        return self._with_history(X, self._alone(X), own=None)

    def _alone(self, X: pl.DataFrame) -> pl.DataFrame:
        """What can be seen of each event alone."""
        columns = self.columns_
        content = _score(X, EventColumns(columns.texts, name=columns.name))
        whole = _score(X, columns) if columns.agent else content
        found = {
            "signature": pl.Series(content >= ALARM),
            "tool_agent": _unknown(X.height),
            "suspicion": pl.Series((np.maximum(content, whole) >= SUSPICION) & (content > 0)),
            "client_history": _unknown(X.height),
            "odd_agent": _unknown(X.height),
            "malformed_agent": _unknown(X.height),
            "error_response": _errors(X[columns.code]) if columns.code else _unknown(X.height),
        }
        return pl.DataFrame(found | (_agents(X, columns.agent) if columns.agent else {}))

    def _with_history(self, X: pl.DataFrame, found: pl.DataFrame, own: pl.Series | None) -> pl.DataFrame:
        """Add the history of the client; ``own`` are the alarms of events that are part of it."""
        if not self.columns_.address:
            return found
        known = _addresses(X[self.columns_.address]).to_frame("address")
        counts = known.join(self.history_, on="address", how="left", maintain_order="left")
        events, alarms = (counts[name].fill_null(0).to_numpy() for name in ("events", "alarms"))
        if own is not None:
            events, alarms = events - 1, alarms - own.to_numpy()
        often = (alarms >= LEAST_ALARMS) & (alarms >= LEAST_SHARE * events)
        history = pl.Series("client_history", often)
        return found.with_columns(
            pl.when(known["address"].is_null()).then(None).otherwise(history).alias("client_history")
        )


def _missing(columns: EventColumns) -> dict[str, str]:
    absent = {
        "no user agents": columns.agent is None,
        "no client addresses": columns.address is None,
        "no response codes": columns.code is None,
    }
    return {evidence: why for evidence, why in ABSENT.items() if absent[why]}


def _score(X: pl.DataFrame, columns: EventColumns) -> Floats:
    return Signatures(columns).fit(X).score_samples(X)


def _unknown(rows: int) -> pl.Series:
    return pl.Series([None] * rows, dtype=pl.Boolean)


def _agents(X: pl.DataFrame, name: str) -> dict[str, pl.Series]:
    """Evidence of the agent alone; a missing agent says nothing."""
    agents = X[name].cast(pl.String)
    scores = _score(pl.DataFrame({_NOTHING: _empty(X.height), name: agents}), EventColumns((_NOTHING,), agent=name))
    values = distinct(agents)
    malformed = np.array([value is not None and not is_valid(value) for value in values.values], dtype=np.bool_)
    found = {
        "tool_agent": scores >= ALARM,
        "odd_agent": scores >= ODD_AGENT,
        "malformed_agent": values.spread(malformed),
    }
    there = agents.is_not_null()
    frame = pl.DataFrame(found).select(pl.when(there).then(pl.col(name)).alias(name) for name in found)
    return {name: frame[name] for name in found}


def _empty(rows: int) -> pl.Series:
    return pl.Series([None] * rows, dtype=pl.String)


def _errors(codes: pl.Series) -> pl.Series:
    values = distinct(as_texts(codes))
    read = [code_of(value) for value in values.values]
    flags = pl.Series([None if code is None else code >= FIRST_ERROR for code in read], dtype=pl.Boolean)
    return flags if values.codes is None else flags.gather(values.codes)


def _addresses(column: pl.Series) -> pl.Series:
    """Addresses as they are; what is none (junk, a dash, an empty text) is null, so that it is nobody's history."""
    values = distinct(column.cast(pl.String))
    found = networks_of(values.values)
    known = [value if network.network else None for value, network in zip(values.values, found, strict=True)]
    read = pl.Series(known, dtype=pl.String)
    return read if values.codes is None else read.gather(values.codes)


def _history(addresses: pl.Series, alarms: pl.Series) -> pl.DataFrame:
    """Events and alarms of each address; those without an alarm are as good as unknown and are not kept."""
    frame = pl.DataFrame({"address": addresses, "alarm": alarms}).drop_nulls("address")
    counted = {"events": pl.len().cast(pl.Int64), "alarms": pl.col("alarm").sum().cast(pl.Int64)}
    counts = frame.group_by("address").agg(**counted)
    return counts.filter(pl.col("alarms") > 0).sort("address")
