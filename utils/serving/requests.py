"""Which bodies a model takes: made from the model itself, checked before anything is computed.

A request is read as one of the forms of its model, told apart by the one name that its object has: ``rows`` for every
table, ``lines`` or ``sessions`` for a log, ``call_graphs``, and the forms of earlier services: a list of events, and
``feature``.
"""

import contextlib
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import polars as pl
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from utils.classifiers.champion import Champion
from utils.datasets import cicids2017, waf
from utils.datasets.api import STD_LOCAL
from utils.detectors.log_monitor import LogMonitor
from utils.errors import LabError, TrackingError
from utils.features import call_graph
from utils.serving.answers import Refused, invalid
from utils.serving.bodies import Value, inner
from utils.serving.plain_rows import PlainRows

Style = Literal["rows", "events", "feature"]
Json = dict[str, Any]
Record = Mapping[str, Any]

LONGEST_SECONDS = 9e9
"""What nanoseconds in 64 bits can hold: 285 years."""

Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LONGEST_SECONDS, le=LONGEST_SECONDS)]
Text = Annotated[str, Field(strict=True)]
Truth = Annotated[bool, Field(strict=True)]

ROWS, LINES, SESSIONS, GRAPHS, FEATURE, EVENTS = "rows", "lines", "sessions", "call_graphs", "feature", "events"
PAYLOAD = waf.PAYLOAD
EXAMPLE = "input_example.json"
LONGEST_NAME = 200
SHOWN_NAMES, SHOWN_NAME = 5, 40
WORLD = (
    "global degrees are counted over the graphs of this request: send the graphs together that belong together, "
    "as one graph alone is a world of its own"
)


class Asked(NamedTuple):
    """What a request asks to decide on.

    Attributes:
        rows: records of a table; or a frame: sessions of a log with ``events``, or its raw lines.
        style: how the answer looks.
        names: what the client calls each row, if it does.
        notes: what the client should know, one sentence each.
    """

    rows: Sequence[Record] | pl.DataFrame
    style: Style = "rows"
    names: Mapping[str, Sequence[Any]] = {}
    notes: tuple[str, ...] = ()


class Form(Protocol):
    """One form of a body."""

    @property
    def key(self) -> str:
        """Name of the object's value, or what the list holds."""

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""

    @property
    def example(self) -> Value:
        """A body that is nobody's; ``None`` where none is known."""

    def read(self, value: Value, most: int) -> Asked:
        """Read the value; ``most`` rows are taken."""


@dataclass(frozen=True)
class Reading:
    """The forms of one model, the usual one first."""

    forms: tuple[Form, ...]

    def read(self, body: Value, most: int) -> Asked:
        """Read a parsed body as one of the forms.

        Args:
            body: parsed JSON.
            most: most rows that may be asked for.

        Raises:
            Refused: if it has none of the forms, or a field is wrong; it is named.
        """
        if isinstance(body, list):
            form = self._form(EVENTS)
            if form is None:
                raise invalid(f"the body must be {self._expected}, found a list: send an object", "body")
            return form.read(body, most)
        if not isinstance(body, dict):
            raise invalid(f"the body must be {self._expected}, found {_kind(body)}: send an object", "body")
        keys = [form.key for form in self.forms if form.key != EVENTS and form.key in body]
        if len(keys) != 1:
            found = " and ".join(keys) or (", ".join(map(repr, list(body)[:5])) or "no name")
            key = keys[0] if keys else self.forms[0].key
            raise invalid(f"the body must be {self._expected}, found {found[:LONGEST_NAME]}: send one of them", key)
        form = self._form(keys[0])
        assert form is not None
        return form.read(body[keys[0]], most)

    @property
    def schema(self) -> Json:
        """JSON Schema of all forms."""
        schemas = [form.schema for form in self.forms]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    @property
    def _expected(self) -> str:
        return " or ".join(
            "a list of events" if form.key == EVENTS else f'{{"{form.key}": ...}}' for form in self.forms
        )

    def _form(self, key: str) -> Form | None:
        return next((form for form in self.forms if form.key == key), None)


def reading_of(model: object, texts: Mapping[str, str] | None = None) -> Reading:
    """Make the forms of a model.

    Args:
        model: a champion of a table, or of a log.
        texts: files beside the model; examples are taken from them.

    Raises:
        TrackingError: if it is none of both.
    """
    if isinstance(model, LogMonitor):
        return Reading(
            (
                LineForm(_example_lines(model, texts or {})),
                SessionForm(tuple(model.surprise_.vocabulary_.events.to_list())),
            )
        )
    if not isinstance(model, Champion):
        found = type(model).__name__
        raise TrackingError(f"a served model must be a champion of a table or of a log, found {found}: register one")
    forms: list[Form] = [_row_form(model)]
    used = set(map(str, model.feature_names_in_))
    inputs = set(model.reader_.inputs) if model.reader_ is not None else set()
    if inputs and inputs <= {PAYLOAD, *waf.EVENT_COLUMNS}:
        forms.append(EventForm(tuple(sorted(inputs))))
    if used <= {*call_graph.ALL, STD_LOCAL}:
        forms.append(GraphForm(tuple(map(str, model.feature_names_in_))))
    if used <= set(cicids2017.FEATURES):
        forms.append(FeatureForm(forms[0].example[ROWS][0]))
    return Reading(tuple(forms))


@dataclass(frozen=True)
class RowForm:
    """Rows of a table: ``{"rows": [{column: value}]}``; other columns are left aside.

    Attributes:
        columns: checks the columns of training.
        raw: checks raw records, of which the model makes these columns itself; ``None`` where it does not.
        usual: one row of usual values.
        used: names of the columns of training.
        spans: those of stretches of time, in seconds.
        plain: tells rows of these columns that need no check; ``None`` where there are stretches of time.
        plain_raw: tells raw records that need none.
    """

    columns: TypeAdapter[list[Record]]
    raw: TypeAdapter[list[Record]] | None
    usual: Record
    used: frozenset[str]
    spans: frozenset[str] = frozenset()
    plain: PlainRows | None = None
    plain_raw: PlainRows | None = None
    key: str = ROWS

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        rows = [one.json_schema() for one in (self.raw, self.columns) if one is not None]
        return _object(self.key, rows[0] if len(rows) == 1 else {"anyOf": rows})

    @property
    def example(self) -> Value:
        """One row of usual values."""
        return {self.key: [self.usual]}

    def read(self, value: Value, most: int) -> Asked:
        """Check all rows (see :class:`Form`).

        Raises:
            Refused: if a column is missing, null, or of another type; it is named.
        """
        _listed(value, most, self.key, "row")
        first = value[0]
        whole = self.raw is None or (isinstance(first, dict) and self.used <= set(first))
        adapter, plain = (self.columns, self.plain) if whole or self.raw is None else (self.raw, self.plain_raw)
        if plain is not None and (seen := plain.of(value)) is not None:
            return Asked(seen)
        rows = checked(adapter, value, self.key)
        return Asked([self._timed(row) for row in rows] if self.spans and adapter is self.columns else rows)

    def _timed(self, row: Record) -> Record:
        """A row with stretches of time, to the nearest microsecond, in place of seconds."""
        spans = {name: dt.timedelta(seconds=row[name]) for name in self.spans if row[name] is not None}
        return {**row, **spans}


@dataclass(frozen=True)
class EventForm:
    """Events of a web application firewall as the earlier service took them: ``[{"data": "<event as JSON>"}]``.

    Attributes:
        inputs: columns that the model reads; ``payload`` is the value that the event's rule matched.
    """

    inputs: tuple[str, ...]
    key: str = EVENTS

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        data = {"type": "string", "contentMediaType": "application/json", "description": "one event, a JSON object"}
        item = {"type": "object", "properties": {"data": data}, "required": ["data"]}
        return {"type": "array", "items": item, "minItems": 1}

    @property
    def example(self) -> Value:
        """One harmless event."""
        event = {
            waf.VARIABLE_NAME: "REQUEST_GET_ARGS.id",
            waf.VARIABLE_VALUE: "12",
            waf.EVENT_ID: "AVdhXFgVq1Ppo9zF5Fxu",
        }
        needed = {name: "" for name in self.inputs if name != PAYLOAD and name not in event}
        return [{"data": pl.Series([event | needed]).struct.json_encode()[0]}]

    def read(self, value: Value, most: int) -> Asked:
        """Read the events inside the texts (see :class:`Form`).

        Raises:
            Refused: if an event is no object, or lacks a field; it is named.
        """
        _listed(value, most, self.key, "event")
        events = [inner(_text_of(item, place), f"[{place}].data") for place, item in enumerate(value)]
        rows = [{name: _event_text(event, name, place) for name in self.inputs} for place, event in enumerate(events)]
        return Asked(rows, "events", {waf.EVENT_ID: [_event_name(event, at) for at, event in enumerate(events)]})


@dataclass(frozen=True)
class FeatureForm:
    """One flow as 77 numbers in the published order: ``{"feature": [...]}``.

    Attributes:
        usual: one row of usual values by column.
    """

    usual: Record
    key: str = FEATURE

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        n = len(cicids2017.FEATURES)
        order = f"in this order: {', '.join(cicids2017.FEATURES)}"
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": n, "maxItems": n, "description": order}
        return _object(self.key, numbers)

    @property
    def example(self) -> Value:
        """A flow of usual values, 0 where the model reads none."""
        return {self.key: [self.usual.get(name) or 0 for name in cicids2017.FEATURES]}

    def read(self, value: Value, most: int) -> Asked:
        """Name the numbers (see :class:`Form`).

        Raises:
            Refused: if there are not 77, or one is no finite number; its place is named.
        """
        n = len(cicids2017.FEATURES)
        if not isinstance(value, list) or len(value) != n:
            found = f"{len(value)}" if isinstance(value, list) else _kind(value)
            raise invalid(
                f"{self.key} must be a list of {n} numbers, found {found}: send them in their order", self.key
            )
        numbers = checked(_NUMBERS, value, self.key)
        return Asked([dict(zip(cicids2017.FEATURES, numbers, strict=True))], "feature")


@dataclass(frozen=True)
class GraphForm:
    """Call graphs: ``{"call_graphs": [{"_id": ..., "call_graph": [{"fromId": ..., "toId": ...}]}]}``.

    Attributes:
        features: columns that the model reads.
    """

    features: tuple[str, ...]
    key: str = GRAPHS

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        return _object(self.key, _GRAPHS.json_schema())

    @property
    def example(self) -> Value:
        """Two graphs of made-up calls."""
        calls = [[("login", "list"), ("list", "item"), ("item", "item")], [("login", "list")]]
        graphs = [[{"fromId": one, "toId": other} for one, other in graph] for graph in calls]
        return {self.key: [{"_id": f"graph {n}", "call_graph": graph} for n, graph in enumerate(graphs, 1)]}

    def read(self, value: Value, most: int) -> Asked:
        """Compute the features of the graphs (see :class:`Form`).

        Raises:
            Refused: if a graph has no name or no edges, a name comes twice, or an edge lacks an end.
        """
        _listed(value, most, self.key, "call graph")
        graphs = checked(_GRAPHS, value, self.key)
        names = [graph["_id"] for graph in graphs]
        if len(set(names)) < len(names):
            place, name = next((at, one) for at, one in enumerate(names) if one in names[:at])
            raise invalid(
                f"each graph must have its own _id, found {name[:60]!r} twice: rename", _at(self.key, place, "_id")
            )
        return Asked(_graph_rows(graphs, self.features), names={"_id": names}, notes=(WORLD,))


@dataclass(frozen=True)
class LineForm:
    """Raw lines of a log, complete sessions of them: ``{"lines": [...]}``.

    Attributes:
        shown: lines of an example; none where no example is known.
    """

    shown: tuple[str, ...]
    key: str = LINES

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        return _object(self.key, {"type": "array", "items": {"type": "string"}, "minItems": 1})

    @property
    def example(self) -> Value:
        """Lines that are nobody's log."""
        return {self.key: list(self.shown)} if self.shown else None

    def read(self, value: Value, most: int) -> Asked:
        """Check the lines (see :class:`Form`).

        Raises:
            Refused: if one is no text.
        """
        _listed(value, most, self.key, "line")
        return Asked(pl.DataFrame({"line": checked(_LINES, value, self.key)}, schema={"line": pl.String}))


@dataclass(frozen=True)
class SessionForm:
    """Sessions as lists of event ids: ``{"sessions": [[5, 22, ...]]}``; ids such as ``"E5"`` are taken, too.

    Attributes:
        known: the events of training.
    """

    known: tuple[int | str, ...]
    key: str = SESSIONS

    @property
    def schema(self) -> Json:
        """JSON Schema of the body."""
        kinds = [{"type": "array", "items": {"type": kind}, "minItems": 1} for kind in ("integer", "string")]
        return _object(self.key, {"type": "array", "items": {"anyOf": kinds}, "minItems": 1})

    @property
    def example(self) -> Value:
        """A session of one known event."""
        return {self.key: [list(self.known[:1])]}

    def read(self, value: Value, most: int) -> Asked:
        """Check the sessions (see :class:`Form`).

        Raises:
            Refused: if a session is empty, or its events are not all whole numbers or all texts.
        """
        _listed(value, most, self.key, "session")
        for place, session in enumerate(value):
            _listed(session, None, _at(self.key, place), "event")
        texts = isinstance(value[0][0], str)
        events = checked(_TEXT_SESSIONS if texts else _SESSIONS, value, self.key)
        kind = pl.List(pl.String if texts else pl.Int64)
        return Asked(pl.DataFrame({"events": events}, schema={"events": kind}), notes=self._strangers(events))

    def _strangers(self, sessions: Sequence[Sequence[int | str]]) -> tuple[str, ...]:
        """Say which events training does not have; ``E5`` and 5 are the same where training has numbers."""
        known = {str(event) for event in self.known}
        numbered = all(isinstance(event, int) for event in self.known)
        seen = {event for session in sessions for event in session}
        strange = sorted(
            str(event) for event in seen if str(event) not in known and not (numbered and _number(event) in known)
        )
        if not strange:
            return ()
        shown = ", ".join(name[:SHOWN_NAME] for name in strange[:SHOWN_NAMES])
        more = " and more" if len(strange) > SHOWN_NAMES else ""
        return (f"events that training does not have count as unseen; here: {shown}{more}",)


def checked(adapter: TypeAdapter[Any], value: Value, field: str) -> Any:  # noqa: ANN401 - what the adapter makes
    """Check a value.

    Raises:
        Refused: if it does not fit; the first field that does not is named.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        place = _path(field, found[0]["loc"])
        alike = {one["type"]: one["msg"] for one in found[:2] if _path(field, one["loc"]) == place}
        raise invalid(_sentence(place, alike, found[0]["input"]), place) from None


EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "an object",
    "list_type": "a list",
    "too_short": "a list of one or more",
}
"""What was expected, by pydantic's name of the error."""


def _sentence(place: str, errors: Mapping[str, str], found: object) -> str:
    """One sentence of ours for what is wrong; of alternatives, the last one is the widest."""
    if "missing" in errors:
        return f"{place} must be there, but is missing: add it"
    kind, message = list(errors.items())[-1]
    expected = EXPECTED.get(kind, message.removeprefix("Input should be "))
    return f"{place} must be {expected}, found {_kind(found)}: correct it"


def _kind(value: object) -> str:
    """What a value is, in words that show nothing of long texts."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{float(value):g}" if abs(value) < 10**300 else "a number beyond 1e300"
    return names.get(type(value), type(value).__name__)


def _path(field: str, places: Sequence[int | str]) -> str:
    """Name of a field, as ``rows[0].src_bytes``; names of alternatives are no part of it."""
    found = field
    for place in places:
        if isinstance(place, int):
            found += f"[{place}]"
        elif place not in _ALTERNATIVES:
            found += f".{place}"
    return found


def _at(field: str, place: int, name: str = "") -> str:
    return f"{field}[{place}]{'.' if name else ''}{name}"


_ALTERNATIVES = frozenset({"constrained-int", "float", "constrained-float", "int", "str", "constrained-str"})


def _listed(value: Value, most: int | None, field: str, what: str) -> None:
    """Check that a value is a list that is neither empty nor too long.

    Raises:
        Refused: if it is not.
    """
    if not isinstance(value, list):
        raise invalid(f"{field} must be a list of {what}s, found {_kind(value)}: send a list", field)
    if not value:
        raise invalid(f"{field} must hold one {what} or more, found none: send some", field)
    if most is not None and len(value) > most:
        message = f"{field} may hold {most:,} {what}s at most, found {len(value):,}: send them in parts"
        raise Refused(413, "too_large", message, field)


def _object(key: str, schema: Json) -> Json:
    """Schema of an object with one value; definitions move up."""
    inside = {"minItems": 1, **schema} if schema.get("type") == "array" else schema
    return {"type": "object", "properties": {key: inside}, "required": [key]}


def _row_form(model: Champion) -> RowForm:
    """Form of the rows of a table, with the types of training."""
    example = model.example()
    usual: Record = example.row(0, named=True)
    missing = _may_miss(model)
    types = {name: _column_type(dtype, name in missing) for name, dtype in model.input_types_.items()}
    raw = plain_raw = None
    if model.reader_ is not None:
        raw = _table_adapter("Record", dict.fromkeys(model.reader_.inputs, Text | None))
        plain_raw = PlainRows(dict.fromkeys(model.reader_.inputs, frozenset({str, NoneType})))
        usual = dict.fromkeys(model.reader_.inputs, "12")
    spans = frozenset(name for name, dtype in model.input_types_.items() if dtype.startswith("Duration"))
    plain = {name: _plain_types(dtype, name in missing) for name, dtype in model.input_types_.items()}
    return RowForm(
        columns=_table_adapter("Row", types),
        raw=raw,
        usual=usual,
        used=frozenset(types),
        spans=spans,
        plain=None if spans else PlainRows(plain),
        plain_raw=plain_raw,
    )


def _may_miss(model: Champion) -> set[str]:
    """Columns that were missing in training now and then."""
    normal = {name for name, usual in model.usual_.items() if getattr(usual, "missing", 0) > 0}
    plans = getattr(model.features_, "columns_", ())
    return normal | {plan.name for plan in plans if plan.missing or plan.infinite}


def _table_adapter(name: str, types: Mapping[str, Any]) -> TypeAdapter[list[Record]]:
    return TypeAdapter(list[TypedDict(name, types)])  # type: ignore[misc, operator, arg-type]


def _column_type(dtype: str, missing: bool) -> Any:  # noqa: ANN401 - a type
    """Type of a column's values in JSON: whole numbers stay whole, stretches of time are seconds."""
    if dtype.startswith(("Int", "UInt")):
        kind: Any = Whole | Number
    elif dtype == "Boolean":
        kind = Truth
    else:
        kind = Number if dtype.startswith("Float") else Seconds if dtype.startswith("Duration") else Text
    return kind | None if missing else kind


def _plain_types(dtype: str, missing: bool) -> frozenset[type]:
    """Types of values that :func:`_column_type` takes as they are."""
    if dtype == "Boolean":
        kinds: set[type] = {bool}
    else:
        kinds = {int, float} if dtype.startswith(("Int", "UInt", "Float")) else {str}
    return frozenset(kinds | ({NoneType} if missing else set()))


def _text_of(item: Value, place: int) -> str:
    """The event inside an item of the earlier form.

    Raises:
        Refused: if there is none.
    """
    field = f"[{place}].data"
    if not isinstance(item, dict):
        raise invalid(f"[{place}] must be an object with data, found {_kind(item)}: correct it", f"[{place}]")
    if "data" not in item:
        raise invalid(f"{field} must be there, but is missing: add it", field)
    if not isinstance(item["data"], str):
        raise invalid(f"{field} must be a text, found {_kind(item['data'])}: write the event as JSON in a text", field)
    return item["data"]


def _event_text(event: Record, name: str, place: int) -> str | None:
    """A text of an event; the payload is the value that a rule matched, unless the event has one.

    Raises:
        Refused: if it is not there, or no text.
    """
    column = waf.VARIABLE_VALUE if name == PAYLOAD and PAYLOAD not in event else name
    field = f"[{place}].data.{column}"
    if column not in event:
        raise invalid(f"{field} must be there, but is missing: add it", field)
    value = event[column]
    if value is not None and not isinstance(value, str):
        raise invalid(f"{field} must be a text or null, found {_kind(value)}: write it as text", field)
    return value


def _event_name(event: Record, place: int) -> str | int | None:
    """The name of an event.

    Raises:
        Refused: if it has none.
    """
    field = f"[{place}].data.{waf.EVENT_ID}"
    if waf.EVENT_ID not in event:
        raise invalid(f"{field} must be there, but is missing: add it", field)
    name = event[waf.EVENT_ID]
    if isinstance(name, bool) or not (name is None or isinstance(name, str | int)):
        raise invalid(f"{field} must be a text, found {_kind(name)}: correct it", field)
    return name


def _graph_rows(graphs: Sequence[Record], features: Sequence[str]) -> Sequence[Record]:
    """Features of call graphs; global degrees are those of these graphs together."""
    names = {STD_LOCAL: "std_dest_in_degree"}
    ends = [(str(at), edge["fromId"], edge["toId"]) for at, graph in enumerate(graphs) for edge in graph["call_graph"]]
    frame = pl.DataFrame(ends, schema=dict.fromkeys(("_id", "from", "to"), pl.String), orient="row")
    inner_names = [names.get(name, name) for name in features]
    made = call_graph.CallGraphFeatures(inner_names, degrees="transductive")
    try:
        table = made.fit(frame).describe(frame, ids=pl.Series("_id", [str(at) for at in range(len(graphs))]))
    except LabError as error:
        raise invalid(str(error), GRAPHS) from error
    return table.select(pl.col(inner).alias(name) for inner, name in zip(inner_names, features, strict=True)).to_dicts()


def _number(event: int | str) -> str:
    """Number in the id of an event, as text: 5 for E5."""
    digits = "".join(filter(str.isdigit, str(event)))
    return str(int(digits)) if isinstance(event, str) and digits.isascii() and digits else ""


def _example_lines(model: LogMonitor, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Lines of the example beside the model, or made of its templates; none where it cannot read them itself."""
    made = model.example()["line"].to_list()
    for lines in (_stored_lines(texts), made):
        with contextlib.suppress(LabError):
            if lines and model.decide(pl.DataFrame({"line": lines}), explained="none").height:
                return tuple(lines)
    return ()


def _stored_lines(texts: Mapping[str, str]) -> list[str]:
    """Lines of the example that is stored beside a model."""
    try:
        return [str(line) for (line,) in json.loads(texts[EXAMPLE])["data"]]
    except (KeyError, TypeError, ValueError):
        return []


_NUMBERS: TypeAdapter[list[Any]] = TypeAdapter(list[Whole | Number])
_LINES: TypeAdapter[list[str]] = TypeAdapter(list[Text])
_SESSIONS: TypeAdapter[list[list[int]]] = TypeAdapter(list[list[Whole]])
_TEXT_SESSIONS: TypeAdapter[list[list[str]]] = TypeAdapter(list[list[Text]])
_Edge = TypedDict("_Edge", {"fromId": Text, "toId": Text})  # noqa: UP013 - the earlier names
_Graph = TypedDict("_Graph", {"_id": Text, "call_graph": Annotated[list[_Edge], Field(min_length=1)]})  # noqa: UP013
_GRAPHS: TypeAdapter[list[Any]] = TypeAdapter(list[_Graph])
