"""The whole audit: which checks run on which columns, by the roles, and that no table of a user breaks it."""

import datetime as dt
import decimal
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils import audit
from utils.audit import checks
from utils.datasets.contract import Dataset, Roles

ROWS = 2_000
ROLES = Roles(
    unit="row",
    label="is_anomaly",
    anomaly_type="anomaly_type",
    features=("a", "b", "c"),
    identity=("peer",),
    time="when",
    group="session",
    split="split",
    withheld={"difficulty": "counts models that saw the labels"},
)


def dataset(frame, roles=ROLES, *, source="simulated", name="table", **frames):
    everything = {"rows": frame, **{key: part for key, (part, _) in frames.items()}}
    all_roles = {"rows": roles, **{key: role for key, (_, role) in frames.items()}}
    return Dataset(name, "table", source, "own files", "digest", "made up", everything, all_roles)


@pytest.fixture
def clean():
    """A table with every role and no flaw: features that help, sessions of four rows on one side each."""
    generator = np.random.default_rng(5)
    label = generator.random(ROWS) < 0.1
    seconds = np.sort(generator.integers(0, 10**6, ROWS))
    return pl.DataFrame(
        {
            "a": generator.normal(label * 1.5, 1),
            "b": generator.lognormal(size=ROWS),
            "c": generator.choice(["x", "y", "z"], ROWS),
            "difficulty": generator.integers(0, 22, ROWS),
            "peer": [f"10.0.{i}.{j}" for i, j in generator.integers(0, 30, (ROWS, 2))],
            "when": [dt.datetime(2024, 1, 1) + dt.timedelta(seconds=int(s)) for s in seconds],
            "session": np.arange(ROWS) // 4,
            "split": np.where(np.arange(ROWS) < 1_600, "train", "test"),
            "is_anomaly": label,
            "anomaly_type": np.where(label, generator.choice(["dos", "scan"], ROWS), "normal"),
        }
    )


def found_by(code, data):
    return [finding for finding in audit.check(data) if finding.code == code]


def test_clean_data_give_nothing_above_low_but_the_columns_that_are_withheld(clean):
    loud = [finding for finding in audit.check(dataset(clean)) if finding.severity != "low"]
    assert [(finding.code, finding.columns, finding.handled) for finding in loud] == [
        ("A004", ("peer",), False),
        ("A013", ("difficulty",), True),
    ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.03, 0.5), rows=st.integers(30, 600))
def test_noise_gives_nothing_high(seed, share, rows):
    generator = np.random.default_rng(seed)
    label = generator.permutation(np.arange(rows) < share * rows)
    frame = pl.DataFrame(
        {
            "is_anomaly": label,
            "a": generator.normal(size=rows),
            "b": generator.exponential(size=rows),
            "c": generator.integers(0, 9, rows),
            "peer": generator.integers(0, 40, rows),
            "split": np.where(generator.random(rows) < 0.8, "train", "test"),
        }
    )
    assert [finding for finding in audit.check(dataset(frame)) if finding.severity == "high"] == []


def test_a_leaking_column_is_handled_only_where_no_model_may_use_it(clean):
    leaking = clean.with_columns(users=pl.when("is_anomaly").then(1).otherwise(500))
    for features, handled in ((("a",), True), (("a", "users"), False)):
        data = dataset(leaking, replace(ROLES, features=features))
        assert [(f.code, f.severity, f.handled) for f in audit.check(data) if "users" in f.columns] == [
            ("A001", "high", handled),
            ("A010", "high", handled),
        ]


def test_an_offered_address_is_found_and_not_handled(clean):
    by_class = clean.with_columns(peer=pl.when("is_anomaly").then(pl.lit("172.16.0.1")).otherwise("peer"))
    (kept_out,) = found_by("A002", dataset(by_class))[:1]
    (offered,) = found_by("A002", dataset(by_class, replace(ROLES, features=("a", "peer"))))[:1]
    assert (kept_out.severity, kept_out.handled) == ("high", True)
    assert (offered.severity, offered.handled) == ("high", False)


def test_twins_are_handled_by_a_group_that_keeps_them_together(clean):
    doubled = pl.concat([clean, clean]).with_columns(vector=pl.int_range(pl.len()) % ROWS)
    roles = Roles(unit="row", label="is_anomaly", features=("a", "b"))
    (loose,) = found_by("A003", dataset(doubled, roles))
    (kept,) = found_by("A003", dataset(doubled, replace(roles, group="vector")))
    assert (loose.severity, loose.handled) == ("high", False)
    assert (kept.severity, kept.handled) == ("high", True)


def test_features_too_coarse_to_tell_rows_apart_have_no_twins(clean):
    coarse = dataset(clean, Roles(unit="row", label="is_anomaly", features=("c",)))
    assert found_by("A003", coarse) == []
    assert found_by("A008", coarse) == []


def test_rows_without_content_have_no_twins(clean):
    silent = clean.with_columns(
        a=pl.lit(0.0), b=pl.when(pl.int_range(pl.len()) < 500).then("b").otherwise(0.0), c=pl.lit(0)
    )
    assert found_by("A003", dataset(silent, Roles(unit="row", label="is_anomaly", features=("a", "b", "c")))) == []


def test_alike_parts_of_unlike_wholes_are_at_most_medium(clean):
    parts = clean.with_columns(a=pl.int_range(pl.len()) // 2, b=pl.lit(1), is_anomaly=pl.int_range(pl.len()) % 5 == 0)
    roles = Roles(unit="row", label="is_anomaly", features=("a", "b", "session"))
    whole = {f.code: f.severity for f in audit.check(dataset(parts, roles))}
    assert (whole["A003"], whole["A008"]) == ("high", "high")
    grouped = parts.with_columns(window=pl.int_range(pl.len()) % 2)
    part = {f.code: f.severity for f in audit.check(dataset(grouped, replace(roles, group="window")))}
    assert (part["A003"], part["A008"]) == ("medium", "medium")


def test_flagged_conflicts_are_handled(clean):
    twins = pl.concat([clean, clean.with_columns(~pl.col("is_anomaly"))])
    roles = Roles(unit="row", label="is_anomaly", features=("a", "b"))
    assert [f.handled for f in found_by("A008", dataset(twins, roles))] == [False]
    flagged = twins.with_columns(conflicting_twin=True)
    assert [f.handled for f in found_by("A008", dataset(flagged, roles))] == [True]


def test_sessions_and_entities_on_both_sides_of_the_published_split(clean):
    mixed = clean.with_columns(
        split=pl.when(pl.int_range(pl.len()) % 4 < 3).then(pl.lit("train")).otherwise(pl.lit("test"))
    )
    columns = {f.columns: f.severity for f in found_by("A004", dataset(mixed))}
    assert columns[("session",)] == "high"
    assert {f.columns for f in found_by("A005", dataset(mixed))} >= {("when",)}


def test_an_entity_on_both_sides_is_milder_than_a_group(clean):
    (entity,) = found_by("A004", dataset(clean))
    assert (entity.columns, entity.severity) == (("peer",), "medium")


def test_attacks_in_their_own_time_are_found(clean):
    late = clean.with_columns(
        anomaly_type=pl.when(pl.int_range(pl.len()) >= ROWS - 40).then(pl.lit("run")).otherwise("anomaly_type")
    )
    assert [f.what for f in found_by("A005", dataset(late))] == [
        "Kinds of anomaly happen in a short time of their own."
    ]


def test_features_over_all_rows_are_found_by_the_reason(clean):
    roles = replace(ROLES, withheld={"b": "transductive: counted over all rows"}, features=("a", "c"))
    (found,) = found_by("A006", dataset(clean, roles))
    assert (found.columns, found.handled) == (("b",), True)


def test_constant_features_are_found(clean):
    (found,) = found_by("A007", dataset(clean.with_columns(c=pl.lit("x"))))
    assert found.columns == ("c",)


def test_truncated_sessions_are_found_in_a_frame_of_sessions():
    ends = [min(12, max(1, (400 - i) // 4)) for i in range(400)]
    sessions = pl.DataFrame(
        {
            "events": [list(range(end)) for end in ends],
            "first_line": list(range(0, 4_000, 10)),
            "last_line": [10 * i + 40 * end for i, end in enumerate(ends)],
            "is_anomaly": [i % 11 == 0 for i in range(400)],
        }
    )
    roles = Roles(unit="session", label="is_anomaly", sequence="events")
    (found,) = found_by("A009", dataset(sessions, roles))
    assert found.frame == "rows"
    assert found_by("A009", dataset(sessions.with_columns(events=[list(range(12))] * 400), roles)) == []


def test_clusters_without_labels_and_names_given_to_them():
    frame = pl.DataFrame({"cluster": np.repeat([0, 1, 2], [300, 60, 40]), "x": np.random.default_rng(0).random(400)})
    named = frame.with_columns(group=pl.when(pl.col("cluster") == 0).then(pl.lit("good")).otherwise(pl.lit("attack")))
    bare = Roles(unit="event", features=("x",), withheld={"cluster": "was computed from the features"})
    (unnamed,) = found_by("A010", dataset(frame, bare))
    assert (unnamed.severity, unnamed.handled) == ("medium", True)
    (naming,) = found_by("A010", dataset(named, replace(bare, withheld={**bare.withheld, "group": "named by size"})))
    assert naming.severity == "high"
    assert "size decides" in naming.evidence
    as_label = frame.with_columns(is_anomaly=pl.col("cluster") > 0)
    (trusted,) = found_by("A010", dataset(as_label, replace(bare, label="is_anomaly")))
    assert (trusted.severity, trusted.handled) == ("high", False)


def test_natural_shares_count_for_real_data_only(clean):
    flooded = clean.with_columns(is_anomaly=pl.int_range(pl.len()) % 10 < 9)
    real = found_by("A012", dataset(flooded, name="cicids2017", source="real"))
    made = found_by("A012", dataset(flooded, name="cicids2017"))
    assert "24.2 %" in real[0].evidence
    assert "no natural share" in made[0].evidence


def test_label_made_columns_are_grave_only_where_they_are_offered(clean):
    frame = clean.with_columns(attack=pl.col("anomaly_type"))
    (kept,) = found_by("A013", dataset(frame))
    assert (kept.columns, kept.severity, kept.handled) == (("difficulty", "attack"), "medium", True)
    offered = found_by("A013", dataset(frame, replace(ROLES, features=("a", "attack"))))
    assert [(f.columns, f.severity, f.handled) for f in offered] == [
        (("attack",), "high", False),
        (("difficulty",), "medium", True),
    ]
    assert found_by("A001", dataset(frame)) == []


def test_an_unlabelled_main_frame_is_reported_and_other_frames_are_not(clean):
    bare = Roles(unit="row", features=("a",))
    data = dataset(clean, bare, more=(clean, bare))
    assert [f.frame for f in found_by("A014", data)] == ["rows"]


def test_repeated_rows_are_found(clean):
    doubled = pl.concat([clean, clean.head(100)])
    assert [f.severity for f in found_by("A015", dataset(doubled))] == ["low"]
    unsplit = dataset(doubled, replace(ROLES, split=None))
    assert "100 of 2,100 in all rows" in found_by("A015", unsplit)[0].evidence


def test_sequences_by_key_are_compared_by_key():
    sessions = pl.DataFrame(
        {
            "sequence_id": [0, 2, 0, 3],
            "split": ["train", "train", "test", "test"],
            "is_anomaly": [False, False, False, True],
        }
    )
    roles = Roles(unit="session", label="is_anomaly", sequence="sequence_id", split="split")
    (found,) = found_by("A003", dataset(sessions, roles))
    assert "1 of 2 test rows" in found.evidence
    assert found.severity == "medium"


def test_frames_without_roles_and_columns_that_are_missing_are_passed_over(clean):
    roles = replace(ROLES, features=("a", "gone"), identity=("lost",), time="never", group="none", split="nowhere")
    data = replace(dataset(clean, roles), frames={"rows": clean, "extra": clean})
    assert {f.frame for f in audit.check(data)} == {"rows"}
    assert found_by("A000", data) == []


def test_a_check_that_fails_is_reported_and_hides_no_other(clean, monkeypatch):
    def broken(view):
        raise ValueError("odd column\nsecond line")

    failing = replace(audit.CHECKS["A007"], run=broken)
    monkeypatch.setattr(checks, "CHECKS", {**audit.CHECKS, "A007": failing})
    (found,) = found_by("A000", dataset(clean))
    assert (found.severity, found.frame) == ("low", "rows")
    assert found.evidence == "ValueError: odd column"
    assert found_by("A013", dataset(clean)) != []


def test_objects_are_left_out(clean):
    odd = clean.with_columns(pl.Series("o", [object()] * ROWS, dtype=pl.Object))
    assert audit.check(dataset(odd)) == audit.check(dataset(clean))


def odd_columns(height):
    """Columns of every type that a table of a user may have, some of them all missing or all equal."""
    generator = np.random.default_rng(height)
    places = range(height)
    some = [None if generator.random() < 0.3 else int(i) for i in generator.integers(0, 9, height)]

    def of(make, dtype=None):
        return pl.Series([None if i is None else make(i) for i in some], dtype=dtype, strict=False)

    return {
        "int": of(int),
        "wide": of(lambda i: 2**64 - 1 - i, pl.UInt64),
        "wider": of(lambda i: 10**30 + i, pl.Int128),
        "float": of(lambda i: [1.5, float("nan"), float("inf"), -0.0][i % 4]),
        "decimal": of(lambda i: decimal.Decimal(i) / 10),
        "bool": of(lambda i: i % 2 == 0),
        "text": of(lambda i: ["a", "", "train", "test", "\x1f\u00fc"][i % 5]),
        "unique_text": pl.Series([f"id-{i}" for i in places], dtype=pl.String),
        "category": of(lambda i: "abc"[i % 3], pl.Categorical),
        "enum": of(lambda i: "ab"[i % 2], pl.Enum(["a", "b"])),
        "bytes": of(lambda i: bytes([128 + i])),
        "date": of(lambda i: dt.date(2020, 1, 1 + i)),
        "datetime": of(lambda i: dt.datetime(2020, 1, 1, i, tzinfo=dt.UTC)),
        "duration": of(lambda i: dt.timedelta(seconds=i)),
        "clock": of(dt.time),
        "ints": of(lambda i: list(range(i)), pl.List(pl.Int64)),
        "texts": of(lambda i: ["x"] * (i % 3) + [None], pl.List(pl.String)),
        "structs": of(lambda i: {"a": i, "b": "x"}),
        "deep": of(lambda i: [{"a": [i]}]),
        "array": of(lambda i: [i, i + 1], pl.Array(pl.Int64, 2)),
        "nothing": pl.Series([None] * height, dtype=pl.Null),
        "missing": pl.Series([None] * height, dtype=pl.Float64),
        "same": pl.Series([7] * height, dtype=pl.Int8),
        "object": pl.Series([object() for _ in places], dtype=pl.Object),
        "number": pl.Series(places, dtype=pl.UInt32),
        "is_anomaly": of(lambda i: i > 4),
    }


POOLS = {height: pl.DataFrame(odd_columns(height)) for height in (0, 1, 2, 60)}
NAMES = st.sampled_from([*POOLS[60].columns, "Dst IP", "absent"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), height=st.sampled_from(sorted(POOLS)))
def test_no_table_breaks_the_audit(data, height):
    frame = POOLS[height].rename({data.draw(NAMES.filter(lambda name: name in POOLS[60].columns)): "Dst IP"})
    one, several = st.none() | NAMES, st.lists(NAMES, unique=True, max_size=4).map(tuple)
    roles = Roles(
        unit="row",
        label=data.draw(st.sampled_from(["is_anomaly", "bool", None]) | NAMES),
        anomaly_type=data.draw(one),
        features=data.draw(several),
        identity=data.draw(several),
        time=data.draw(one),
        group=data.draw(one),
        split=data.draw(st.sampled_from(["text"]) | one),
        sequence=data.draw(one),
        withheld=dict.fromkeys(data.draw(several), "is derived from the label"),
    )
    named = {"first_line": "number", "cluster": "same", "last_line": "int"}
    renamed = frame.rename(
        {old: new for new, old in named.items() if old in frame.columns and data.draw(st.booleans())}
    )
    assert [f.evidence for f in audit.check(dataset(renamed, roles)) if f.code == "A000"] == []


# registry and table


def test_every_check_has_a_function_a_source_and_a_place_in_the_documentation():
    assert list(audit.CHECKS) == [f"A{number:03}" for number in range(1, 16)]
    for code, one in audit.CHECKS.items():
        assert one.code == code
        assert f"| {code} | {one.title} | {one.source} |" in audit.__doc__
        assert getattr(audit, one.function.__name__) is one.function
        assert f"{code}:" in one.function.__doc__
        assert "Source:" in one.function.__doc__


def test_table_puts_the_gravest_first():
    findings = [
        audit.Finding("A003", "low", "w", "e", "r"),
        audit.Finding("A009", "high", "w", "e", "r", frame="b"),
        audit.Finding("A001", "high", "w", "e", "r", frame="z", columns=("x", "y"), handled=True),
        audit.Finding("A001", "medium", "w", "e", "r"),
    ]
    table = audit.table(findings)
    assert table["code"].to_list() == ["A001", "A009", "A001", "A003"]
    assert table["severity"].to_list() == ["high", "high", "medium", "low"]
    assert table.row(0, named=True) == {
        "code": "A001", "severity": "high", "handled": True, "frame": "z", "columns": "x, y",
        "what": "w", "evidence": "e", "remedy": "r",
    }  # fmt: skip
    assert audit.table([]).schema == table.schema


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.0001, "< 0.1 %"), (0.9999, "> 99.9 %"), (0.0294, "2.9 %")]
)
def test_percent_never_rounds_a_little_to_nothing(share, text):
    assert audit.finding.percent(share) == text
