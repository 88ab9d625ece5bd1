"""Fixtures that several unit tests share."""

import pytest

from tests.unit.misbehaving_server import MisbehavingServer
from utils.datasets import download


@pytest.fixture
def server():
    """A server on this machine that answers as it is told; no host is remembered from other tests or for them."""
    download.forget_hosts()
    with MisbehavingServer() as running:
        yield running
    download.forget_hosts()
