"""The application without a network: keys, limits, time, and any champion of a table."""

import asyncio
import io
import json
import logging
import threading
import time

import numpy as np
import polars as pl
import pytest

from tests.service import small
from tests.service.small import ask, asked
from tests.waiting import eventually
from utils.classifiers.compiled import CompiledChampion, parity
from utils.detectors.log_monitor import LogMonitor
from utils.errors import SettingsError, TrackingError
from utils.evaluation.drift import profile_of
from utils.serving import decisions, observing
from utils.serving.app import create
from utils.serving.observing import LOGGER
from utils.serving.options import Options, key_from
from utils.serving.registry import Problem
from utils.serving.requests import reading_of

FRAME, TRUTH = small.table(seed=1)
KEY = "a key of some length"


@pytest.fixture(scope="module")
def mine():
    return small.served()


@pytest.fixture(scope="module")
def plain():
    """A champion that can be compiled, as it is."""
    return small.served(small.champion(without=["lasted"]))


@pytest.fixture(scope="module")
def equipped(plain):
    """The same champion with a profile and a compiled form beside it."""
    model = plain.model
    rows, scores = model.monitored(FRAME).select(list(model.input_types_)), model.score_samples(FRAME)
    profile = profile_of(rows, scores, model.threshold_.predict(scores), y=TRUTH)
    found = parity(model, CompiledChampion(model), FRAME)
    texts = {"profile.json": profile.to_json(), "parity.json": found.to_json(), "model_card.md": "# beside"}
    return small.served(model, 2, texts)


def application(*served, **options):
    """An application that serves these and loads nothing."""
    app = create(Options(**options))
    registry = app.state.service.registry
    registry._served = {one.name: one for one in served}
    registry._holders = {one.name: one.version for one in served}
    registry._looked = True
    return app


def rows_of(frame):
    """Rows as JSON has them: stretches of time in seconds."""
    seconds = pl.col("lasted").dt.total_microseconds() / 1e6
    return {"rows": frame.with_columns(seconds).to_dicts()}


def test_any_table_is_served_with_a_form_made_of_its_columns(mine):
    app = application(mine)
    status, value, headers = ask(app, "POST", "/mine/predict?explain=all", rows_of(FRAME))
    decided = mine.model.decide(FRAME, explained="all")
    assert status == 200
    assert headers["x-model-version"] == "1"
    assert [row["decision"] for row in value["decisions"]] == decided["decision"].to_list()
    assert np.allclose([row["score"] for row in value["decisions"]], decided["score"], rtol=0, atol=1e-12)
    assert [row["reasons"] for row in value["decisions"]] == decided["reasons"].to_list()
    assert (value["rows"], value["alarms"]) == (FRAME.height, decided["decision"].sum())
    assert value["threshold"] == mine.model.threshold_.value_
    assert {row["p_value"] for row in value["decisions"]} == {None}


def test_columns_that_were_missing_in_training_may_be_null_and_others_not(mine):
    app = application(mine)
    (row,) = rows_of(FRAME[:1])["rows"]
    status, value, _ = ask(app, "POST", "/mine/predict", {"rows": [{**row, "rate": None}]})
    plain = mine.model.decide(FRAME[:1].with_columns(rate=pl.lit(None, pl.Float64)))
    assert status == 200
    assert value["decisions"][0]["score"] == pytest.approx(plain["score"][0], abs=1e-12)
    for column in set(row) - {"rate"}:
        status, value, _ = ask(app, "POST", "/mine/predict", {"rows": [{**row, column: None}]})
        assert (status, value["error"]["field"]) == (422, f"rows[0].{column}")
        without = {name: one for name, one in row.items() if name != column}
        status, value, _ = ask(app, "POST", "/mine/predict", {"rows": [without]})
        assert (status, value["error"]["field"]) == (422, f"rows[0].{column}")
        assert "is missing" in value["error"]["message"]


@pytest.mark.parametrize(
    ("column", "value"), [("flagged", 1), ("flagged", "true"), ("lasted", "3 s"), ("packets sent", [1]), ("kind", True)]
)
def test_types_are_those_of_training(mine, column, value):
    (row,) = rows_of(FRAME[:1])["rows"]
    status, said, _ = ask(application(mine), "POST", "/mine/predict", {"rows": [{**row, column: value}]})
    assert (status, said["error"]["field"]) == (422, f"rows[0].{column}")


def test_values_that_nobody_foresaw_are_refused_and_written_down(mine, monkeypatch, caplog):
    def unforeseen(*arguments, **options):
        raise pl.exceptions.ComputeError("secret")

    monkeypatch.setattr(type(mine.model), "decide", unforeseen)
    with caplog.at_level(logging.INFO, LOGGER.name):
        status, value, _ = ask(application(mine), "POST", "/mine/predict", rows_of(FRAME[:1]))
    assert (status, value["error"]["field"]) == (422, "rows")
    assert "ComputeError" in caplog.text
    assert "secret" not in caplog.text + json.dumps(value)


def test_unknown_names_and_enormous_numbers_are_what_the_model_makes_of_them(mine):
    (row,) = rows_of(FRAME[:1])["rows"]
    strange = {**row, "kind": "never seen \u0000 ü", "size": 1e300, "packets sent": 2**63 - 1, "lasted": 1e9}
    status, value, _ = ask(application(mine), "POST", "/mine/predict", {"rows": [strange]})
    assert status == 200
    assert value["decisions"][0]["decision"] in (True, False)


def test_time_beyond_what_a_column_can_hold_is_refused(mine):
    (row,) = rows_of(FRAME[:1])["rows"]
    status, value, _ = ask(application(mine), "POST", "/mine/predict", {"rows": [{**row, "lasted": 1e300}]})
    assert (status, value["error"]["code"]) == (422, "invalid_request")


def test_the_card_metrics_and_columns_are_told(mine, equipped):
    app = application(mine)
    status, value, _ = ask(app, "GET", "/models/mine")
    assert status == 200
    assert value["metrics"] == {"f1": {"value": 0.9, "low": 0.85, "high": 0.95}, "recall": {"value": 0.5}}
    assert value["card"] == "# a card"
    assert [column["column"] for column in value["columns"]] == list(mine.model.input_types_)
    assert (value["compiled"], value["p_values"]) == (False, False)
    status, value, _ = ask(application(equipped), "GET", "/models/mine")
    assert (value["compiled"], value["p_values"], value["card"]) == (True, True, "# beside")


def test_a_profile_gives_p_values_and_a_compiled_form_the_same_decisions(plain, equipped):
    slow, fast = (application(one) for one in (plain, equipped))
    for explained in ("none", "alarms", "all"):
        path = f"/mine/predict?explain={explained}"
        first, second = (ask(app, "POST", path, rows_of(FRAME))[1]["decisions"] for app in (slow, fast))
        assert [row["decision"] for row in first] == [row["decision"] for row in second]
        assert [row.get("reasons") for row in first] == [row.get("reasons") for row in second]
        assert np.allclose([row["score"] for row in first], [row["score"] for row in second], rtol=0, atol=1e-9)
        scores = np.array([row["score"] for row in second])
        assert [row["p_value"] for row in second] == equipped.profile.p_values(scores).tolist()


def test_kinds_of_alarms_are_told_by_both_forms(plain, equipped):
    class Telling:
        def predict(self, frame):
            return np.array(["flood"] * frame.height, dtype=object)

    plain.model.family_ = Telling()
    try:
        for one in (plain, equipped):
            for explained in ("none", "alarms"):
                body = rows_of(FRAME[:60])
                _, value, _ = ask(application(one), "POST", f"/mine/predict?explain={explained}", body)
                kinds = {row["decision"]: row["kind"] for row in value["decisions"]}
                assert kinds == {True: "flood", False: None}
    finally:
        plain.model.family_ = None


def test_decisions_are_a_frame_for_who_wants_one(plain, equipped):
    for one in (plain, equipped):
        frame = decisions.decide(one, FRAME, "all").frame
        assert frame.select("decision", "threshold").equals(
            plain.model.decide(FRAME, explained="none").select("decision", "threshold")
        )
        assert {"score", "p_value", "reasons"} <= set(frame.columns)


def test_what_is_asked_is_compared_with_training(mine, equipped):
    status, value, _ = ask(application(mine), "GET", "/mine/drift")
    assert (status, value["error"]["code"]) == (404, "no_profile")
    app = application(equipped)
    before = ask(app, "GET", "/mine/drift")[1]["rows"]
    assert ask(app, "POST", "/mine/predict", rows_of(FRAME))[0] == 200
    status, value, _ = ask(app, "GET", "/mine/drift")
    assert (status, value["rows"], value["version"]) == (200, before + FRAME.height, 2)
    shifted = FRAME.with_columns(size=pl.col("size") + 50)
    assert ask(app, "POST", "/mine/predict", rows_of(pl.concat([shifted] * 6)))[0] == 200
    assert ask(app, "GET", "/mine/drift")[1]["state"] == "drifting"
    metrics = ask(app, "GET", "/metrics")[1]
    assert 'anomaly_drift_state{model="mine"} 2.0' in metrics
    assert metrics.count("# TYPE anomaly_drift_size gauge") == 1


def test_rows_are_counted_for_drift_soon_though_nobody_asks(equipped):
    app = application(equipped)
    equipped.drift.flush()

    async def twice():
        for _ in range(2):
            await asked(app, "POST", "/mine/predict", rows_of(FRAME[:3]))
        before = equipped.drift._rows_waiting
        while equipped.drift._rows_waiting:
            await asyncio.sleep(0.02)
        return before

    assert asyncio.run(twice()) == 6


def test_what_fails_in_the_background_is_written_down(equipped, caplog, monkeypatch):
    app = application(equipped)
    monkeypatch.setattr(equipped.drift, "flush", lambda: 1 / 0)

    async def once():
        await asked(app, "POST", "/mine/predict", rows_of(FRAME[:3]))
        while app.state.service._counting:
            await asyncio.sleep(0.02)

    with caplog.at_level(logging.INFO, LOGGER.name):
        asyncio.run(once())
        eventually(lambda: "ZeroDivisionError" in caplog.text)


def test_a_key_is_asked_for_everywhere_but_for_health(mine):
    app = application(mine, key=KEY)
    assert ask(app, "GET", "/health")[0] == 200
    for path in ("/models", "/metrics", "/openapi.json", "/nowhere"):
        status, value, headers = ask(app, "GET", path)
        assert (status, value["error"]["code"], headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    for wrong in (
        {"x-api-key": "wrong"},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": "ü"},
        {"x-api-key": ""},
    ):
        assert ask(app, "GET", "/models", headers=wrong)[0] == 401
    for right in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        assert ask(app, "GET", "/models", headers=right)[0] == 200
    assert ask(app, "GET", "/openapi.json", headers={"x-api-key": KEY})[1]["security"] == [{"key": []}]


def test_bodies_and_rows_have_a_largest_number(mine):
    app = application(mine, most_bytes=5_000, most_rows=3)
    assert ask(app, "POST", "/mine/predict", rows_of(FRAME[:3]))[0] == 200
    status, value, _ = ask(app, "POST", "/mine/predict", rows_of(FRAME[:4]))
    assert (status, value["error"]["code"], value["error"]["field"]) == (413, "too_large", "rows")
    for headers in (
        small.GIVEN,
        {**small.GIVEN, "content-length": "6000"},
        {**small.GIVEN, "content-length": "9" * 12},
    ):
        status, value, said = ask(app, "POST", "/mine/predict", b"x" * 6_000, headers)
        assert (status, value["error"]["field"], said["connection"]) == (413, "body", "close")


def test_a_body_that_comes_too_slowly_is_not_waited_for(mine):
    status, value, _ = ask(application(mine, seconds=0.05), "POST", "/mine/predict", b"x" * 100_000, pause=0.01)
    assert (status, value["error"]["code"]) == (408, "too_slow")


class Slow:
    """A champion that takes its time."""

    def __init__(self, served, begun):
        self.served, self.begun = served, begun
        self.end = threading.Event()

    def __call__(self, served, rows, explained="none", stop=None):
        self.begun.set()
        for _ in range(400):
            if stop.is_set() or self.end.wait(0.01):
                raise decisions.GivenUp("nobody waits")
        raise AssertionError("never told to stop")


def test_a_decision_that_takes_too_long_is_given_up_and_health_answers_meanwhile(mine, monkeypatch):
    slow = Slow(mine, threading.Event())
    monkeypatch.setattr(decisions, "decide", slow)
    app = application(mine, seconds=0.3, threads=1)

    async def both():
        late = asyncio.create_task(asked(app, "POST", "/mine/predict", rows_of(FRAME[:1])))
        while not slow.begun.is_set():
            await asyncio.sleep(0.005)
        health = await asyncio.wait_for(asked(app, "GET", "/health"), 0.25)
        assert (await asked(app, "GET", "/metrics"))[0] == 200
        return health, await late

    health, (status, value, headers) = asyncio.run(both())
    assert (health[0], health[1]["live"]) == (200, True)
    assert (status, value["error"]["code"], headers["retry-after"]) == (503, "too_late", "1")
    assert "0.3 s" in value["error"]["message"]


def test_more_than_may_wait_are_sent_away(mine, monkeypatch):
    slow = Slow(mine, threading.Event())
    monkeypatch.setattr(decisions, "decide", slow)
    app = application(mine, seconds=0.5, most_waiting=2, threads=1)

    async def many():
        calls = [asked(app, "POST", "/mine/predict", rows_of(FRAME[:1])) for _ in range(4)]
        return await asyncio.gather(*calls)

    codes = sorted(value["error"]["code"] for _, value, _ in asyncio.run(many()))
    assert codes == ["busy", "busy", "too_late", "too_late"]


def test_a_failure_of_ours_is_told_without_contents(mine, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError(f"secret {arguments[1]}")

    monkeypatch.setattr(decisions, "decide", broken)
    with caplog.at_level(logging.INFO, LOGGER.name):
        status, value, headers = ask(application(mine), "POST", "/mine/predict", rows_of(FRAME[:1]))
    assert (status, value["error"]["code"]) == (500, "internal")
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text + json.dumps(value)
    assert headers["x-request-id"] in caplog.text


def test_a_client_that_goes_away_is_no_failure(mine, caplog):
    app = application(mine)

    async def gone():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError("nobody listens")

        scope = {"type": "http", "method": "POST", "path": "/mine/predict", "query_string": b"", "headers": []}
        scope["headers"] = [(b"content-type", b"application/json")]
        await app(scope, receive, send)

    with caplog.at_level(logging.INFO, LOGGER.name):
        asyncio.run(gone())
    assert '"status": 499' in caplog.text


def test_a_model_that_is_on_its_way_is_waited_for(mine):
    app = create(Options(models=("mine", "other"), seconds=5))
    registry = app.state.service.registry

    async def early():
        waiting = asyncio.create_task(asked(app, "POST", "/mine/predict", rows_of(FRAME[:1])))
        await asyncio.sleep(0.1)
        assert registry._wanted == ["mine"]
        registry._served = {"mine": mine}
        return await waiting

    assert asyncio.run(early())[0] == 200


@pytest.mark.parametrize(
    ("name", "status", "code", "words"),
    [
        ("none", 503, "no_champion", "no version holds the alias"),
        ("broken", 503, "no_champion", "version 4 cannot be used: it is torn"),
        ("late", 503, "no_champion", "still being loaded"),
        ("nobody", 404, "unknown_model", "the models are none, broken, late"),
    ],
)
def test_models_that_cannot_answer(name, status, code, words):
    app = create(Options(models=("none", "broken", "late"), seconds=0.05))
    registry = app.state.service.registry
    registry._looked, registry._holders = True, {"broken": 4, "late": 1}
    registry._problems = {"broken": Problem(4, "it is torn", time.monotonic())}
    found, value, _ = ask(app, "POST", f"/{name}/predict", {})
    assert (found, value["error"]["code"], value["error"]["field"]) == (status, code, "model")
    assert words in value["error"]["message"]
    states = ask(app, "GET", "/health")[1]["models"]
    assert {model: one["state"] for model, one in states.items()} == {
        "none": "no champion",
        "broken": "failed",
        "late": "loading",
    }


def test_data_sets_of_the_catalogue_may_have_a_champion_one_day(lab):
    app = create(Options(seconds=0.05))
    registry = app.state.service.registry
    registry._looked = True
    assert ask(app, "POST", "/waf/predict", {})[1]["error"]["code"] == "no_champion"
    assert ask(app, "POST", "/nobody/predict", {})[1]["error"]["code"] == "unknown_model"
    lab.catalog_file.write_text("this is no catalogue")
    assert ask(app, "POST", "/waf/predict", {})[1]["error"]["code"] == "unknown_model"


def test_a_store_that_is_not_there_is_told_at_once():
    app = create(Options(models=("waf",), seconds=20))
    app.state.service.registry.problem = "there is no MLflow store"
    status, value, _ = ask(app, "POST", "/waf/predict", {})
    assert (status, value["error"]["code"]) == (503, "no_champion")
    assert "there is no MLflow store" in value["error"]["message"]
    assert ask(app, "GET", "/health")[1] == {
        "live": True,
        "ready": False,
        "models": {"waf": {"state": "no champion", "version": None, "why": "there is no MLflow store"}},
        "store": "there is no MLflow store",
    }


def test_a_log_of_the_user_is_served_with_lines_that_it_can_read_or_without_an_example():
    frame = pl.DataFrame({"events": [[1, 2, 3], [1, 2, 2, 3]] * 30}, schema={"events": pl.List(pl.Int64)})
    templates = pl.DataFrame({"EventId": ["1", "2", "3"], "EventTemplate": ["open <*>", "read <*>", "close <*>"]})
    monitor = LogMonitor(session=r"s\d+").fit_sessions(frame, templates=templates)
    lines = {"columns": ["line"], "data": [["open s1"], ["read s1"], ["close s1"]]}
    told = reading_of(monitor, {"input_example.json": json.dumps(lines)})
    assert told.forms[0].example == {"lines": ["open s1", "read s1", "close s1"]}
    served = small.served(monitor, 1, {"input_example.json": json.dumps(lines)}, name="log")
    status, value, _ = ask(application(served), "POST", "/log/predict", {"lines": ["open s7", "read s7", "close s7"]})
    assert (status, value["decisions"][0]["session"], value["decisions"][0]["decision"]) == (200, "s7", False)
    assert ask(application(served), "POST", "/log/predict", {"lines": ["no session"]})[0] == 422
    picky = LogMonitor(session=r"s\d+", header=r"(?P<n>\d{9}) (?P<content>.*)").fit_sessions(frame, templates=templates)
    monkeyed = reading_of(picky, {"input_example.json": "{}"})
    shown = monkeyed.forms[0].example
    assert shown is None or len(shown["lines"]) > 0
    application(small.served(picky, 1, {}, name="log"))


def test_a_model_that_is_dropped_is_no_longer_shown():
    observer = observing.Observer()
    observer.told("loaded", {"model": "mine", "version": 3})
    assert 'anomaly_model_version{model="mine"} 3.0' in observer.exposed().decode()
    observer.told("dropped", {"models": ["mine"]})
    assert 'anomaly_model_version{model="mine"}' not in observer.exposed().decode()


def test_work_that_nobody_waits_for_is_given_up(mine):
    stop = threading.Event()
    stop.set()
    with pytest.raises(decisions.GivenUp):
        decisions.decide(mine, FRAME, stop=stop)


def test_a_compiled_champion_is_given_up_and_answers_part_by_part_alike(equipped, monkeypatch):
    rows = FRAME.select(list(equipped.model.input_types_)).to_dicts()
    whole = decisions.decide(equipped, rows, "alarms")
    monkeypatch.setattr(decisions, "PART", 7)
    monkeypatch.setattr(decisions, "EXPLAINED_PART", 3)
    parts = decisions.decide(equipped, rows, "alarms")
    assert parts.columns["reasons"] == whole.columns["reasons"]
    assert parts.columns["score"] == pytest.approx(whole.columns["score"], abs=1e-9)
    stop = threading.Event()
    stop.set()
    with pytest.raises(decisions.GivenUp):
        decisions.decide(equipped, rows, stop=stop)


def test_what_is_no_champion_is_not_served():
    with pytest.raises(TrackingError, match="must be a champion of a table or of a log, found LogisticRegression"):
        reading_of(small.LogisticRegression())


@pytest.mark.parametrize(
    "wrong", [{"port": -1}, {"port": 70_000}, {"most_rows": 0}, {"seconds": 0}, {"key": "short"}, {"threads": 0}]
)
def test_wrong_options(wrong):
    with pytest.raises(SettingsError, match="found"):
        Options(**wrong)


def test_the_key_comes_from_a_file_or_from_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\nanything\n")
    monkeypatch.setenv("ANOMALY_API_KEY", "from the environment")
    assert key_from(file) == KEY
    assert key_from(None) == "from the environment"
    assert key_from(None, {}) == ""
    file.write_text(" \n")
    with pytest.raises(SettingsError, match="found nothing"):
        key_from(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        key_from(tmp_path / "none")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="no UTF-8"):
        key_from(file)


def test_lines_are_written_together_and_dropped_where_too_many_wait(monkeypatch):
    class Held(io.StringIO):
        def write(self, text):
            begun.set()
            held.wait(5)
            return super().write(text)

    held, begun, stream = threading.Event(), threading.Event(), Held()
    monkeypatch.setattr(observing, "MOST_LINES", 3)
    monkeypatch.setattr(observing, "WRITE_SECONDS", 0.001)
    monkeypatch.setattr("sys.stderr", stream)
    with observing.logged_to_stderr():
        observer = observing.Observer()
        for number in range(9):
            observer.say("line", {"number": number})
            begun.wait(5)
        held.set()
    assert [json.loads(line)["number"] for line in stream.getvalue().splitlines()] == [0, 1, 2, 3]
    assert LOGGER.propagate


def test_nobody_waits_for_lines_that_nobody_reads(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    with observing.logged_to_stderr():
        observing.Observer().say("line", {})
    assert not LOGGER.handlers
