"""A small champion of a made-up table with every type of column, and a way to ask an application without a network."""

import asyncio
import datetime as dt
import json

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from utils.classifiers.champion import Champion
from utils.features.flows import FlowFeatures
from utils.serving.registry import served_of
from utils.tracking.registry import Loaded, Version

GIVEN = {"content-type": "application/json"}


def table(rows=200, seed=0):
    """Rows with whole numbers, fractions, missing values, names, truth values and stretches of time; their labels."""
    draw = np.random.default_rng(seed)
    y = draw.random(rows) < 0.4
    size = draw.normal(size=rows) + 2.5 * y
    frame = pl.DataFrame(
        {
            "size": size,
            "packets sent": draw.integers(0, 9, rows),
            "rate": pl.Series(np.where(draw.random(rows) < 0.2, np.nan, size)).fill_nan(None),
            "kind": draw.choice(["a", "b"], rows),
            "flagged": draw.random(rows) < 0.5,
            "lasted": [dt.timedelta(seconds=float(second)) for second in draw.exponential(3, rows)],
        }
    )
    return frame, y


def champion(seed=0, without=()):
    """A champion of that table, or of some of its columns."""
    frame, y = table(seed=seed)
    pipeline = Pipeline([("features", FlowFeatures()), ("classifier", LogisticRegression())])
    return Champion(pipeline, folds=3).fit(frame.drop(without), y)


def served(model=None, number=1, texts=None, name="mine"):
    """That champion, ready to answer."""
    tags = {"data.source": "real", "f1": "0.900 [0.850, 0.950]", "seed": "42", "recall": "0.5", "git.commit": "abc"}
    return served_of(Loaded(Version(name, number, "# a card", tags), model or champion(), texts or {}))


def ask(app, method, path, body=b"", headers=None, pause=0.0):
    """Ask an application; return status, parsed body and headers."""
    return asyncio.run(asked(app, method, path, body, headers, pause))


async def asked(app, method, path, body=b"", headers=None, pause=0.0):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    route, _, query = path.partition("?")
    given = [
        (name.encode(), value.encode("latin-1")) for name, value in (GIVEN if headers is None else headers).items()
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": route,
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "headers": given,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    parts = [raw[start : start + 1_000] for start in range(0, len(raw), 1_000)] or [b""]
    sent = []

    async def receive():
        await asyncio.sleep(pause)
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return 0, None, {}
    answered = b"".join(message.get("body", b"") for message in sent[1:])
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    text = answered.decode()
    return sent[0]["status"], json.loads(text) if text[:1] in "[{" else text, named
