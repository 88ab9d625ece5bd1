"""The service decides as the registered model does where it is loaded by hand, for every model and every form."""

import json

import numpy as np
import polars as pl
import pytest

from utils import datasets
from utils.features import tables
from utils.features.call_graph import CallGraphFeatures
from utils.serving import client
from utils.serving.decisions import frame_of
from utils.tracking import models, registry

TABLES = ("api", "nsl_kdd", "cicids2017", "traffic")
ROWS = 300


@pytest.fixture(scope="module")
def champions(reference):
    """The models by name, loaded from the files of the copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(reference))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return {
            name: registry.load(registry.version_of(name, number)).model for name, number in registry.holders().items()
        }


def rows_of(champion, name):
    """Rows of the simulator as the champion reads them; what the simulator does not have is usual."""
    made = tables.build(datasets.load(name, "simulated", seed=5, budget="fast"), seed=5)
    frame = next(frame for frame in made.frames.values() if len(set(champion.input_types_) - set(frame.columns)) <= 2)
    sample = frame.sample(min(ROWS, frame.height), seed=5)
    usual = champion.example()
    absent = [pl.lit(usual[column][0]).alias(column) for column in champion.input_types_ if column not in frame.columns]
    return sample.with_columns(absent).select(list(champion.input_types_))


def assert_alike(answered, decided):
    apart = client.disagreements(answered, decided)
    assert apart.is_empty(), apart
    assert answered.height > 0


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_tables(service, champions, name):
    rows = rows_of(champions[name], name)
    answered = client.replay(service, name, rows.to_dicts(), batch=97, concurrency=2)
    decided = champions[name].decide(rows, explained="none")
    assert_alike(answered, decided)
    assert decided["decision"].n_unique() == 2 or decided["score"].n_unique() > 10


def test_reasons_are_those_of_the_model(service, champions):
    rows = rows_of(champions["nsl_kdd"], "nsl_kdd")[:40]
    answered = client.replay(service, "nsl_kdd", rows.to_dicts(), explain="alarms")
    decided = champions["nsl_kdd"].decide(rows)
    assert answered["reasons"].to_list() == decided["reasons"].to_list()
    everything = client.replay(service, "nsl_kdd", rows[:5].to_dicts(), explain="all")
    assert (
        everything["reasons"].to_list() == champions["nsl_kdd"].decide(rows[:5], explained="all")["reasons"].to_list()
    )


def test_payloads_and_events_of_the_earlier_form(service, champions):
    payloads = datasets.load("waf", "simulated", seed=5, budget="fast")["payloads"].sample(ROWS, seed=5)["payload"]
    decided = champions["waf"].decide(pl.DataFrame({"payload": payloads}), explained="none")
    assert_alike(client.replay(service, "waf", [{"payload": text} for text in payloads]), decided)
    events = [
        {"EVENT_ID": f"e{n}", "MATCHED_VARIABLE_VALUE": text, "CLIENT_IP": None} for n, text in enumerate(payloads)
    ]
    answered = client.replay(service, "waf", events, form="events", batch=100)
    assert_alike(answered, decided)
    assert answered["EVENT_ID"].to_list() == [event["EVENT_ID"] for event in events]
    assert answered["LABEL_PRED"].to_list() == decided["decision"].cast(int).to_list()


def test_features_of_the_columns_are_read_in_place_of_payloads(service, champions):
    rows = [champions["waf"].example().row(0, named=True)]
    answered = client.replay(service, "waf", rows)
    assert_alike(answered, champions["waf"].decide(pl.DataFrame(rows), explained="none"))


def test_flows_as_77_numbers(service, champions):
    from utils.datasets.cicids2017 import FEATURES

    champion = champions["cicids2017"]
    flows = datasets.load("cicids2017", "simulated", seed=5, budget="fast")["flows"].select(FEATURES).sample(60, seed=5)
    answered = client.replay(service, "cicids2017", flows.rows(), form="feature", concurrency=2)
    decided = champion.decide(flows, explained="none")
    assert_alike(answered, decided)
    for row in answered.to_dicts():
        assert row["predicted_class"] == ("Not Benign" if row["decision"] else "Benign")
        chance = row["score"] if row["decision"] else 1 - row["score"]
        assert row["confidence_score"] == pytest.approx(chance)


def test_call_graphs_are_counted_over_the_request(service, champions):
    data = datasets.load("api", "simulated", seed=5, budget="fast")
    chosen = data["edges"]["_id"].unique(maintain_order=True)[:30]
    edges = data["edges"].filter(pl.col("_id").is_in(chosen.to_list()))
    graphs = [
        {"_id": name, "call_graph": [{"fromId": one, "toId": other} for one, other in part.select("from", "to").rows()]}
        for (name,), part in edges.group_by("_id", maintain_order=True)
    ]
    reply = service.predict("api", {"call_graphs": graphs})
    assert [row["_id"] for row in reply.value["decisions"]] == [graph["_id"] for graph in graphs]
    assert "world of its own" in reply.value["notes"][0]
    names = {"std_local_source_degrees": "std_dest_in_degree"}
    wanted = [names.get(name, name) for name in champions["api"].feature_names_in_]
    table = CallGraphFeatures(wanted, degrees="transductive").fit(edges).describe(edges, ids=chosen)
    table = table.rename({after: before for before, after in names.items()})
    assert_alike(pl.DataFrame(reply.value["decisions"]), champions["api"].decide(table, explained="none"))


def test_lines_and_sessions_of_a_log(service, champions):
    from utils.tracking.log_champion import simulated_lines

    lines = simulated_lines(seed=5)
    decided = champions["hdfs"].decide(lines, explained="all")
    answered = client.replay(service, "hdfs", lines["line"].to_list(), form="lines", explain="all")
    assert_alike(answered, decided)
    assert answered.select("session", "p_value", "reasons").equals(decided.select("session", "p_value", "reasons"))
    known = champions["hdfs"].surprise_.vocabulary_.events.to_list()
    draw = np.random.default_rng(5)
    sessions = [draw.choice(known, size=n).tolist() for n in draw.integers(1, 30, size=50)]
    frame = pl.DataFrame({"events": sessions}, schema={"events": pl.List(pl.Int64)})
    assert_alike(client.replay(service, "hdfs", sessions, form="sessions"), champions["hdfs"].decide_sessions(frame))
    named = [[f"E{event}" for event in session] for session in sessions]
    assert_alike(client.replay(service, "hdfs", named, form="sessions"), champions["hdfs"].decide_sessions(frame))


def test_events_that_training_does_not_have_are_told(service):
    value = service.predict("hdfs", {"sessions": [["E777", "E5"]]}).value
    assert value["decisions"][0]["decision"] is True
    assert value["notes"] == ["events that training does not have count as unseen; here: E777"]


def test_every_example_of_the_description_is_answered(service, champions):
    paths = service.get("/openapi.json").value["paths"]
    asked = 0
    for name in champions:
        content = paths[f"/{name}/predict"]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            reply = service.predict(name, example["value"], "all")
            assert reply.status == 200, reply.value
            assert reply.headers["x-model-version"] == "1"
            asked += 1
    assert asked >= len(champions) + 4


def test_numbers_of_one_column_may_be_whole_and_not(service, champions):
    row = champions["nsl_kdd"].example().row(0, named=True)
    mixed = [{**row, "src_bytes": 1}, {**row, "src_bytes": 2.5}, {**row, "unknown column": [1, {}]}]
    answered = client.replay(service, "nsl_kdd", mixed)
    plain = frame_of([{**row, "src_bytes": value} for value in (1, 2.5, row["src_bytes"])])
    assert_alike(answered, champions["nsl_kdd"].decide(plain))


def test_the_direct_way_loads_what_mlflow_loads(in_reference, champions):
    through_mlflow = models.load_model("traffic")
    example = champions["traffic"].example()
    assert champions["traffic"].score_samples(example) == pytest.approx(through_mlflow.score_samples(example), abs=0)


def test_models_are_described_with_intervals_and_cards(service, champions):
    described = {one["name"]: one for one in service.get("/models").value["models"]}
    assert set(described) == set(champions)
    for name, one in described.items():
        f1 = one["metrics"]["f1"]
        assert f1["low"] <= f1["value"] <= f1["high"]
        assert one["data"]["source"] in ("real", "simulated")
        assert one["data"]["digest"].startswith("sha256:")
        assert one["threshold"] == champions[name].threshold_.value_
        card = service.get(one["card"]).value
        assert card["card"].startswith(f"# {name}\n")
        assert len(card["columns"]) == (len(champions[name].input_types_) if one["kind"] == "table" else 0)
    assert json.dumps(described)
