"""The audit on simulated data: quiet where they are clean, and finding what is planted where they are not."""

import importlib

import pytest

from utils import audit
from utils.audit.finding import SEVERITIES
from utils.datasets.contract import Dataset

SIZES = {"api": 400, "waf": 1_500, "nsl_kdd": 2_500, "cicids2017": 2_500, "hdfs": 1_000, "traffic": 288}
PLANTED = {
    "api": {("A001", "behaviors", "num_users"), ("A010", "behaviors", "num_users")},
    "waf": {("A001", "events", "CLIENT_USERAGENT"), ("A002", "events", "CLIENT_IP")},
    "nsl_kdd": {("A003", "connections", ""), ("A008", "connections", ""), ("A015", "connections", "")},
    "cicids2017": {
        ("A002", "flows", "Src IP"),
        ("A003", "flows", ""),
        ("A005", "flows", "Timestamp"),
        ("A008", "flows", ""),
    },
    "hdfs": {("A008", "blocks", ""), ("A009", "blocks", "")},
    "traffic": {("A002", "windows", "src")},
}


def simulated(name, seed, *, defects=False):
    loader = importlib.import_module(f"utils.datasets.{name}")
    simulator = importlib.import_module(f"utils.simulate.{name}")
    made = loader.assemble(simulator.simulate(SIZES[name], seed, defects=defects))
    return Dataset(name, loader.KIND, "simulated", "simulator", "", made.truth, made.frames, made.roles, made.defects)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", SIZES)
def test_clean_simulated_data_have_no_grave_finding(name, seed):
    grave = [finding for finding in audit.check(simulated(name, seed)) if finding.severity == "high"]
    assert [(finding.code, finding.frame, finding.columns, finding.evidence) for finding in grave] == []


def gravest(data):
    """Severity of the gravest finding for each code, frame and column."""
    found = reversed(audit.check(data))
    return {(f.code, f.frame, ", ".join(f.columns)): SEVERITIES.index(f.severity) for f in found}


@pytest.mark.parametrize("name", SIZES)
def test_planted_flaws_are_graver_than_in_clean_data(name):
    clean, planted = gravest(simulated(name, 3)), gravest(simulated(name, 3, defects=True))
    assert {mark for mark in PLANTED[name] if not planted.get(mark, 99) < clean.get(mark, 99)} == set()


def test_no_check_fails_on_simulated_data():
    failed = [finding for name in SIZES for finding in audit.check(simulated(name, 5)) if finding.code == "A000"]
    assert failed == []
