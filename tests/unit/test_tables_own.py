"""Processed tables of users' own files: odd names, types, labels and sizes, and what is made of them afterwards."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit import loading, small_data
from utils import audit, datasets
from utils.datasets.api import PUBLISHED_FEATURES
from utils.datasets.contract import Roles
from utils.detectors import baselines
from utils.features import evidence, tables

LOG_HEADER = r"(?P<level>\w+) (?P<content>.*)"


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture
def own(lab):
    """Write frames or lines and load them as the user's entry ``mine`` does."""

    def load(contents, kind="table", **entry):
        for name, content in contents.items():
            place = lab.data_dir / name
            if isinstance(content, pl.DataFrame):
                content.write_parquet(place)
            else:
                place.write_text("\n".join(content) + "\n", encoding="utf-8")
        keys = {"kind": kind, "files": [next(iter(contents))], **entry}
        described = "\n".join(f"{key} = {toml(value)}" for key, value in keys.items())
        head, _, _ = lab.catalog_file.read_text(encoding="utf-8").partition("\n[mine]")
        lab.catalog_file.write_text(f"{head}\n[mine]\n{described}\n", encoding="utf-8")
        return datasets.load("mine")

    return load


def signals(rows=300, share=0.2, seed=1):
    """A column that tells the classes apart a little, one that does not, a kind, and a label in words."""
    rng = np.random.default_rng(seed)
    bad = rng.random(rows) < share
    return pl.DataFrame(
        {
            "rate": rng.random(rows) + 0.4 * bad,
            "noise": rng.normal(size=rows),
            "kind": rng.choice(["a", "b", "c"], rows),
            "verdict": np.where(bad, "bad", "ok"),
        }
    )


def row_table(own, frame, features=None, **columns):
    """The frame as a table; with the verdicts, if it has them."""
    named = columns | ({"features": features} if features else {})
    labelled = "verdict" in frame.columns
    columns = {"columns": named | ({"label": "verdict"} if labelled else {})}
    return own({"mine.parquet": frame}, **({"normal": ["ok"]} if labelled else {}), **columns)


def clicks(rows=1_200, visits=120, seed=0):
    """Events of sessions; ``hack`` comes up in bad ones only."""
    rng = np.random.default_rng(seed)
    visit, bad = np.sort(rng.integers(0, visits, rows)), rng.random(visits) < 0.2
    names = np.where(bad[visit] & (rng.random(rows) < 0.2), "hack", rng.choice(["open", "pay", "close"], rows))
    return pl.DataFrame(
        {
            "at": 1_714_550_400 + np.arange(rows),
            "visit": visit,
            "action": names,
            "fraud": np.where(bad[visit], "y", "n"),
        }
    )


def events_of(own, frame, **entry):
    """The frame as events of visits."""
    columns = {"event": "action", "session": "visit", "time": "at", "label": "fraud"} | entry.pop("columns", {})
    return own({"mine.parquet": frame}, "events", columns=columns, normal=["n"], **entry)


def log_lines(rows=600, requests=60):
    rng = np.random.default_rng(2)
    said = rng.choice(["read 7 bytes", "user 9 came", "closed after", "wrote 3 bytes to"], rows)
    return [f"INFO [req-{place * requests // rows}] {text} {place}" for place, text in enumerate(said)]


def graph_files(rows=120, empty=0):
    rng = np.random.default_rng(3)
    bad = rng.random(rows) < 0.3
    sizes = [int(rng.integers(1, 5 if bad[place] else 20)) for place in range(rows - empty)]
    ids = [f"b{place}" for place, size in enumerate(sizes) for _ in range(size)]
    ends = {end: [f"/p{node}" for node in rng.integers(0, 15, len(ids))] for end in ("from", "to")}
    calls = pl.DataFrame({"id": ids, **ends})
    behaviours = pl.DataFrame({"id": [f"b{place}" for place in range(rows)], "verdict": np.where(bad, "bad", "ok")})
    return calls, behaviours


def graphs_of(own, calls, behaviours=None, **columns):
    if behaviours is None:
        return own({"calls.parquet": calls}, "call_graph")
    named = {"label": "verdict", **columns} if "verdict" in behaviours.columns else columns
    return own(
        {"calls.parquet": calls, "behaviours.parquet": behaviours},
        "call_graph",
        behaviors=["behaviours.parquet"],
        columns=named,
        **({"normal": ["ok"]} if "verdict" in behaviours.columns else {}),
    )


def used_everywhere(dataset):
    """Build, audit, write and read the tables, and do with them what the notebooks do; give the tables."""
    made = tables.build(dataset)
    loading.assert_roles_complete(made)
    found = audit.check(made)
    assert [each for each in found if (each.severity == "high" and not each.handled) or each.code == "A000"] == []
    kept = audit.admitted_tables(dataset)
    again = tables.read(dataset.name, dataset.source)
    for table, frame in made.frames.items():
        assert_frame_equal(kept[table], frame)
        assert_frame_equal(again[table], frame)
        assert again.roles[table] == made.roles[table]
    with_evidence({dataset.name: dataset}, {dataset.name: made})
    judged_everywhere({dataset.name: dataset}, {dataset.name: made})
    return made


def with_evidence(data, made):
    chosen = evidence.choices(made)
    stable = evidence.stabilities(made, resamples=3)
    evidence.verdicts(chosen)
    evidence.treatments(made)
    evidence.parsing(data, made)
    evidence.reductions(made)
    for name, dataset in data.items():
        evidence.results(name, made[name], chosen, stable)
        evidence.degrees_by_counting(dataset, made[name])


def judged_everywhere(data, made):
    judged = baselines.best_rules(made, resamples=20)
    assert baselines.overview(judged).height == len(judged)
    baselines.later_rules(data, made, resamples=20)
    baselines.shortcuts(data)
    baselines.limits(made)
    baselines.alarm_tables(made)
    baselines.signatures(made)
    for frame, roles in baselines.session_tables(made).values():
        baselines.session_results(baselines.session_rules(frame, roles), baselines.session_draws(frame, roles, draws=2))


def said(made, words):
    """The one defect that has the words."""
    (found,) = [defect for defect in made.defects if words in defect.what]
    return found


# ---- tables


@pytest.mark.parametrize("rows", [2, 3, 5, 30])
@pytest.mark.parametrize("labelled", [True, False])
def test_few_rows(own, rows, labelled):
    verdicts = pl.Series("verdict", ["ok", "bad"] * rows).head(rows)
    frame = signals(rows).with_columns(verdicts)
    made = used_everywhere(row_table(own, frame if labelled else frame.drop("verdict")))
    assert made["rows"].height == rows
    assert set(made["rows"]["split"]) == {"train", "test"}


def test_one_row_is_for_training(own):
    made = used_everywhere(row_table(own, signals(1).drop("verdict")))
    assert made["rows"]["split"].to_list() == ["train"]
    assert said(made, "1 rows cannot stand").handling == "not divided: all rows are for training"


def test_few_rows_are_told_apart_by_chance(own):
    """A feature that ranks three training rows well is no answer."""
    made = tables.build(row_table(own, signals(5).with_columns(verdict=pl.Series(["ok", "bad", "ok", "bad", "ok"]))))
    assert set(made.roles["rows"].features) == {"rate", "noise", "kind"}


def test_few_anomalies_among_many(own):
    rare = pl.when(pl.int_range(pl.len()) % 2_000 == 7).then(pl.lit("bad")).otherwise(pl.lit("ok")).alias("verdict")
    made = used_everywhere(row_table(own, signals(10_000).with_columns(rare)))
    assert made["rows"].group_by("split").agg(pl.col("is_anomaly").sum()).sort("split")["is_anomaly"].to_list() == [
        1,
        4,
    ]


def test_rows_without_a_label_are_no_normals(own):
    partly = signals().with_columns(pl.when(pl.int_range(pl.len()) % 4 != 0).then("verdict").alias("verdict"))
    made = used_everywhere(row_table(own, partly))
    assert made["rows"].height == 225
    assert made["rows"]["is_anomaly"].sum() == (partly["verdict"] == "bad").sum()


def test_one_class_and_no_class(own):
    for frame in (signals().with_columns(verdict=pl.lit("ok")), signals().drop("verdict")):
        made = used_everywhere(row_table(own, frame))
        assert set(made["rows"]["split"]) == {"train", "test"}
        assert baselines.best_rules({"mine": made}, resamples=2) == {}


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_published_split_with_one_side(own, side):
    made = used_everywhere(row_table(own, signals().with_columns(part=pl.lit(side)), split="part"))
    assert set(made["rows"]["part"]) == {side}


def test_a_group_stays_on_one_side(own):
    users = ("u" + (pl.int_range(pl.len()) % 20).cast(pl.String)).alias("user")
    made = used_everywhere(row_table(own, signals().with_columns(users), group="user"))
    assert made["rows"].group_by("user").agg(pl.col("split").n_unique())["split"].max() == 1
    assert "user" not in made.roles["rows"].features
    alone = used_everywhere(row_table(own, signals().with_columns(user=pl.lit("u")), group="user"))
    assert set(alone["rows"]["split"]) == {"train"}


def test_names_that_tables_give_themselves(own):
    """A column called split or vector is a feature like any other, and the sides are the laboratory's."""
    odd = (
        "split",
        "vector",
        "row",
        "events",
        "n_sessions",
        "count_1",
        "a b",
        "a.b",
        "größe",
        "Rate",
        "test",
        "ip_type",
    )
    rng = np.random.default_rng(5)
    frame = signals().with_columns(pl.Series(name, rng.normal(size=300)) for name in odd)
    made = used_everywhere(row_table(own, frame))
    features = set(made.roles["rows"].features)
    assert {"own_split", "own_vector", *odd} - {"split", "vector"} <= features
    assert set(made["rows"]["split"]) == {"train", "test"}
    assert made["rows"]["own_split"].equals(frame["split"].alias("own_split"))
    assert said(made, "a name that tables give themselves: split, vector").handling == "called own_split, own_vector"


def test_equal_rows_are_grouped_beside_a_column_called_vector(own):
    twins = pl.concat([signals(60).with_columns(vector=pl.int_range(60))] * 4)
    made = used_everywhere(row_table(own, twins))
    assert made.roles["rows"].group == "vector"
    assert made["rows"].group_by("own_vector", "rate").agg(pl.col("split").n_unique())["split"].max() == 1


def test_rows_that_can_hardly_differ_are_divided_row_by_row(own):
    frame = pl.DataFrame({"kind": ["a", "b"] * 150, "verdict": (["ok"] * 9 + ["bad"]) * 30})
    made = used_everywhere(row_table(own, frame))
    assert made.roles["rows"].group is None
    assert made["rows"]["split"].value_counts().sort("split")["count"].to_list() == [60, 240]


def test_repeated_rows_are_not_learned_by_heart(own):
    """Thirty rows ten times each: in other folds each row is known, yet no column gives the answer."""
    made = used_everywhere(row_table(own, pl.concat([signals(60)] * 8)))
    assert set(made.roles["rows"].features) == {"rate", "noise", "kind"}


def test_a_text_that_is_the_label_by_another_name_goes(own):
    again = pl.when(pl.col("verdict") == "bad").then(pl.lit("x")).otherwise(pl.lit("y")).alias("status")
    made = used_everywhere(row_table(own, signals().with_columns(again)))
    assert "status" not in made.roles["rows"].features
    assert "status (1.000)" in said(made, "give the answer").what


def test_types_that_no_feature_has(own):
    day = dt.date(2024, 1, 1)
    frame = signals().with_columns(
        day=pl.Series([day + dt.timedelta(days=place) for place in range(300)]),
        clock=pl.time(1, 2, 3),
        pair=pl.concat_list("rate", "noise"),
        raw=pl.col("kind").cast(pl.Binary),
        took=pl.duration(seconds=pl.int_range(pl.len()) * 7 % 100),
        price=pl.col("rate").cast(pl.Decimal(10, 3)),
        level=pl.col("kind").cast(pl.Enum(["a", "b", "c"])),
        group_name=pl.col("kind").cast(pl.Categorical),
        flag=pl.col("noise") > 0,
        nothing=pl.lit(None),
        large=pl.Series([2**63 + place * 3 for place in range(300)], dtype=pl.UInt64),
    )
    made = used_everywhere(row_table(own, frame, features=[name for name in frame.columns if name != "verdict"]))
    schema = made["rows"].schema
    assert schema["took"] == schema["price"] == pl.Float64
    assert made["rows"]["took"].head(3).to_list() == [0, 7, 14]
    assert not {"day", "clock", "pair", "raw", "nothing"} & set(schema)
    assert {"level", "group_name", "flag", "large"} <= set(made.roles["rows"].features)
    assert "day (a time by its type)" in said(made, "place or date").what
    assert "pair, raw" in said(made, "lists or bytes").what


def test_missing_and_endless_numbers(own):
    place = pl.int_range(pl.len())
    frame = signals().with_columns(
        rate=pl.when(place % 5 == 0).then(float("nan")).when(place % 7 == 0).then(float("inf")).otherwise("rate")
    )
    made = used_everywhere(row_table(own, frame))
    assert made["rows"]["rate"].null_count() == 60 + 34
    assert made["rows"]["rate"].drop_nulls().is_finite().all()


@pytest.mark.parametrize("empty", [pl.Series("x", [1] * 300), pl.Series("x", [None] * 300, dtype=pl.Float64)])
def test_nothing_varies(own, empty):
    frame = pl.DataFrame({"x": empty, "verdict": ["ok", "ok", "bad"] * 100, "part": ["train", "test"] * 150})
    made = used_everywhere(row_table(own, frame, features=["x"], split="part"))
    assert made.roles["rows"].features == ("x",)
    assert evidence.treatments({"mine": made}).is_empty()


def test_free_texts_are_no_words_of_a_rule(own):
    frame = signals().with_columns(comment="note on " + pl.int_range(pl.len()).cast(pl.String))
    made = used_everywhere(
        row_table(own, frame.with_columns(pl.col("comment").cast(pl.Categorical)), ["rate", "comment"])
    )
    assert tables.measurable(made["rows"], made.roles["rows"]) == ["rate"]
    assert evidence.treatments({"mine": made})["column"].to_list() == ["rate"]


# ---- texts of clients


def requests(rows=400):
    place = pl.int_range(rows, eager=True)
    plain = "/shop/" + place.cast(pl.String) + "?page=" + (place % 31).cast(pl.String)
    rng = np.random.default_rng(4)
    return (
        signals(rows)
        .select("verdict", "rate")
        .with_columns(
            url=pl.when(place % 9 == 0).then(pl.lit("/shop?q=<b>") + place.cast(pl.String)).otherwise(plain),
            user_agent="Mozilla/5.0 (" + (place % 77).cast(pl.String) + ")",
            status=pl.Series(rng.choice([200, 404], rows)),
            remote_addr="10.0.0." + (place % 99).cast(pl.String),
            dst_port=pl.Series(rng.choice([80, 443], rows)),
        )
    )


def test_texts_are_described_though_nobody_named_them_as_features(own):
    made = used_everywhere(row_table(own, requests(), identity=["remote_addr"]))
    features = set(made.roles["rows"].features)
    assert {"url", "url.length", "user_agent.length", "status.class", "rate"} <= features
    assert not {"remote_addr", "dst_port"} & set(made["rows"].columns)
    assert "dst_port (by its name)" in said(made, "place or date").what


def test_features_that_the_user_named_are_all_there_is(own):
    made = used_everywhere(row_table(own, requests(), features=["url", "rate"]))
    assert not [name for name in made.roles["rows"].features if name.startswith(("user_agent", "status"))]
    plain = used_everywhere(row_table(own, requests(), features=["rate"]))
    assert plain.roles["rows"].features == ("rate",)


def test_a_trait_keeps_its_name_beside_a_column_of_the_user(own):
    rng = np.random.default_rng(1)
    frame = requests().with_columns(pl.Series("url.length", rng.normal(size=400)))
    made = used_everywhere(row_table(own, frame))
    assert {"url.length", "own_url.length"} <= set(made.roles["rows"].features)
    assert made["rows"]["own_url.length"].equals(frame["url.length"].alias("own_url.length"))


def test_requests_as_events_are_described(own):
    frame = requests().with_columns(at=1_714_550_400 + pl.int_range(pl.len()))
    columns = {"event": "url", "time": "at", "label": "verdict", "identity": ["remote_addr"]}
    made = used_everywhere(own({"mine.parquet": frame}, "events", columns=columns, normal=["ok"]))
    assert "event.length" in made.roles["events"].features


# ---- events


def test_events_of_no_session_are_rows(own):
    columns = {"event": "action", "label": "fraud"}
    made = used_everywhere(own({"mine.parquet": clicks()}, "events", columns=columns, normal=["n"]))
    assert made.roles["events"].features == ("event",)


def test_sessions_keep_their_duration_and_their_unseen_events(own):
    made = used_everywhere(events_of(own, clicks()))
    assert {"duration_s", "n_events", "count_hack", "unseen_events"} <= set(made.roles["sessions"].features)


@pytest.mark.parametrize("rows", [1, 2, 5, 30])
def test_few_events(own, rows):
    made = used_everywhere(events_of(own, clicks(rows, max(1, rows // 2)).with_columns(fraud=pl.lit("n"))))
    assert "unseen_events" in made.roles["sessions"].features


@pytest.mark.parametrize("cut", [{"window": "1m"}, {"window_lines": 10}])
def test_windows_of_events(own, cut):
    columns = {"event": "action", "time": "at", "label": "fraud"}
    made = used_everywhere(own({"mine.parquet": clicks()}, "events", columns=columns, normal=["n"], **cut))
    assert made["sessions"]["n_events"].sum() == 1_200


def test_sessions_of_a_group_stay_on_one_side(own):
    """The user's word on what must not be divided goes before the order in time."""
    users = ("u" + (pl.col("visit") % 9).cast(pl.String)).alias("user")
    made = used_everywhere(events_of(own, clicks().with_columns(users), columns={"group": "user"}))
    assert made["sessions"].group_by("user").agg(pl.col("split").n_unique())["split"].max() == 1
    assert set(made["sessions"]["split"]) == {"train", "test"}


def test_training_of_one_class_keeps_the_count_of_what_it_never_saw(own):
    side = (
        pl.when((pl.col("fraud") == "n") & (pl.col("visit") % 2 == 0)).then(pl.lit("train")).otherwise(pl.lit("test"))
    )
    made = used_everywhere(events_of(own, clicks().with_columns(part=side), columns={"split": "part"}))
    sessions = made["sessions"]
    assert "count_hack" not in sessions.columns
    assert sessions.filter("is_anomaly")["unseen_events"].sum() == (clicks()["action"] == "hack").sum()
    ((frame, roles),) = baselines.session_tables({"mine": made}).values()
    rules = {line["rule"]: line for line in baselines.session_rules(frame, roles).to_dicts()}
    assert rules["UnseenEvent"]["false_alarm_rate"] == 0
    assert rules["UnseenEvent"]["f1"] > 0.8
    draws = baselines.session_draws(frame, roles, draws=3)
    assert draws.filter(rule="UnseenEvent")["min"].item() > 0.8


def test_thousands_of_names_and_names_of_the_laboratory(own):
    many = clicks(4_000, 100).with_columns(action="step " + (pl.int_range(pl.len()) * 7_919 % 3_000).cast(pl.String))
    made = used_everywhere(events_of(own, many))
    assert made["sessions"].width < 220
    names = ["count_1", "n_events", "unseen_events", "split", "a.b", "is_anomaly"]
    odd = pl.Series("action", np.random.default_rng(8).choice(names, 1_200))
    made = used_everywhere(events_of(own, clicks().with_columns(odd)))
    assert {"count_n_events", "count_unseen_events", "count_is_anomaly"} <= set(made.roles["sessions"].features)


def test_another_reading_of_the_same_files_makes_other_tables(own):
    """The digest of the files alone would bring back the tables of the entry as it was."""
    first = audit.admitted_tables(events_of(own, clicks()))
    again = events_of(own, clicks())
    assert tables.current(again) is not None
    other = own(
        {"mine.parquet": clicks()},
        "events",
        columns={"event": "action", "session": "visit", "time": "at", "label": "fraud"},
        normal=["y"],
    )
    assert tables.current(other) is None
    assert audit.admitted_tables(other)["sessions"]["is_anomaly"].equals(~first["sessions"]["is_anomaly"])


# ---- call graphs


def test_graphs_without_labels_and_features(own):
    calls, behaviours = graph_files()
    for files in ((calls,), (calls, behaviours.drop("verdict"))):
        made = used_everywhere(graphs_of(own, *files))
        assert "n_connections" in made.roles["graphs"].features
        assert not {"n_edges", "n_nodes"} & set(made["graphs"].columns)


def test_graphs_without_an_edge(own):
    made = used_everywhere(graphs_of(own, *graph_files(empty=20)))
    assert made["graphs"].height == 120


def test_one_graph(own):
    made = used_everywhere(graphs_of(own, pl.DataFrame({"id": [7], "from": ["x"], "to": ["y"]})))
    assert made["graphs"]["split"].to_list() == ["train"]


def test_a_published_split_of_graphs_has_its_own_name(own):
    calls, behaviours = graph_files()
    side = pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    dataset = graphs_of(own, calls, behaviours.with_columns(part=side), split="part")
    made = used_everywhere(dataset)
    assert evidence.degrees_by_counting(dataset, made).height


def test_published_features_stand_in_for_edges(lab):
    """Where only the published features are at hand, they are taken as they are."""
    rng = np.random.default_rng(0)
    ids = pl.DataFrame(
        {"_id": [f"b{place}" for place in range(60)], "is_anomaly": [place % 4 == 0 for place in range(60)]}
    )
    ids = ids.with_columns(anomaly_type=pl.when("is_anomaly").then(pl.lit("outlier")).otherwise(pl.lit("normal")))
    carried = ids.with_columns(ip_type=pl.lit("default"), upstream_rows=pl.lit(2), source=pl.lit("E"))
    features = ids.with_columns(pl.Series(name, rng.random(60)) for name in PUBLISHED_FEATURES)
    roles = Roles("behaviour", label="is_anomaly", anomaly_type="anomaly_type", identity=("_id",))
    why = dict.fromkeys(("ip_type", "upstream_rows", "source"), "is carried")
    notes = {"n_connections": "as published"}
    dataset = small_data.dataset(
        {"behaviors": carried, "features": features},
        {
            "behaviors": replace(roles, withheld=why),
            "features": replace(roles, features=PUBLISHED_FEATURES, notes=notes),
        },
        kind="call_graph",
    )
    made = used_everywhere(dataset)
    assert set(made.roles["graphs"].features) == set(PUBLISHED_FEATURES)
    assert set(made.roles["graphs"].withheld) == {"ip_type", "upstream_rows"}
    assert made.roles["graphs"].notes == notes


def test_columns_of_behaviours_do_not_pass_for_those_of_the_published_data(own):
    calls, behaviours = graph_files()
    rng = np.random.default_rng(6)
    names = ("n_connections", "density", "ip_type", "upstream_rows", "avg_global_dest_degrees", "users")
    more = behaviours.with_columns(pl.Series(name, rng.normal(size=120)) for name in names)
    made = used_everywhere(graphs_of(own, calls, more))
    features = set(made.roles["graphs"].features)
    assert {"users", "n_connections", "density", *(f"own_{name}" for name in names[:-1])} <= features
    assert not {"ip_type", "upstream_rows"} & set(made["graphs"].columns)
    assert made["graphs"]["own_density"].equals(more["density"].alias("own_density"))


# ---- logs


def labelled_log(own, lines, verdicts=None, **entry):
    files = {"app.log": lines}
    if verdicts is not None:
        files["labels.csv"] = ["session,label", *(f"{name},{verdict}" for name, verdict in verdicts.items())]
        entry |= {"labels": "labels.csv", "normal": ["ok"]}
    return own(files, "log", **{"header": LOG_HEADER} | entry)


def test_logs_with_and_without_labels(own):
    verdicts = {f"req-{place}": "bad" if place % 5 == 0 else "ok" for place in range(60)}
    made = used_everywhere(labelled_log(own, log_lines(), verdicts, session=r"req-\d+"))
    assert made["sessions"]["is_anomaly"].sum() == 12
    notes = made.roles["sessions"].notes
    assert set(notes) == {name for name in made.roles["sessions"].features if name.startswith("count_")}
    assert any("closed" in note for note in notes.values())
    plain = used_everywhere(labelled_log(own, log_lines(), session=r"req-\d+"))
    assert plain["sessions"]["split"].value_counts().sort("split")["count"].to_list() == [12, 48]


def test_a_log_of_one_line_and_of_windows(own):
    made = used_everywhere(labelled_log(own, ["INFO hello"], window_lines=10))
    assert made["sessions"]["split"].to_list() == ["train"]
    made = used_everywhere(labelled_log(own, log_lines(), window_lines=10))
    assert made["sessions"]["n_events"].to_list() == [10] * 60


def test_lines_of_several_sessions_and_lines_that_continue(own):
    lines = [line for each in log_lines(300, 30) for line in (each + " for [req-3]", "  at place.py")]
    made = used_everywhere(labelled_log(own, lines, session=r"req-\d+"))
    assert made["sessions"].height == 30
    assert made["sessions"]["n_events"].max() > 300


# ---- training rows


def training_rows(made, table):
    return made[table].filter(pl.col(made.roles[table].split) == "train")


def replaced(dataset, frame, changed):
    return replace(dataset, frames=dict(dataset.frames) | {frame: changed})


def test_test_rows_do_not_shape_the_training_rows_of_a_table(own):
    side = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    for frame in (signals(), requests()):
        dataset = row_table(own, frame.with_columns(part=side), split="part")
        test = pl.col("part") == "test"
        other = [pl.when(test).then(pl.col("rate") * 3 + 100).otherwise("rate").alias("rate")]
        other += [pl.when(test).then("url" + pl.col("url")).otherwise("url").alias("url")] * ("url" in frame.columns)
        before, after = (
            tables.build(each) for each in (dataset, replaced(dataset, "rows", dataset["rows"].with_columns(other)))
        )
        assert_frame_equal(training_rows(after, "rows"), training_rows(before, "rows"))
        assert not after["rows"].equals(before["rows"])


def test_test_sessions_do_not_shape_the_training_rows(own):
    dataset = events_of(own, clicks())
    before = tables.build(dataset)
    test = before["sessions"]["split"] == "test"
    strange = pl.when(test).then(pl.col("events").list.eval("new " + pl.element())).otherwise("events").alias("events")
    after = tables.build(replaced(dataset, "sessions", dataset["sessions"].with_columns(strange)))
    assert_frame_equal(training_rows(after, "sessions"), training_rows(before, "sessions"))
    assert (
        after["sessions"].filter(test)["unseen_events"].to_list()
        == after["sessions"].filter(test)["n_events"].to_list()
    )


def test_test_lines_do_not_shape_the_training_rows(own):
    dataset = labelled_log(own, log_lines(), window_lines=10)
    before = tables.build(dataset)
    learned = training_rows(before, "sessions")["line_ids"].explode().implode()
    strange = pl.when(pl.col("line_id").is_in(learned)).then("content").otherwise("zulu " + pl.col("content"))
    after = tables.build(replaced(dataset, "lines", dataset["lines"].with_columns(strange.alias("content"))))
    assert_frame_equal(training_rows(after, "sessions"), training_rows(before, "sessions"))
    assert after["sessions"]["unseen_events"].sum() == 120


def test_a_log_whose_lines_have_one_template_is_told(own):
    lines = [f'INFO "GET /cart/{n}/{n % 7} HTTP/1.1" {(200, 404)[n % 2]} {n * 37}' for n in range(60)]
    found = tables.build(own({"f.log": lines}, "log", header=LOG_HEADER, window_lines=5))
    assert found["templates"].height == 1
    assert [(each.rows, "GET" in each.what) for each in found.defects] == [(60, True)]
    mixed = [*lines, *["WARN disk is full"] * 5]
    assert not tables.build(own({"f.log": mixed}, "log", header=LOG_HEADER, window_lines=5)).defects
