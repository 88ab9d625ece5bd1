"""The service in words: its health, its models, its answers, and all of it as OpenAPI."""

from collections.abc import Mapping
from typing import Any

from utils.classifiers.champion import Champion
from utils.datasets import waf
from utils.serving import answers
from utils.serving.decisions import EXPLAINED, Decided
from utils.serving.options import Options
from utils.serving.registry import Registry, Served
from utils.serving.requests import Asked

TITLE = "Champions of the anomaly laboratory"
BENIGN, NOT_BENIGN = "Benign", "Not Benign"
Json = dict[str, Any]

STATUSES = {
    401: "the key is missing or wrong",
    404: "there is no such model",
    408: "the body came too slowly",
    413: "the body or the number of rows is too large",
    415: "the body is no JSON",
    422: "a field is wrong; it is named",
    503: "no champion yet, too many requests, or the decision took too long",
}
ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": ["string", "null"]},
            },
            "required": ["code", "message", "field"],
        }
    },
    "required": ["error"],
}


def health(registry: Registry) -> Json:
    """Whether the service lives, whether it is ready, and how far each model is."""
    states = {}
    for name in registry.names:
        state, why = registry.state(name)
        served = registry.served.get(name)
        states[name] = {"state": state, "version": served.version if served else None} | ({"why": why} if why else {})
    return {"live": True, "ready": registry.ready, "models": states} | (
        {"store": registry.problem} if registry.problem else {}
    )


def model(served: Served) -> Json:
    """One model: what it is, what it learned from, how good it is, and where its card is."""
    return {
        "name": served.name,
        "version": served.version,
        "kind": "table" if isinstance(served.model, Champion) else "log",
        "data": dict(served.data),
        "metrics": served.metrics,
        "threshold": served.threshold,
        "threshold_chosen": served.model.threshold_.describe(),
        "p_values": served.profile is not None or not isinstance(served.model, Champion),
        "compiled": served.compiled is not None,
        "forms": [form.key for form in served.reading.forms],
        "card": f"/models/{served.name}",
        "predict": f"/{served.name}/predict",
    }


def columns(served: Served) -> list[Json]:
    """The columns that a model of a table reads, with type and usual values; none for a log."""
    return served.model.input_schema_.to_dicts() if isinstance(served.model, Champion) else []


def answer(served: Served, asked: Asked, decided: Decided) -> Json | list[Json]:
    """Put an answer together in the style of its request."""
    head = {"model": served.name, "version": served.version, "threshold": served.threshold}
    if asked.style == "rows":
        return answers.decisions(head, {**asked.names, **decided.columns}, asked.notes)
    rows = answers.decisions(head, {**asked.names, **decided.columns})["decisions"]
    if asked.style == "feature":
        return {**_flow(rows[0]), **rows[0], **head}
    return [{waf.EVENT_ID: row[waf.EVENT_ID], "LABEL_PRED": int(row["decision"]), **row, **head} for row in rows]


def _flow(row: Json) -> Json:
    """Class and confidence as the earlier service named them: the probability of the class that is named."""
    chance, alarm = min(max(row["score"], 0.0), 1.0), row["decision"]
    return {"predicted_class": NOT_BENIGN if alarm else BENIGN, "confidence_score": chance if alarm else 1 - chance}


def openapi(served: Mapping[str, Served], options: Options) -> Json:
    """Describe the service, the bodies of each model with an example (OpenAPI 3.1)."""
    paths: Json = {
        path: {"get": {"summary": said, "responses": {"200": {"description": "found"}}}}
        for path, said in (
            ("/health", "Whether the service lives, and which models answer"),
            ("/models", "The models: version, data, metrics with intervals, threshold"),
            ("/metrics", "Metrics for Prometheus"),
        )
    }
    for name, one in served.items():
        paths[f"/models/{name}"] = {"get": {"summary": f"The card of {name}", "responses": _responses({})}}
        paths[f"/{name}/drift"] = {"get": {"summary": f"Drift of what {name} is asked", "responses": _responses({})}}
        paths[f"/{name}/predict"] = {"post": _predict(one)}
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}} if options.key else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1"},
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": schemes},
        **({"security": [{"key": []}]} if options.key else {}),
    }


def _predict(served: Served) -> Json:
    """How decisions of one model are asked for."""
    choice = {"type": "string", "enum": list(EXPLAINED), "default": "none"}
    explain = {"name": "explain", "in": "query", "schema": choice, "description": "which rows get reasons"}
    examples = {form.key: {"value": form.example} for form in served.reading.forms if form.example is not None}
    content = {"application/json": {"schema": served.reading.schema, "examples": examples}}
    return {
        "operationId": f"predict_{served.name}",
        "summary": f"Decide with version {served.version} of {served.name}",
        "parameters": [explain],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(_answered()),
    }


def _answered() -> Json:
    """Schema of an answer in the usual form."""
    row = {
        "decision": {"type": "boolean", "description": "true for an anomaly"},
        "score": {"type": ["number", "null"], "description": "higher is more abnormal"},
        "p_value": {"type": ["number", "null"], "description": "share of normal training rows that score as high"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "kind": {"type": ["string", "null"]},
    }
    item = {"type": "object", "properties": row, "required": ["decision", "score", "p_value"]}
    whole = {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "threshold": {"type": "number"},
        "rows": {"type": "integer"},
        "alarms": {"type": "integer"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "decisions": {"type": "array", "items": item},
    }
    return {"type": "object", "properties": whole}


def _responses(schema: Json) -> Json:
    failures = {
        str(status): {
            "description": said,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status, said in STATUSES.items()
    }
    return {"200": {"description": "answered", "content": {"application/json": {"schema": schema}}}, **failures}
