"""Fixtures that several unit tests share."""

from types import SimpleNamespace

import pytest

from benchmarks import measure
from tests.unit.misbehaving_server import MisbehavingServer
from utils.datasets import download


@pytest.fixture
def server():
    """A server on this machine that answers as it is told; no host is remembered from other tests or for them."""
    download.forget_hosts()
    with MisbehavingServer() as running:
        yield running
    download.forget_hosts()


@pytest.fixture
def no_repeats(monkeypatch):
    """Benchmarks call each piece of work once a round."""
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: None))
