"""The audit on the real files: it finds every documented leak, with the published figures."""

import importlib
import re
from pathlib import Path

import pytest

from utils import audit
from utils.datasets.contract import Dataset

pytestmark = pytest.mark.real
NAMES = ("api", "waf", "nsl_kdd", "cicids2017", "hdfs")


@pytest.fixture(scope="module")
def real(mirror_dir):
    """Return a data set, read from the mirror once."""
    kept = {}

    def load(name):
        if name not in kept:
            loader = importlib.import_module(f"utils.datasets.{name}")
            files = {
                file: mirror_dir / name / file for file in loader.READS if Path(mirror_dir / name / file).is_file()
            }
            made = loader.assemble(loader.read(files))
            kept[name] = Dataset(
                name, loader.KIND, "real", "mirror", "", made.truth, made.frames, made.roles, made.defects
            )
        return kept[name]

    return load


@pytest.fixture(scope="module")
def findings(real):
    """Return the findings on a data set, computed once."""
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = audit.check(real(name))
        return kept[name]

    return of


@pytest.fixture(scope="module")
def one(findings):
    """Return the only finding of a code on some columns of a frame."""

    def pick(name, code, frame, *columns):
        found = [f for f in findings(name) if (f.code, f.frame, f.columns) == (code, frame, columns)]
        assert len(found) == 1, [f.evidence for f in found]
        return found[0]

    return pick


def number(text, pattern):
    return float(re.search(pattern, text)[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_check_runs(findings, name):
    assert [f.evidence for f in findings(name) if f.code == "A000"] == []


@pytest.mark.parametrize("name", NAMES)
def test_columns_that_are_all_but_the_label_are_kept_from_models(findings, name):
    offered = [f.columns for f in findings(name) if f.code in {"A001", "A002", "A010", "A013"} and f.severity == "high"]
    assert [f.columns for f in findings(name) if f.columns in offered and not f.handled] == []


def test_api_label_is_a_function_of_num_users(one):
    separates, rule = (one("api", code, "behaviors", "num_users") for code in ("A001", "A010"))
    assert (separates.severity, separates.handled) == ("high", True)
    assert "AUC 1.0000, balanced accuracy 1.0000" in separates.evidence
    assert (rule.severity, rule.handled) == ("high", True)
    assert "up to 1.0 is anomalous, from 101.0 on normal, without exception" in rule.evidence


@pytest.mark.parametrize("column", ["num_sessions", "api_access_uniqueness"])
def test_api_columns_that_leak_the_label_again(one, column):
    assert one("api", "A001", "behaviors", column).handled


def test_api_published_features_are_counted_over_all_graphs(findings):
    (found,) = [f for f in findings("api") if f.code == "A006"]
    assert found.frame == "features"
    assert all("_global_" in column for column in found.columns)


@pytest.mark.parametrize(
    ("column", "severity", "balanced_accuracy"),
    [("Dst IP", "high", 0.996), ("Src IP", "high", 0.948), ("Dst Port", "medium", 0.94)],
)
def test_cicids2017_addresses_and_ports_give_the_label_away(one, column, severity, balanced_accuracy):
    found = one("cicids2017", "A002", "flows", column)
    assert (found.severity, found.handled) == (severity, True)
    assert number(found.evidence, r"Balanced accuracy ([\d.]+)") == pytest.approx(balanced_accuracy, abs=0.01)


def test_cicids2017_one_address_is_behind_nearly_every_attack(one):
    assert "172.16.0.1 (32,708 rows, 100.0 % anomalous)" in one("cicids2017", "A002", "flows", "Src IP").evidence


def test_cicids2017_twins(one):
    across = one("cicids2017", "A003", "flows")
    assert (across.severity, across.handled) == ("high", True)
    assert "43,419 rows, 34,337 distinct" in across.evidence
    assert "22.1 % of the test rows" in across.evidence
    two_names = one("cicids2017", "A008", "flows")
    assert "56 distinct rows (2,820 rows, 7.3 % of the anomalies)" in two_names.evidence
    assert "Infiltration - Portscan, Portscan" in two_names.evidence


def test_cicids2017_attacks_are_single_runs_and_far_too_many(one, findings):
    runs = one("cicids2017", "A005", "flows", "Timestamp")
    assert "12 of 15 kinds" in runs.evidence
    (share,) = [f for f in findings("cicids2017") if f.code == "A012"]
    assert share.evidence.startswith("88.5 % of 43,419 rows are anomalous, 24.2 % in the corrected edition")
    constant = one("cicids2017", "A007", "flows", "Bwd URG Flags", "Subflow Bwd Packets")
    assert "43,419 rows" in constant.evidence


def test_nsl_kdd_difficulty_is_made_from_the_label(findings):
    (found,) = [f for f in findings("nsl_kdd") if f.code == "A013"]
    assert {"difficulty", "attack", "attack_category"} <= set(found.columns)
    assert found.handled


def test_nsl_kdd_good_features_are_not_called_leaks(findings):
    assert [f for f in findings("nsl_kdd") if f.code in {"A001", "A002", "A010"}] == []


def test_nsl_kdd_twins(findings):
    evidence = {f.code: f.evidence for f in findings("nsl_kdd") if f.code != "A008"}
    assert "664 of 22,544 test rows (2.9 %) equal a training row" in evidence["A003"]
    assert evidence["A015"] == "Repeated rows: 57 of 22,544 in test, 16 of 125,973 in train."
    conflicts = [f.evidence for f in findings("nsl_kdd") if f.code == "A008"]
    assert any("51 pairs of a training and a test row disagree" in text for text in conflicts)


def test_hdfs_test_normals_repeat_training(one):
    found = one("hdfs", "A003", "sessions")
    assert "492,631 of 553,366 normal (89.0 %), 0 of 16,838 anomalous (0 %)" in found.evidence
    assert "training holds one class only" in found.evidence


def test_hdfs_sequences_with_both_labels(one):
    assert one("hdfs", "A008", "sessions").evidence.startswith(
        "10 distinct rows stand under both labels: 46 rows, of which 24 anomalous"
    )
    cut = one("hdfs", "A008", "blocks")
    assert cut.severity == "high"
    assert "of which 159 anomalous (50.8 % of the anomalies)" in cut.evidence


def test_hdfs_100k_is_truncated_with_its_ceiling(one, real):
    found = one("hdfs", "A009", "blocks")
    assert (found.severity, found.handled) == ("high", False)
    assert "no model of the sequence can exceed F1 0.668" in found.evidence
    assert audit.f1_ceiling(real("hdfs")["blocks"], "events", "is_anomaly") == pytest.approx(0.668, abs=5e-4)


def test_waf_names_come_from_clusters(one):
    found = one("waf", "A010", "mlpt", "cluster")
    assert "62 clusters of 9 to 15,820 rows" in found.evidence
    assert found.handled
