"""Own data: events and their sessions, call graphs and their behaviours."""

import json
from datetime import datetime
from functools import partial

import polars as pl
import pytest

from tests.unit.loading import load_own, reasons
from utils.errors import CatalogError, DataError, LabError

EVENTS = """user,at,what,where,bad
anna,2024-01-01 10:00:00,open,DE,0
ben,2024-01-01 10:00:01,open,FR,0
anna,2024-01-01 10:00:05,pay,DE,0
ben,2024-01-01 10:00:03,steal,FR,1
,2024-01-01 10:00:09,tick,DE,0
"""
ROLES = {"event": "what", "session": "user", "time": "at", "label": "bad"}


@pytest.fixture
def load(tmp_path):
    """Write files and load an entry that names them."""

    return partial(load_own, tmp_path)


def events(load, content=EVENTS, more=None, **table):
    return load({"e.csv": content, **(more or {})}, kind="events", **table)


def test_events_are_put_in_order_and_gathered_by_session(load):
    dataset = events(load, columns=ROLES, anomaly=[1])
    rows, sessions = dataset["events"], dataset["sessions"]
    assert rows.columns[:4] == ["event_id", "session", "time", "event"]
    assert rows["event"].to_list() == ["open", "open", "steal", "pay", "tick"]
    assert rows["event_id"].to_list() == [1, 2, 3, 4, 5]
    assert sessions.select("session", "events", "n_events", "first_line", "last_line", "duration_s").rows() == [
        ("anna", ["open", "pay"], 2, 1, 4, 5.0),
        ("ben", ["open", "steal"], 2, 2, 3, 2.0),
    ]
    assert sessions["start"][0] == datetime(2024, 1, 1, 10)
    assert sessions.select("is_anomaly", "anomaly_type").rows() == [(False, "normal"), (True, "anomaly")]
    assert dataset.main == "events"
    assert reasons(dataset) == {
        "events that stand before an earlier one": 1,
        "events without a session": 1,
    }


def test_roles_of_events_and_sessions(load):
    dataset = events(load, columns=ROLES | {"group": "where"}, anomaly=[1])
    meaning, whole = dataset.roles["events"], dataset.roles["sessions"]
    assert (meaning.unit, meaning.label, meaning.time, meaning.group) == ("event", "is_anomaly", "time", "where")
    assert meaning.features == ("event",)
    assert meaning.withheld["session"] == "name of the session"
    assert (whole.unit, whole.sequence, whole.group, whole.identity) == ("session", "events", "where", ("session",))
    assert whole.features == ("n_events", "duration_s")
    assert dataset["sessions"]["where"].to_list() == ["DE", "FR"]
    assert events(load, columns=ROLES | {"group": "user"}, anomaly=[1]).roles["events"].group == "session"


def test_windows_and_runs_of_events(load):
    roles = {"event": "what", "time": "at"}
    windows = events(load, columns=roles, window="5s")
    assert windows["sessions"]["session"].to_list() == [datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, 0, 5)]
    assert windows["sessions"]["n_events"].to_list() == [3, 2]
    assert windows.roles["sessions"].unit == "window"
    assert windows.truth == "nobody labelled these data"
    assert events(load, columns={"event": "what"}, window_lines=2)["sessions"]["n_events"].to_list() == [2, 2, 1]


def test_events_without_a_session_are_one_frame(load):
    dataset = events(load, columns={"event": "what", "ignore": ["user"]})
    assert dataset.roles["events"].withheld["at"] == "a time that the entry does not name"
    assert list(dataset.frames) == ["events"]
    assert dataset.roles["events"].features == ("event", "where", "bad")


def test_labels_of_sessions_come_from_their_own_file(load):
    labels = {"l.csv": "who,class,kind\nanna,ok,\nben ,odd,thief\ncarl,ok,\n"}
    roles = {role: ROLES[role] for role in ("event", "session", "time")}
    source = {"file": "l.csv", "session": "who", "label": "class", "type": "kind"}
    dataset = events(load, more=labels, columns=roles, labels=source, anomaly=["odd"])
    assert dataset.main == "sessions"
    assert dataset["sessions"].select("session", "is_anomaly", "anomaly_type").rows() == [
        ("anna", False, "normal"),
        ("ben", True, "thief"),
    ]
    assert dataset.roles["events"].label is None
    assert reasons(dataset)["labels of sessions that the files do not have"] == 1
    assert dataset.digest != events(load, columns=roles).digest


def test_sessions_that_nobody_labelled_are_left_out(load):
    dataset = events(
        load,
        more={"l.csv": "session,label\nanna,1\n"},
        columns={"event": "what", "session": "user"},
        labels="l.csv",
        anomaly=[1],
    )
    assert dataset["sessions"]["session"].to_list() == ["anna"]
    assert reasons(dataset)["sessions that the labels file does not name"] == 1
    assert reasons(dataset)["every label says an anomaly: one class only"] == 1


WRONG_EVENTS = {
    "no event column": ({"columns": {"event": "wat"}}, {}, "columns.event names the column 'wat'"),
    "unlabelled events": (
        {"columns": {"event": "what", "label": "user"}, "normal": ["anna"]},
        {},
        'must have a label, found none in 1 of 5: label them, or add ""',
    ),
    "a name in the way": (
        {"columns": {"event": "what", "time": "at"}},
        {"e.csv": "what,at,time\na,2024-01-01,1\n"},
        "found both, but the column 'time' will be that of columns.time: add 'time' to ignore",
    ),
    "contradicting labels": (
        {"columns": {"event": "what", "session": "user"}, "labels": "l.csv", "anomaly": [1]},
        {"l.csv": "session,label\nanna,1\nanna,0\n"},
        "must label a session once, found 'anna' with different labels",
    ),
    "labels of nobody": (
        {"columns": {"event": "what", "session": "user"}, "labels": "l.csv", "anomaly": [1]},
        {"l.csv": "session,label\nx,1\ny,0\n"},
        "must label sessions of the files, found 'x' there and 'anna' in the files",
    ),
    "no column in the labels": (
        {"columns": {"event": "what", "session": "user"}, "labels": "l.csv", "anomaly": [1]},
        {"l.csv": "sessions,label\nx,1\n"},
        "labels.session names the column 'session', which",
    ),
    "no session in any event": (
        {"columns": {"event": "what", "session": "user"}},
        {"e.csv": "what,user\na,\nb,\n"},
        "column 'user' must name the sessions of events, found no value",
    ),
    "a column with a name that is given": (
        {"columns": {"event": "what"}},
        {"e.csv": "what,event_id\na,1\n"},
        "must not have a column 'event_id'",
    ),
    "a group with a name that is given": (
        {"columns": {"event": "what", "group": "start"}},
        {"e.csv": "what,start\na,1\n"},
        "must not have a column 'start'",
    ),
    "a group with the name of the windows": (
        {"columns": {"event": "what", "group": "session"}, "window_lines": 2},
        {"e.csv": "what,session\na,1\n"},
        "must not have a column 'session'",
    ),
    "lists in the labels": (
        {"columns": {"event": "what", "session": "user"}, "labels": "l.json", "anomaly": [1]},
        {"l.json": '[{"session": ["anna"], "label": 1}]'},
        "labels.session must name a column of texts, numbers or times",
    ),
    "no labels file": (
        {"columns": {"event": "what", "session": "user"}, "labels": "none.csv", "anomaly": [1]},
        {},
        "labels names 'none.csv', found no such file",
    ),
}


@pytest.mark.parametrize("case", WRONG_EVENTS)
def test_wrong_events_are_refused(load, case):
    table, files, said = WRONG_EVENTS[case]
    with pytest.raises(LabError) as refused:
        load({"e.csv": EVENTS} | files, kind="events", **table)
    assert said in str(refused.value)


def test_a_column_called_time_that_is_not_the_time_stays_what_it_is(load):
    dataset = events(load, "what,user,time\na,u,late\nb,u,early\n", columns={"event": "what", "session": "user"})
    assert dataset["events"]["time"].to_list() == ["late", "early"]
    assert "start" not in dataset["sessions"].columns


def test_events_without_a_name_are_left_out(load):
    dataset = events(load, "what,user\na,u\n,u\nb,u\n", columns={"event": "what", "session": "user"})
    assert dataset["sessions"]["events"].to_list() == [["a", "b"]]
    assert reasons(dataset) == {"events without a name": 1}


# ---- call graphs

EDGES = "id,from,to\nb1,/a,/b\nb1,/b,/c\nb1,/a,/b\nb2,/a,/a\n"
TABLE = "id,users,class,when\nb1,3,ok,2024-01-01\nb2,1,odd,2024-01-02\n"
GRAPH_ROLES = {"label": "class", "time": "when"}


def graphs(load, edges=EDGES, table=TABLE, name="g.csv", **more):
    files = {name: edges} | ({"b.csv": table} if table else {})
    extra = {"behaviors": ["b.csv"], "columns": GRAPH_ROLES, "anomaly": ["odd"]} if table else {}
    return load(files, kind="call_graph", **(extra | more))


def test_graphs_have_sizes_labels_and_roles(load):
    dataset = graphs(load)
    behaviors, edges = dataset["behaviors"], dataset["edges"]
    assert behaviors.select("_id", "n_edges", "n_nodes", "is_anomaly").rows() == [
        ("b1", 3, 3, False),
        ("b2", 1, 1, True),
    ]
    assert edges.columns == ["_id", "from", "to"]
    assert edges.height == 4
    meaning = dataset.roles["behaviors"]
    assert (meaning.identity, meaning.time, meaning.unit) == (("_id",), "when", "behaviour")
    assert meaning.features == ("users", "n_edges", "n_nodes")
    assert dataset.roles["edges"].group == "_id"
    assert dataset.main == "behaviors"
    assert graphs(load, columns=GRAPH_ROLES | {"id": "id", "group": "id"}).roles["behaviors"].group == "_id"


def test_graphs_without_a_table_of_behaviours(load):
    dataset = graphs(load, table=None)
    assert dataset["behaviors"].rows() == [("b1", 3, 3), ("b2", 1, 1)]
    assert dataset.roles["behaviors"].label is None


def test_graphs_in_json_may_repeat_and_may_be_empty(load):
    graph = [{"fromId": "/a", "toId": "/b"}, {"fromId": "/b", "toId": "/c"}]
    objects = [
        {"_id": "b1", "call_graph": graph},
        {"_id": "b1", "call_graph": graph},
        {"_id": "b2", "call_graph": []},
        {"_id": "b3", "call_graph": [{"fromId": None, "toId": None}]},
    ]
    dataset = graphs(load, json.dumps(objects), table=None, name="g.json")
    assert dataset["behaviors"].rows() == [("b1", 2, 3), ("b2", 0, 0), ("b3", 0, 0)]
    assert reasons(dataset) == {"graphs that repeat another one": 1, "behaviours without an edge": 2}


def test_calls_with_an_id_of_their_own_belong_to_their_graph(load):
    objects = [{"id": "b1", "call_graph": [{"id": 7, "fromId": "/a", "toId": "/b"}]}]
    dataset = graphs(load, json.dumps(objects), table=None, name="g.json")
    assert dataset["edges"].rows() == [("b1", "/a", "/b")]


def test_edges_and_behaviours_that_do_not_meet_are_reported(load):
    dataset = graphs(load, EDGES + "b9,/a,/b\n,/a,/b\n", TABLE + "b3,1,ok,2024-01-03\nb3,1,ok,2024-01-03\n")
    assert reasons(dataset) == {
        "edges without an id": 1,
        "behaviours that repeat another one or have no id": 1,
        "edges of ids that the behaviours do not have": 1,
        "behaviours without an edge": 1,
    }
    assert dataset["behaviors"]["_id"].to_list() == ["b1", "b2", "b3"]
    assert dataset["edges"]["_id"].unique().sort().to_list() == ["b1", "b2"]


def test_columns_of_edges_may_have_other_names(load):
    renamed = EDGES.replace("id,from,to", "key,src,dst")
    roles = {"id": "key", "from": "src", "to": "dst"}
    dataset = graphs(load, renamed, TABLE.replace("id,", "key,"), columns=GRAPH_ROLES | roles)
    assert dataset["behaviors"]["n_edges"].to_list() == [3, 1]


@pytest.mark.parametrize(
    ("edges", "table", "kind", "said"),
    [
        ("id,from,too\nb1,/a,/b\n", TABLE, CatalogError, "columns.to names the column 'to'"),
        (EDGES, "key,class,when\nb1,ok,2024-01-01\n", CatalogError, "columns.id names the column 'id'"),
        (
            EDGES,
            TABLE.replace("b2,1", "b1,1"),
            DataError,
            "must have one row for each id, found 'b1' in rows that differ",
        ),
        (EDGES, TABLE.replace("b", "x"), DataError, "found 'x1' among the behaviours and 'b1' among the edges"),
        ("id,from,to\n,/a,/b\n", TABLE, DataError, "must have an id, found none"),
        (EDGES, "id,class,when\n,ok,2024-01-01\n", DataError, "must have ids in column 'id', found none"),
        (EDGES, TABLE.replace("users", "_id"), CatalogError, "to have '_id' as well: add '_id' to ignore"),
        (EDGES, TABLE.replace("class", "kind"), CatalogError, "columns.label names the column 'class'"),
        ('[{"id": [1], "from": "a", "to": "b"}]', None, CatalogError, "columns.id must name a column of texts"),
    ],
)
def test_wrong_graphs_are_refused(load, edges, table, kind, said):
    with pytest.raises(kind) as refused:
        graphs(load, edges, table, name="g.json" if edges.startswith("[") else "g.csv")
    assert said in str(refused.value)


@pytest.mark.parametrize("role", ["time", "group", "split"])
def test_a_size_of_the_graph_is_nothing_else(load, role):
    with pytest.raises(CatalogError, match=f"columns.{role} names 'n_edges', found it to be the name of a size"):
        graphs(load, table=TABLE.replace("users", "n_edges"), columns={"label": "class", role: "n_edges"})


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"to": "id"}, "must name three columns for id, from and to"),
        ({"label": "id"}, "columns.label names 'id', found it to be the id"),
        ({"label": "class", "ignore": ["id"]}, "columns.ignore names 'id', found it to be the id"),
    ],
)
def test_the_id_is_nothing_else(load, roles, said):
    with pytest.raises(CatalogError) as refused:
        graphs(load, columns={"label": "class"} | roles)
    assert said in str(refused.value)


def test_number_ids_are_matched_as_text(load, tmp_path):
    pl.DataFrame({"id": [1, 1, 2], "from": ["a", "b", "c"], "to": ["b", "c", "d"]}).write_parquet(
        tmp_path / "g.parquet"
    )
    dataset = load(
        {"b.csv": "id,class\n1,odd\n2,ok\n"},
        kind="call_graph",
        files=["g.parquet"],
        behaviors=["b.csv"],
        columns={"label": "class"},
        anomaly=["odd"],
    )
    assert dataset["behaviors"].select("_id", "n_edges", "is_anomaly").rows() == [("1", 2, True), ("2", 1, False)]
