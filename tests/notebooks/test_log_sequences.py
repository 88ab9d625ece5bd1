"""Notebook 09 on users' own logs: windows ranked with reasons without a label, nothing asked of what is no log."""

import pytest

from tests.notebooks.running import run
from utils import tracking

pytestmark = pytest.mark.slow

NAME = "09_lstm_log_sequences"
ENTRY = r"""
[boiler]
kind = "log"
files = ["own/boiler.log"]
header = '(?P<time>\S+ \S+) (?P<content>.*)'
window = "1m"
"""
USUAL = ("pump started", "valve opened", "valve closed", "pump stopped")
MINUTES, ODD = 200, 170


@pytest.fixture
def boiler(lab):
    """Two hundred minutes of a log, of which one near the end is unlike the others."""
    lines = []
    for minute in range(MINUTES):
        words = [*USUAL, *(["pressure lost", "emergency stop"] if minute == ODD else [])]
        stamp = f"2024-05-01 {8 + minute // 60:02}:{minute % 60:02}"
        lines += [f"{stamp}:{10 * place:02} {what}" for place, what in enumerate(words)]
    (lab.data_dir / "own").mkdir(exist_ok=True)
    (lab.data_dir / "own" / "boiler.log").write_text("\n".join(lines) + "\n")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write(ENTRY)
    return "boiler"


def test_windows_of_an_own_log_are_ranked_with_reasons(boiler, guided, store, lab):
    shown = run(lab, "09", SOURCE="auto", DATASETS=[boiler, *guided])
    assert "emergency stop" in shown
    results = tracking.results(NAME, boiler)
    assert results["sessions_ranked_judged"] > 0
    assert results["sessions_ranked_alarms"] == 1
