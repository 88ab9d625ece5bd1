"""Parts of the benchmark of the service: the clients, what is made of their times, and that answers are compared."""

import asyncio
import contextlib
import json

import pytest

from benchmarks import load, registry, serving

BODIES = [b'{"n": 1}', b'{"n": 22}', b'{"n": 333}']


async def answer(reader, writer):
    """Answer each request with its body, in two parts; 500 to what says 22."""
    with contextlib.closing(writer):
        await answer_all(reader, writer)


async def answer_all(reader, writer):
    while head := await reader.readuntil(load.END):
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        status = b"500 No" if b"22" in body else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(size).encode() + load.END + body[:3])
        await writer.drain()
        await asyncio.sleep(0.001)
        writer.write(body[3:])


async def asked(clients, count):
    tasks = set()

    def began(reader, writer):
        task = asyncio.ensure_future(answer(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda done: done.exception())

    async with await asyncio.start_server(began, "127.0.0.1", 0) as server:
        found = await load.run(server.sockets[0].getsockname()[1], "/x", BODIES, clients, count)
        await asyncio.gather(*tasks, return_exceptions=True)
        return found


@pytest.mark.parametrize(("clients", "count"), [(1, 3), (3, 7)])
def test_every_request_is_answered_once(clients, count):
    found = asyncio.run(asked(clients, count))
    assert len(found["seconds"]) == count
    assert [json.loads(text) for text in found["answers"]] == [{"n": 1}, {"n": 22}, {"n": 333}]
    assert found["failed"] == sum(at % 3 == 1 for at in range(count))
    assert found["elapsed"] >= max(found["seconds"])


def test_times_are_told_in_milliseconds():
    found = serving.Load(2.0, [0.001, 0.002, 0.003, 0.004], 0.0005, [])
    assert found.each == 0.5
    assert str(found) == "p50 2.50, p99 3.97, CPU 0.50 ms"
    assert serving._latency_row("a", found).met is True
    assert serving._latency_row("a", serving.Load(2.0, [0.004], 0.0, [])).met is False


def decided(decision, score):
    return {"decisions": [{"decision": decision, "score": score}]}


def test_other_answers_are_not_accepted():
    serving._require_same("api", [decided(True, 0.5)], [decided(True, 0.5 + 1e-12)])
    for other in (decided(False, 0.5), decided(True, 0.6)):
        with pytest.raises(RuntimeError, match="must decide alike"):
            serving._require_same("api", [decided(True, 0.5)], [other])
    with pytest.raises(ValueError, match="shorter"):
        serving._require_same("api", [decided(True, 0.5)], [])


def test_the_cases_are_registered():
    names = {"serving_latency", "serving_throughput", "serving_clients", "serving_start"}
    assert names <= set(registry.CASES)
    assert {registry.TOPIC_OF[name] for name in names} == {"service"}


def test_crowds_are_told_by_their_number(monkeypatch):
    def sent(running, path, bodies, clients, count):
        return serving.Load(2.0, [0.001 * clients] * 4, 0.0005 / clients, [])

    monkeypatch.setattr(serving, "_sent", sent)
    monkeypatch.setattr(serving, "_lab", contextlib.nullcontext)
    monkeypatch.setattr(serving, "_service", lambda lab, name: contextlib.nullcontext((None, None)))
    monkeypatch.setattr(serving, "_records", lambda name: [{}])
    (row,) = registry.CASES["serving_clients"](registry.QUICK)
    assert [(point.size, point.value) for point in row.points] == [(each, 0.0005 / each) for each in serving.CROWDS]
    assert row.exponent == pytest.approx(-1)
    assert row.size.startswith("1 clients: 2/s, p50 1.00, p99 1.00 ms; 8 clients")
