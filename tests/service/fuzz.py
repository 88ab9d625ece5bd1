"""Requests made from the service's own OpenAPI description, and broken ones; ``python -m tests.service.fuzz``."""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.service.conftest import copy_of_store, variables
from utils.console import say
from utils.serving import client
from utils.serving.answers import JSON

NUMBERS = (0, 1, -1, 0.5, -2.5, 1e-300, 1e18, -1e18, 1e300, 2**31, 2**53 + 1, 2**63 - 1, 65_535, 6, 17, 80)
TEXTS = ("", "tcp", "http", "SF", "a", "0", "ü", "日本", "\u0000", "😀", "' or 1=1 --", "../../etc/passwd", "x" * 3_000)
ODD = (None, True, False, [], {}, "", "x", 0, -1, 1.5, 1e308, 10**40, [[]], [None], {"a": 1}, "\u0000", [1] * 100)
TOKENS = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 400, b'"\\ud800"', b"\xff\xfe", b"\xed\xa0\x80", b"\x00")
MOST_ITEMS = 4
STATED = {"no_champion", "too_late", "busy"}
"""What may be answered with 503."""


class Maker:
    """Makes requests; the same seed makes the same ones."""

    def __init__(self, description, seed):
        self.random = random.Random(seed)
        self.paths = {path: item["post"] for path, item in description["paths"].items() if "post" in item}

    def request(self):
        """A request that the description allows: path and body."""
        path = self.random.choice(sorted(self.paths))
        content = self.paths[path]["requestBody"]["content"][JSON]
        examples = [one["value"] for one in content["examples"].values()]
        value = self.random.choice(examples) if self.random.random() < 0.2 else self.value(content["schema"])
        return f"{path}?explain={self.random.choices(('none', 'alarms', 'all'), (8, 1, 1))[0]}", value

    def value(self, schema, defs=None):
        """A value that a JSON Schema allows."""
        defs = {**(defs or {}), **schema.get("$defs", {})}
        if "$ref" in schema:
            return self.value(defs[schema["$ref"].rpartition("/")[2]], defs)
        if "anyOf" in schema:
            return self.value(self.random.choice(schema["anyOf"]), defs)
        if schema.get("contentMediaType") == JSON:
            return json.dumps(self.event())
        make = {"object": self.object, "array": self.array}.get(schema.get("type"))
        return make(schema, defs) if make else self.scalar(schema)

    def object(self, schema, defs):
        extra = {"beyond": self.random.choice(ODD)} if self.random.random() < 0.1 else {}
        return {name: self.value(part, defs) for name, part in schema.get("properties", {}).items()} | extra

    def array(self, schema, defs):
        most = schema.get("maxItems", MOST_ITEMS)
        return [self.value(schema["items"], defs) for _ in range(self.random.randint(schema.get("minItems", 0), most))]

    def scalar(self, schema):
        kind = schema.get("type")
        if kind == "number":
            return self.random.choice((*NUMBERS, self.random.gauss(0, 1e4)))
        if kind == "integer":
            return self.random.choice([number for number in NUMBERS if isinstance(number, int)])
        if kind == "string":
            made = "".join(chr(self.random.randint(32, 0x2FF)) for _ in range(self.random.randint(0, 40)))
            return self.random.choice((*TEXTS, made))
        return {"boolean": self.random.random() < 0.5}.get(kind)

    def event(self):
        """An event of a web application firewall; a field is left out now and then."""
        fields = {"EVENT_ID": "e1", "MATCHED_VARIABLE_VALUE": self.random.choice((*TEXTS, None)), "CLIENT_IP": "::1"}
        return {name: value for name, value in fields.items() if self.random.random() < 0.95}

    def mutated(self):
        """A broken request: path, bytes and headers."""
        path, value = self.request()
        headers = {"content-type": JSON}
        kind = self.random.randrange(6)
        if kind == 0:
            return path, json.dumps(self.damaged(value)).encode(), headers
        body = json.dumps(value).encode()
        place = self.random.randrange(len(body) + 1)
        if kind == 1:
            return path, body[:place], headers
        if kind == 2:
            return path, body[:place] + bytes([self.random.randrange(256)]) + body[place + 1 :], headers
        if kind == 3:
            return path, body[:place] + self.random.choice(TOKENS) + body[place:], headers
        if kind == 4:
            charset = self.random.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1"))
            return path, body.decode().encode(charset, "replace"), headers
        odd = ({"content-type": "text/plain"}, {}, {**headers, "content-encoding": "gzip"}, {"content-type": "a;b=c"})
        deep = self.random.choice((b"[", b'{"rows":')) * self.random.choice((300, 100_000))
        return self.random.choice(((path, body, self.random.choice(odd)), (path, deep, headers)))

    def damaged(self, value):
        """A value with one part replaced, left out or repeated."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            name = self.random.choice(sorted(value))
            if self.random.random() < 0.3:
                return {other: part for other, part in value.items() if other != name}
            return {**value, name: self.damaged(value[name])}
        if isinstance(value, list) and value and self.random.random() < 0.8:
            place = self.random.randrange(len(value))
            return [*value[:place], self.damaged(value[place]), *value[place + 1 :]]
        return self.random.choice(ODD)


def wrong(reply):
    """What is wrong with an answer; nothing if it is an answer, or a refusal in the form of every error."""
    if reply.status == 200:
        return "" if isinstance(reply.value, (dict, list)) else "200 without JSON"
    error = reply.value.get("error") if isinstance(reply.value, dict) else None
    if not isinstance(error, dict) or set(error) != {"code", "message", "field"}:
        return f"{reply.status} in another form"
    if reply.status >= 500 and error["code"] not in STATED:
        return f"{reply.status} {error['code']}"
    return "" if reply.status != 422 or error["field"] else "422 without a field"


def run(service, requests, mutated, seed=1, concurrency=2):
    """Send requests; return the counts of statuses of both kinds and all that is wrong, with what was sent."""
    maker = Maker(service.get("/openapi.json").value, seed)
    counts, failures = (Counter(), Counter()), []

    def ask(task):
        kind, (path, body, headers) = task
        reply = service.send("POST", path, body, headers)
        return kind, reply, path, body

    def tasks():
        for _ in range(requests):
            path, value = maker.request()
            yield 0, (path, json.dumps(value).encode(), {"content-type": JSON})
        for _ in range(mutated):
            yield 1, maker.mutated()

    with ThreadPoolExecutor(concurrency) as pool:
        for kind, reply, path, body in pool.map(ask, tasks()):
            counts[kind][reply.status] += 1
            if problem := wrong(reply):
                failures.append((problem, path, body[:300], reply.value))
    return *counts, failures


def memory(service):
    """Resident memory of the service, in MB."""
    return psutil.Process(service.process.pid).memory_info().rss / 1e6


def main():
    """Run it on the committed champions and write down what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--mutated", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = copy_of_store(Path(folder) / "lab")
        with client.running(environment=variables(store)) as service:
            run(service, 300, 100, seed=given.seed + 1)
            before, start = memory(service), time.time()
            sound, broken, failures = run(service, given.requests, given.mutated, given.seed)
            say(f"made from the description: {dict(sound)}; mutated: {dict(broken)}")
            say(f"memory {before:.0f} MB before, {memory(service):.0f} MB after; {time.time() - start:.0f} s")
            say("\n".join([f"wrong: {len(failures)}", *map(str, failures[:10])]))


if __name__ == "__main__":
    main()
