"""A user's catalogue entry: which keys there are, and what each must hold.

Only the entry itself is checked here; its files are looked at when the data are loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, get_args

from utils.datasets.contract import Kind
from utils.datasets.own import pattern, values
from utils.datasets.own.values import LabelFile
from utils.datasets.wording import nearest
from utils.errors import CatalogError

KINDS: tuple[str, ...] = get_args(Kind)
LISTS = ("identity", "ignore", "features")
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "table": ("label", "type", "time", "group", "split"),
        "events": ("event", "session", "time", "label", "type", "group", "split"),
        "call_graph": ("id", "from", "to", "label", "type", "time", "group", "split"),
        "log": (),
    }
)
_SHARED = ({"label", "type"}, {"group", "session", "id", "identity"}, {"from", "to"})


@dataclass(frozen=True)
class OwnEntry:
    """A user's data set as its catalogue entry describes it; ``data/README.md`` explains the keys.

    Attributes:
        folder: the data folder; relative paths start there.
        columns: name of the column in each single role (``label``, ``time``, ``session``, ...).
        lists: names of the columns in each role of several (``identity``, ``ignore``, ``features``).
        anomaly: label values that mean an anomaly, as text.
        normal: label values that mean normal, as text.
    """

    name: str
    kind: Kind
    folder: Path
    files: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    anomaly: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    time_format: str | None = None
    year: int | None = None
    delimiter: str | None = None
    decimal: str | None = None
    nulls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    encoding: str | None = None
    header: str = ""
    session: str | None = None
    window: str | None = None
    window_lines: int | None = None
    labels: LabelFile | None = None
    behaviors: tuple[str, ...] = ()
    title: str = ""
    licence: str = ""
    cite: str = ""
    truth: str = ""

    def column(self, role: str) -> str | None:
        """Name of the column in a single role, if the entry gives one."""
        return self.columns.get(role)

    def wrong(self, key: str, problem: str) -> CatalogError:
        """Make the error that refuses one key of this entry."""
        return _refusal(self.name, key, problem)


def declare(name: str, table: Mapping[str, Any], data_dir: Path) -> OwnEntry:
    """Check a user's catalogue entry.

    Args:
        name: name of the entry, which becomes the name of the data set.
        table: the entry as TOML gives it.
        data_dir: folder from which relative file names start.

    Returns:
        The entry, checked; its files are not looked at.

    Raises:
        CatalogError: naming the entry, the key, what was found and what to write instead.
    """
    kind = table.get("kind")
    if kind not in KINDS:
        found = "none" if kind is None else f"{kind!r}{nearest(str(kind), KINDS)}"
        raise _refusal(name, "kind", f"must be one of {', '.join(KINDS)}, found {found}: write one of them")
    known = [key for key, (kinds, _) in KEYS.items() if kind in kinds]
    _known_keys(name, "", table, known, kind)
    given = {key: _checked(name, key, value) for key, value in table.items() if key not in ("kind", "columns")}
    singles, lists = _columns(name, kind, table.get("columns", {}))
    entry = OwnEntry(name=name, kind=cast(Kind, kind), folder=data_dir, columns=singles, lists=lists, **given)
    for rule in _RULES:
        rule(entry)
    return entry


def _refusal(name: str, key: str, problem: str) -> CatalogError:
    return CatalogError(f"catalogue entry [{name}]: {key} {problem}")


def _known_keys(name: str, where: str, table: Mapping[str, Any], known: Iterable[str], kind: str) -> None:
    for key in table:
        if key not in known:
            near = _elsewhere(key, where) or nearest(key, known)
            listed = ", ".join(known)
            raise _refusal(name, f"{where}{key}", f"is no key of kind {kind!r}{near}: the keys are {listed}")


def _elsewhere(key: str, where: str) -> str:
    """Hint for a key that exists, but in another place or for another kind."""
    if where and key in KEYS:
        return " (it belongs to the entry itself, above its columns)"
    if key in KEYS:
        return f" (it belongs to kind {' and '.join(repr(kind) for kind in KEYS[key][0])})"
    if any(key in (*singles, *LISTS) for singles in COLUMNS.values()):
        return f' (it belongs into columns = {{ {key} = "..." }})'
    return ""


def _checked(name: str, key: str, value: Any) -> Any:  # noqa: ANN401 (whatever TOML holds)
    try:
        return KEYS[key][1](value)
    except ValueError as error:
        raise _refusal(name, key, f"must be {error}, found {value!r}: correct it") from None


def _columns(name: str, kind: str, table: Any) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:  # noqa: ANN401
    if not isinstance(table, Mapping):
        raise _refusal(name, "columns", f'must be a table such as {{ label = "class" }}, found {table!r}: correct it')
    _known_keys(name, "columns.", table, (*COLUMNS[kind], *LISTS), kind)
    singles: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for role, value in table.items():
        try:
            if role in LISTS:
                lists[role] = values.texts(value)
            else:
                singles[role] = values.text(value)
        except ValueError as error:
            raise _refusal(name, f"columns.{role}", f"must be {error}, found {value!r}: correct it") from None
    return singles, lists


_ALL = KINDS
_TABLES = ("table", "events", "call_graph")
_ROWS = ("events", "log")
KEYS: Mapping[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = MappingProxyType(
    {
        "kind": (_ALL, values.text),
        "files": (_ALL, values.paths),
        "title": (_ALL, values.text),
        "licence": (_ALL, values.text),
        "cite": (_ALL, values.text),
        "truth": (_ALL, values.text),
        "columns": (_ALL, dict),
        "anomaly": (_ALL, values.values),
        "normal": (_ALL, values.values),
        "time_format": (_ALL, values.text),
        "year": (_ALL, values.year),
        "encoding": (_ALL, values.encoding),
        "delimiter": (_ALL, values.character),
        "decimal": (_TABLES, values.decimal),
        "nulls": (_ALL, values.texts),
        "names": (("table", "events"), values.names),
        "window": (_ROWS, values.window),
        "window_lines": (_ROWS, values.count),
        "labels": (_ROWS, values.label_file),
        "behaviors": (("call_graph",), values.paths),
        "header": (("log",), values.header),
        "session": (("log",), values.session),
    }
)


# ---- rules between keys


def _needs_files(entry: OwnEntry) -> None:
    if not entry.files:
        raise entry.wrong("files", 'must be a list of paths such as ["own/mine.csv"], found none: add it')


def _needs_structure(entry: OwnEntry) -> None:
    if entry.kind == "events" and not entry.column("event"):
        raise entry.wrong("columns.event", "must name the column with the name of the event, found none: add it")
    if entry.kind == "log" and not entry.header:
        problem = "must be a regular expression of a line with a group named content, found none: "
        raise entry.wrong("header", problem + "write header = '(?P<time>\\S+ \\S+) (?P<content>.*)' or the like")


def _session_or_window(entry: OwnEntry) -> None:
    by_name = entry.session or entry.column("session") or ("session" if "session" in groups(entry) else None)
    given = {"session": by_name, "window": entry.window, "window_lines": entry.window_lines}
    present = [key for key, value in given.items() if value]
    if len(present) > 1:
        raise entry.wrong(f"{present[0]} and {present[1]}", "exclude each other, found both: keep one of them")
    if entry.kind == "log" and not present:
        problem = "must say how lines form sessions, found none of session, window and window_lines: add one, such as "
        raise entry.wrong("session", problem + "session = 'req-\\d+', window = \"5m\" or window_lines = 100")
    if entry.labels and present != ["session"]:
        raise entry.wrong("labels", "labels sessions by their name, found no session: name what a session is")
    if entry.session and "session" in groups(entry):
        raise entry.wrong("session", "is a key and a group of the header, found both: keep one of them")


def _time_is_there(entry: OwnEntry) -> None:
    has_time = entry.column("time") or {"time", "date"} & set(groups(entry))
    where = "the group time in header" if entry.kind == "log" else "columns.time"
    for key in ("window", "time_format", "year"):
        if getattr(entry, key) is not None and not has_time:
            raise entry.wrong(key, f"needs a time, found no {where}: add it, or take out {key}")


def _labels_have_meaning(entry: OwnEntry) -> None:
    label = entry.column("label") or entry.labels or ("label" if "label" in groups(entry) else None)
    if label and not (entry.anomaly or entry.normal):
        problem = "must say which label values are anomalies, found neither anomaly nor normal: "
        raise entry.wrong("anomaly", problem + 'add anomaly = ["attack"], or normal = ["ok"] if all others are')
    if not label and (entry.anomaly or entry.normal):
        where = "label group in header and no labels" if entry.kind == "log" else "columns.label"
        key = "anomaly" if entry.anomaly else "normal"
        raise entry.wrong(key, f"explains the values of a label, found no {where}: name the label, or take out {key}")
    if both := sorted({*entry.anomaly} & {*entry.normal}):
        raise entry.wrong("anomaly and normal", f"must hold different values, found {both[0]!r} in both: keep one")
    if entry.labels and (entry.column("label") or "label" in groups(entry)):
        raise entry.wrong("labels and label", "exclude each other, found both: keep one of them")
    if entry.column("type") and not entry.column("label"):
        raise entry.wrong("columns.type", "names kinds of anomaly, found no columns.label beside it: add it")


def _behaviors_carry_columns(entry: OwnEntry) -> None:
    described = [role for role in (*entry.columns, *entry.lists) if role not in ("id", "from", "to")]
    if entry.kind == "call_graph" and described and not entry.behaviors:
        problem = "is a column of the behaviours, found no behaviors: name that file, or take it out"
        raise entry.wrong(f"columns.{described[0]}", problem)


def _lines_stay_whole(entry: OwnEntry) -> None:
    needed = {pattern.CONTENT, *pattern.RESERVED} if entry.kind == "log" else set[str]()
    if lost := sorted(needed & set(entry.lists.get("ignore", ()))):
        raise entry.wrong("columns.ignore", f"must name groups other than content, found {lost[0]!r}: take it out")


def _one_role_a_column(entry: OwnEntry) -> None:
    roles: dict[str, list[str]] = {}
    for role, name in entry.columns.items():
        roles.setdefault(name, []).append(role)
    for role, names in entry.lists.items():
        for name in dict.fromkeys(names):
            roles.setdefault(name, []).append(role)
    for name, held in roles.items():
        if len(held) > 1 and not any(set(held) <= shared for shared in _SHARED):
            raise entry.wrong("columns", f"must give a column one role, found {name!r} as {' and '.join(held)}: choose")


def groups(entry: OwnEntry) -> tuple[str, ...]:
    """Names of the header's groups, as columns of the lines; empty for other kinds."""
    return pattern.groups(entry.header) if entry.header else ()


_RULES: tuple[Callable[[OwnEntry], None], ...] = (
    _needs_files,
    _needs_structure,
    _session_or_window,
    _time_is_there,
    _labels_have_meaning,
    _behaviors_carry_columns,
    _lines_stay_whole,
    _one_role_a_column,
)
