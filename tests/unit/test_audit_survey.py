import polars as pl

from tests.unit import small_data
from utils import audit
from utils.datasets.contract import Roles


def leaky():
    frame = pl.DataFrame({"tells": range(200), "is_anomaly": [False] * 100 + [True] * 100})
    return small_data.dataset(
        {"rows": frame},
        {"rows": Roles(unit="row", label="is_anomaly", features=("tells",))},
        name="leaky",
    )


def test_survey_names_the_data_set_and_puts_the_gravest_first():
    findings = audit.survey({"clean": small_data.table(), "leaky": leaky()})
    assert set(findings["data set"]) <= {"clean", "leaky"}
    assert findings.row(0, named=True)["data set"] == "leaky"
    order = [audit.finding.SEVERITIES.index(severity) for severity in findings["severity"]]
    assert order == sorted(order)


def test_verdicts_and_results_count_every_finding_once():
    findings = audit.survey({"clean": small_data.table(), "leaky": leaky()})
    counted = audit.verdicts(findings).drop("data set")
    assert sum(map(sum, counted.iter_rows())) == findings.height
    totals = audit.results(findings)
    assert totals["findings_high"] + totals["findings_medium"] + totals["findings_low"] == findings.height
    assert 0 < totals["findings_high_open"] <= totals["findings_high"]


def test_nothing_found_is_an_empty_table_with_all_columns():
    findings = audit.survey({"leaky": leaky()}).clear()
    assert audit.verdicts(findings).is_empty()
    assert set(audit.results(findings).values()) == {0.0}
