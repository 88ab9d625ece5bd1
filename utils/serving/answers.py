"""What the service says: decisions, descriptions of models, and errors in one form."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from utils.errors import LabError

JSON = "application/json"
LONGEST_FIELD = 200


class Answer(NamedTuple):
    """One answer on its way.

    Attributes:
        status: of HTTP.
        body: as JSON.
        headers: beside type and length.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Refused(LabError):
    """A request that is not answered as asked: status, short code, the sentence, and the field that is to blame."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field if field is None or len(field) <= LONGEST_FIELD else f"{field[:LONGEST_FIELD]}…"
        self.headers = dict(headers or {})

    @property
    def answer(self) -> Answer:
        """The refusal in the form of every error: ``{"error": {"code", "message", "field"}}``."""
        said = {"error": {"code": self.code, "message": str(self), "field": self.field}}
        return Answer(self.status, as_json(said), self.headers)


def invalid(message: str, field: str) -> Refused:
    """A body or a parameter that cannot be used: 422."""
    return Refused(422, "invalid_request", message, field)


def unknown_model(name: str, known: Sequence[str]) -> Refused:
    """No model of this name can ever be served: 404."""
    listed = ", ".join(known) or "none"
    return Refused(404, "unknown_model", f"there is no model {name[:60]!r}: the models are {listed}", "model")


def no_champion(name: str, why: str) -> Refused:
    """The name is known, but nothing can answer for it yet: 503."""
    return Refused(503, "no_champion", f"model {name!r} has no champion yet: {why}", "model", {"retry-after": "5"})


def too_late(seconds: float) -> Refused:
    """The decision took longer than it may: 503."""
    message = f"the answer must take {seconds:g} s at most, but took longer: send fewer rows, or ask for no reasons"
    return Refused(503, "too_late", message, None, {"retry-after": "1"})


def busy(waiting: int) -> Refused:
    """Too many requests are waiting: 503."""
    message = f"{waiting:,} requests are waiting already, and no more may wait: try again in a second"
    return Refused(503, "busy", message, None, {"retry-after": "1"})


def as_json(said: object) -> bytes:
    """Write an answer; numbers that JSON does not have become null."""
    return to_json(said, inf_nan_mode="null")


def decisions(
    head: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Put decisions together, one item a row.

    Args:
        head: what is said once: model, version, threshold.
        columns: what is said of each row, n values each.
        notes: what the client should know, one sentence each.
    """
    names = tuple(columns)
    items = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    alarms = sum(map(bool, columns["decision"]))
    return {**head, "rows": len(items), "alarms": alarms, "notes": list(notes), "decisions": items}
