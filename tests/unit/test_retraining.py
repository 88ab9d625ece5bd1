"""Gates of retraining on small tables, and what the command says; nothing here trains a model."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit import small_data
from utils import audit, retraining
from utils.datasets.contract import Defect, Roles
from utils.detectors.payloads import MarkReader
from utils.errors import DataError, SettingsError, TrackingError
from utils.features import tables
from utils.retraining import __main__ as command
from utils.retraining import gates, pipeline
from utils.retraining.gates import GateClosed
from utils.retraining.pipeline import Outcome

ROLES = Roles(unit="row", label="is_anomaly", split="split", features=("size",))


def sides(train_normal, train_anomalous, test_normal, test_anomalous):
    rows = [("train", False)] * train_normal + [("train", True)] * train_anomalous
    rows += [("test", False)] * test_normal + [("test", True)] * test_anomalous
    return pl.DataFrame(rows, schema={"split": pl.String, "is_anomaly": pl.Boolean}, orient="row").with_row_index(
        "size"
    )


class Holder:
    """A champion that reads two columns."""

    input_schema_ = pl.DataFrame({"column": ["size", "kind"], "type": ["Int64", "String"]})

    def predict(self, rows):
        return rows["size"].to_numpy() > 0


def test_the_first_labelled_table_is_learned_from():
    made = tables.build(small_data.table())
    assert gates.table_of(made, log=False) == "flows"
    unlabelled = tables.build(small_data.table(label=False))
    with pytest.raises(GateClosed, match=r"tiny must have a labelled table .* found none among 'flows'") as closed:
        gates.table_of(unlabelled, log=False)
    assert closed.value.gate == "labels"


def test_a_log_is_learned_from_its_sessions_of_events():
    frame = sides(3, 0, 3, 3).with_columns(events=pl.lit(["a"]))
    roles = replace(ROLES, unit="session", sequence="events")
    log = small_data.dataset({"lines": frame, "sessions": frame}, {"lines": ROLES, "sessions": roles}, kind="log")
    assert gates.table_of(log, log=True) == "sessions"
    one_class = replace(log, frames={"sessions": frame.filter(~pl.col("is_anomaly"))}, roles={"sessions": roles})
    with pytest.raises(GateClosed, match="both classes"):
        gates.table_of(one_class, log=True)


def test_an_open_finding_of_severity_high_closes_the_gate_of_its_table():
    finding = audit.Finding(
        "A003", "high", "Twins stand on both sides.", "40 of 80 rows", "Make rows distinct.", "rows", ("size",)
    )
    found = audit.table([finding, replace(finding, code="A004")]).select(pl.lit("shop").alias("data set"), pl.all())
    with pytest.raises(GateClosed) as closed:
        gates.check_audit("rows", found)
    assert closed.value.gate == "audit"
    assert str(closed.value) == (
        "the gate 'audit' is closed: no finding of severity high may stand open against the table 'rows' of shop, "
        "found A003 Twins stand on both sides (40 of 80 rows) and 1 more: make rows distinct."
    )
    gates.check_audit("other", found)
    gates.check_audit("rows", found.with_columns(handled=pl.lit(True)))
    gates.check_audit("rows", found.with_columns(severity=pl.lit("medium")))


@given(st.tuples(*[st.integers(0, 2 * gates.FEWEST)] * 4), st.booleans())
@hypothesis_settings(deadline=None, max_examples=60)
def test_the_gate_of_rows_is_open_just_where_each_class_has_enough_on_each_side(counts, log):
    frame = sides(*counts)
    needed = counts[:1] + counts[2:] if log else counts
    if min(needed) >= gates.FEWEST:
        gates.check_rows("shop", "rows", frame, ROLES, log=log)
        return
    with pytest.raises(GateClosed, match=rf"must have {gates.FEWEST} rows of each class on each side, found") as closed:
        gates.check_rows("shop", "rows", frame, ROLES, log=log)
    assert closed.value.gate == "rows"
    assert str(closed.value).count(" side,") + str(closed.value).count(" side:") == 1 + sum(
        count < gates.FEWEST for count in needed
    )


def test_a_row_counts_as_often_as_it_stands():
    frame = sides(1, 1, 1, 1).with_columns(n_sessions=pl.lit(gates.FEWEST))
    weighted = replace(ROLES, withheld={"n_sessions": "how many sessions have this sequence"})
    gates.check_rows("shop", "rows", frame, weighted, log=False)
    with pytest.raises(GateClosed):
        gates.check_rows("shop", "rows", frame, ROLES, log=False)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        ({"kind": ["a"]}, "no column 'size'"),
        ({"other": [1]}, "no column 'size', 'kind'"),
        ({"size": ["1"], "kind": ["a"]}, "column 'size' of type String in place of Int64"),
        ({"size": [True], "kind": [3.5]}, "column 'size' of type Boolean in place of Int64; column 'kind' of type Flo"),
    ],
)
def test_columns_that_are_gone_or_of_another_type_close_the_gate_of_the_schema(frame, found):
    with pytest.raises(GateClosed) as closed:
        gates.check_schema("shop", Holder(), pl.DataFrame(frame))
    assert closed.value.gate == "schema"
    assert f"must have what the champion of shop reads, found {found}" in str(closed.value)
    assert str(closed.value).endswith("or accept the new columns with --allow-schema-change")


def test_a_champion_that_makes_its_columns_of_texts_needs_the_texts():
    class Marked(Holder):
        reader_ = MarkReader("payload")

        def predict(self, rows):
            return rows["payload"].is_not_null().to_numpy()

    gates.check_schema("shop", Marked(), pl.DataFrame({"payload": ["a"], "other": [1]}))
    with pytest.raises(GateClosed, match="no column 'payload'"):
        gates.check_schema("shop", Marked(), pl.DataFrame({"other": [1]}))


def test_the_gate_of_the_schema_says_why_a_column_was_left_out():
    constant = Defect("features with one value in training: noise, size", 400, "left out")
    other = Defect("features with one value in training: resized, kind", 400, "left out")
    with pytest.raises(GateClosed, match="no column 'size'; features with one value in training: noise, size: corr"):
        gates.check_schema("shop", Holder(), pl.DataFrame({"kind": ["a"]}), [constant, other])


def test_types_that_are_read_alike_and_further_columns_are_no_break():
    kinds = pl.Series(["a"], dtype=pl.Categorical)
    for size in (pl.Float64, pl.UInt8, pl.Int16, pl.Decimal(10, 2)):
        gates.check_schema(
            "shop", Holder(), pl.DataFrame({"size": [1], "kind": kinds, "new": [0]}).cast({"size": size})
        )


def test_a_champion_that_refuses_the_rows_closes_the_gate_of_the_schema():
    class Log:
        def predict(self, rows):
            raise DataError("events must be texts")

    assert gates.expected_types(Log()) == {"events": "List"}
    with pytest.raises(GateClosed, match="no column 'events'"):
        gates.check_schema("app", Log(), pl.DataFrame({"size": [1]}))
    with pytest.raises(GateClosed, match=r"must read the table, found events must be texts; or correct the data"):
        gates.check_schema("app", Log(), pl.DataFrame({"events": [[1]]}))


def test_a_champion_of_another_time_closes_the_gate_of_the_schema_whatever_it_raises():
    class Old(Holder):
        def predict(self, rows):
            raise AttributeError("'Champion' object has no attribute 'reader_'")

    with pytest.raises(GateClosed, match="found AttributeError: 'Champion' object has no attribute 'reader_'; or"):
        gates.check_schema("shop", Old(), pl.DataFrame({"size": [1.0], "kind": ["a"]}))


def test_families_of_types():
    assert {gates.family(name) for name in ("Int8", "UInt64", "Float32", "Decimal(precision=3, scale=1)")} == {
        "a number"
    }
    assert gates.family("Datetime(time_unit='us', time_zone=None)") == gates.family("Date")
    assert gates.family("Duration(time_unit='us')") != gates.family("Date")
    assert gates.family("Boolean") == "Boolean"


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (("champion", "kept", "ready", "left out"), 0),
        (("champion", "stopped"), 1),
        (("failed", "kept"), 1),
    ],
)
def test_the_exit_code_tells_a_kept_champion_from_a_failure(monkeypatch, capsys, statuses, code):
    outcomes = [Outcome(f"m{k}", status, f"m{k}: as said.", seconds=1.25) for k, status in enumerate(statuses)]
    monkeypatch.setattr(command, "retrain_all", lambda names, *_, **__: iter(outcomes))
    assert command.main(["all"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [status.split()[0] for status in statuses]
    assert lines[0].endswith("1.2 s  m0: as said.")


def test_the_command_hands_on_what_it_is_told(monkeypatch, capsys):
    asked = {}

    def retrain_all(names, source, *, report, **options):
        asked.update(options, names=names, source=source)
        report("api", "training")
        yield Outcome("api", "kept", "api: kept.")

    monkeypatch.setattr(command, "retrain_all", retrain_all)
    flags = ["--source", "simulated", "--budget", "full", "--seed", "7", "--allow-schema-change", "--dry-run"]
    assert command.main(["api", "waf", *flags]) == 0
    assert asked == {
        "names": ["api", "waf"],
        "source": "simulated",
        "budget": "full",
        "seed": 7,
        "allow_schema_change": True,
        "dry_run": True,
    }
    assert capsys.readouterr().err == "api: training ...\n"
    command.main(["all", "api"])
    assert asked["names"] == ()


def test_a_closed_gate_is_told_where_it_cannot_be_recorded(monkeypatch):
    def full(*_):
        raise TrackingError("no room")

    monkeypatch.setattr(pipeline, "_run", full)
    told = []
    order = pipeline._Order("shop", "auto", "fast", 1, False, False, told.append)
    pipeline._record_stop(order, None, GateClosed("rows", "too few"))
    assert told == ["that the gate 'rows' closed is not recorded: no room"]


def test_an_interrupted_command_ends_with_130(monkeypatch, capsys):
    def retrain_all(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "retrain_all", retrain_all)
    assert command.main(["api"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_what_does_not_exist_is_refused_before_anything_is_loaded(lab, capsys):
    assert command.main(["apy"]) == 2
    assert "there is no data set 'apy'" in capsys.readouterr().err
    assert command.main(["api", "--source", "fake"]) == 2
    assert command.main(["api", "--budget", "huge"]) == 2
    assert command.main(["api", "--seed", "-1"]) == 2
    assert command.main(["api", "--seed", str(2**32)]) == 2
    assert "the seed must be in 0..4294967295, found 4294967296: choose another one" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        command.main([])
    assert ended.value.code == 2
    with pytest.raises(SettingsError, match="budget must be one of"):
        retraining.retrain("api", budget="huge")
    assert not lab.store_file.exists()
