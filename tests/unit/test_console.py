import signal

import pytest

from utils.console import ended_like_ctrl_c

ENDINGS = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(params=ENDINGS)
def ending(request):
    """A request to end, whose handler is what it was after the test."""
    number = getattr(signal, request.param)
    before = signal.getsignal(number)
    yield number
    signal.signal(number, before)


def test_a_request_to_end_interrupts_and_the_handler_comes_back(ending):
    signal.signal(ending, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), ended_like_ctrl_c():
        signal.raise_signal(ending)
    assert signal.getsignal(ending) == signal.SIG_DFL


def test_what_is_ignored_stays_ignored(ending):
    signal.signal(ending, signal.SIG_IGN)
    with ended_like_ctrl_c():
        signal.raise_signal(ending)
    assert signal.getsignal(ending) == signal.SIG_IGN
