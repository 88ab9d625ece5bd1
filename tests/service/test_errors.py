"""What is wrong with a request is said with the field named; never 500, never a silent 200."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.waiting import eventually
from utils.serving import client
from utils.serving.answers import JSON

GIVEN = {"content-type": JSON}
MANY = 9_000_000


def refused(reply, status, code, field):
    error = reply.value["error"]
    assert (reply.status, error["code"]) == (status, code), reply
    assert error["field"] == field
    assert error["message"]
    return error["message"]


@pytest.fixture(scope="module")
def row(service):
    description = service.get("/openapi.json").value["paths"]["/nsl_kdd/predict"]["post"]
    return description["requestBody"]["content"][JSON]["examples"]["rows"]["value"]["rows"][0]


def test_the_table_of_wrong_requests(service):
    table = client.error_answers(service, "nsl_kdd")
    statuses = dict(table.select("sent", "status").iter_rows())
    special = {"text/plain": 415, "a compressed body": 415, "9 MB": 413, "an unknown model": 404}
    special |= {"an unknown path": 404, "GET in place of POST": 405}
    assert statuses == {sent: special.get(sent, 422) for sent in statuses}
    assert len(statuses) == 20
    assert table["code"].null_count() == table["field"].null_count() == 0
    assert set(client.error_answers(service)["status"]) == {404, 405, 413, 415, 422}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("duration", None, "must be a number, found null"),
        ("duration", "7", "must be a number, found a text"),
        ("duration", True, "must be a number, found true"),
        ("duration", [], "must be a number, found a list"),
        ("service", 5, "must be a text, found 5"),
        ("service", None, "must be a text, found null"),
        ("src_bytes", 10**400, "must be"),
        ("serror_rate", 10**400, "must be"),
    ],
)
def test_a_wrong_value_is_named(service, row, column, value, words):
    reply = service.predict("nsl_kdd", {"rows": [row, {**row, column: value}]})
    assert words in refused(reply, 422, "invalid_request", f"rows[1].{column}")


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
def test_numbers_that_json_does_not_have_are_named(service, row, token):
    body = json.dumps({"rows": [{**row, "duration": "@"}]}).encode().replace(b'"@"', token)
    refused(service.send("POST", "/nsl_kdd/predict", body, GIVEN), 422, "invalid_request", "rows[0].duration")


def test_nan_beyond_what_is_read_is_no_json_either(service, row):
    body = json.dumps({"rows": [{**row, "beyond": float("nan")}]}).encode()
    refused(service.send("POST", "/nsl_kdd/predict", body, GIVEN), 422, "invalid_request", "rows[0].beyond")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"nonsense",
        b"{} {}",
        b'{"rows": [',
        b"[" * 1_000_000,
        b'{"rows":' * 100_000,
        b"\xef\xbb\xbf{}",
        '{"rows": []}'.encode("utf-16"),
        '{"rows": []}'.encode("utf-32"),
        b'{"rows": ["\xff"]}',
        b'{"rows": ["\\ud800"]}',
        b'{"rows": ["\xed\xa0\x80"]}',
        b"1" * 100_000,
        b'{"rows": [' + b"9" * 5_000 + b"]}",
        b"\x00",
        b"3",
        b"null",
        b'"text"',
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_is_no_body(service, body):
    refused(service.send("POST", "/nsl_kdd/predict", body, GIVEN), 422, "invalid_request", "body")


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        ("nsl_kdd", {}, "rows"),
        ("nsl_kdd", {"lines": []}, "rows"),
        ("nsl_kdd", {"rows": []}, "rows"),
        ("nsl_kdd", {"rows": {}}, "rows"),
        ("nsl_kdd", {"rows": None}, "rows"),
        ("nsl_kdd", {"rows": [{}, 1]}, "rows[0].duration"),
        ("nsl_kdd", {"rows": [1]}, "rows[0]"),
        ("nsl_kdd", [], "body"),
        ("waf", [], "events"),
        ("waf", [1], "[0]"),
        ("waf", [{}], "[0].data"),
        ("waf", [{"data": {}}], "[0].data"),
        ("waf", [{"data": "{"}], "[0].data"),
        ("waf", [{"data": "[]"}], "[0].data"),
        ("waf", [{"data": "{}"}], "[0].data.MATCHED_VARIABLE_VALUE"),
        ("waf", [{"data": '{"MATCHED_VARIABLE_VALUE": "a"}'}], "[0].data.EVENT_ID"),
        ("waf", [{"data": '{"MATCHED_VARIABLE_VALUE": 5, "EVENT_ID": "e"}'}], "[0].data.MATCHED_VARIABLE_VALUE"),
        ("waf", [{"data": '{"MATCHED_VARIABLE_VALUE": Infinity, "EVENT_ID": "e"}'}], "[0].data"),
        ("waf", [{"data": '{"MATCHED_VARIABLE_VALUE": "a", "EVENT_ID": ["e"]}'}], "[0].data.EVENT_ID"),
        ("waf", [{"data": '{"EVENT_ID": "e", "EVENT_ID": "f"}'}], "[0].data.EVENT_ID"),
        ("waf", {"rows": [{"payload": 5}]}, "rows[0].payload"),
        ("waf", {"rows": [{"other": "a"}]}, "rows[0].payload"),
        ("cicids2017", {"feature": [1.0] * 76}, "feature"),
        ("cicids2017", {"feature": [1.0] * 78}, "feature"),
        ("cicids2017", {"feature": [1.0] * 76 + ["a"]}, "feature[76]"),
        ("cicids2017", {"feature": [1.0] * 76 + [None]}, "feature[76]"),
        ("cicids2017", {"feature": 5}, "feature"),
        ("cicids2017", {"feature": [1.0] * 77, "rows": []}, "rows"),
        ("api", {"call_graphs": []}, "call_graphs"),
        ("api", {"call_graphs": [{"_id": "a"}]}, "call_graphs[0].call_graph"),
        ("api", {"call_graphs": [{"_id": "a", "call_graph": []}]}, "call_graphs[0].call_graph"),
        ("api", {"call_graphs": [{"_id": 5, "call_graph": []}]}, "call_graphs[0]._id"),
        (
            "api",
            {"call_graphs": [{"_id": "a", "call_graph": [{"fromId": "x"}]}]},
            "call_graphs[0].call_graph[0].toId",
        ),
        (
            "api",
            {"call_graphs": [{"_id": "a", "call_graph": [{"fromId": "x", "toId": "y"}]}] * 2},
            "call_graphs[1]._id",
        ),
        ("hdfs", {"lines": []}, "lines"),
        ("hdfs", {"lines": [5]}, "lines[0]"),
        ("hdfs", {"lines": ["this is no line of that log"]}, "lines"),
        ("hdfs", {"lines": ["", "  "]}, "lines"),
        ("hdfs", {"lines": "one"}, "lines"),
        ("hdfs", {"sessions": []}, "sessions"),
        ("hdfs", {"sessions": [[]]}, "sessions[0]"),
        ("hdfs", {"sessions": [5]}, "sessions[0]"),
        ("hdfs", {"sessions": [[5, "E5"]]}, "sessions[0][1]"),
        ("hdfs", {"sessions": [[5.5]]}, "sessions[0][0]"),
        ("hdfs", {"sessions": [[True]]}, "sessions[0][0]"),
        ("hdfs", {"sessions": [[2**70]]}, "sessions[0][0]"),
    ],
)
def test_a_wrong_field_is_named(service, model, body, field):
    refused(service.predict(model, body), 422, "invalid_request", field)


def test_a_missing_value_of_an_event_may_be_nan_as_pandas_writes_it(service):
    reply = service.predict("waf", [{"data": '{"MATCHED_VARIABLE_VALUE": NaN, "EVENT_ID": null}'}])
    assert reply.status == 200
    assert reply.value[0]["EVENT_ID"] is None


@pytest.mark.parametrize("query", ["explain=some", "explain=", "other=1", "explain=all&explain=none"])
def test_wrong_parameters(service, row, query):
    reply = service.send("POST", f"/nsl_kdd/predict?{query}", json.dumps({"rows": [row]}).encode(), GIVEN)
    refused(reply, 422, "invalid_request", query.partition("=")[0])


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, "Content-Type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "Content-Type"),
        ({"content-type": "application/json; charset=utf-16"}, "Content-Type"),
        ({"content-type": "json"}, "Content-Type"),
        ({"content-type": JSON, "content-encoding": "gzip"}, "Content-Encoding"),
    ],
)
def test_what_is_not_said_to_be_json(service, headers, field):
    refused(service.send("POST", "/nsl_kdd/predict", b"{}", headers), 415, "not_json", field)


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "APPLICATION/JSON", "application/problem+json"])
def test_what_is_said_to_be_json(service, row, kind):
    body = json.dumps({"rows": [row]}).encode()
    assert service.send("POST", "/nsl_kdd/predict", body, {"content-type": kind}).status == 200


def test_bodies_that_are_too_large_with_and_without_a_length(service):
    for body in (b"x" * MANY, iter([b"x" * (MANY // 9)] * 9)):
        reply = service.send("POST", "/nsl_kdd/predict", body, GIVEN)
        refused(reply, 413, "too_large", "body")
    assert service.get("/health").status == 200


def test_a_body_in_chunks_is_read(service, row):
    body = json.dumps({"rows": [row]}).encode()
    reply = service.send("POST", "/nsl_kdd/predict", iter([body[:10], body[10:]]), GIVEN)
    assert reply.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/redoc", 404, "not_found"),
        ("GET", "/health/", 404, "not_found"),
        ("DELETE", "/models", 405, "method_not_allowed"),
        ("PUT", "/waf/predict", 405, "method_not_allowed"),
        ("GET", "/models/nobody", 404, "unknown_model"),
        ("GET", "/nobody/drift", 404, "unknown_model"),
        ("POST", "/%00/predict", 404, "unknown_model"),
        ("POST", "/..%2f..%2fetc/predict", 404, "not_found"),
    ],
)
def test_what_there_is_not(service, method, path, status, code):
    reply = service.send(method, path)
    assert (reply.status, reply.value["error"]["code"]) == (status, code)


def test_a_connection_that_breaks_off_disturbs_nobody(service):
    host = urlsplit(service.address)
    for said in (b"POST /waf/predict HTTP/1.1\r\ncontent-length: 100\r\n\r\n{", b"nonsense\r\n\r\n", b"GET "):
        with socket.create_connection((host.hostname, host.port), timeout=5) as connection:
            connection.sendall(said)
    assert service.get("/health").status == 200


def test_the_log_names_requests_and_tells_no_contents(service, row):
    secret = "a payload that nobody may read in a log"
    reply = service.send(
        "POST",
        "/waf/predict",
        json.dumps({"rows": [{"payload": secret}]}).encode(),
        {**GIVEN, "x-request-id": "mine-1"},
    )
    assert reply.headers["x-request-id"] == "mine-1"
    strange = service.send("GET", "/health", None, {"x-request-id": "not {} an id"})
    assert strange.headers["x-request-id"] != "not {} an id"
    line = eventually(lambda: [line for line in service.said if line.get("request_id") == "mine-1"])[0]
    assert (line["route"], line["model"], line["version"], line["status"]) == ("/{model}/predict", "waf", 1, 200)
    assert (line["rows"], line["method"]) == (1, "POST")
    assert line["ms"] > 0
    assert secret not in service.log.read_text()


def test_what_is_counted(service, row):
    def counted(name):
        lines = service.get("/metrics").value.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = counted('anomaly_decisions_total{decision="normal",model="nsl_kdd"}')
    assert service.predict("nsl_kdd", {"rows": [row] * 7}).value["alarms"] == 0
    assert counted('anomaly_decisions_total{decision="normal",model="nsl_kdd"}') == before + 7
    assert counted('anomaly_model_version{model="hdfs"}') == 1
    assert counted("anomaly_models_ready") >= 6
    assert counted('anomaly_requests_total{model="",route="other",status="404"}') > 0
