"""Detectors on tables: the same form of reasons for every detector, honest ones, whatever a table looks like."""

import datetime as dt
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.unit.loading import refused
from utils.detectors import usual_values
from utils.detectors.outliers import DETECTORS, PrincipalComponents
from utils.detectors.table_detector import NO_REASON, REASONS, TableDetector
from utils.detectors.usual_values import UsualNames, UsualNumbers, number, percent, quoted
from utils.errors import DataError, SettingsError
from utils.features.flows import FlowFeatures

TRAINED = 500
PLANTED = {"bytes sent": 5e7, "load": -400.0}


class Distance(BaseEstimator):
    """A stand-in: squared distance from the mean; it counts the rows that it sees."""

    def fit(self, X, y=None, sample_weight=None):
        self.weight_, self.rows_ = sample_weight, len(X)
        self.mean_ = np.average(X, axis=0, weights=sample_weight)
        return self

    def score_samples(self, X):
        self.scored_ = len(X)
        return self._parts(X).sum(axis=1)

    def contributions(self, X):
        self.explained_ = len(X)
        parts = self._parts(X)
        total = parts.sum(axis=1, keepdims=True)
        return parts / np.where(total > 0, total, 1.0)

    def _parts(self, X):
        return (np.clip(X, -1e9, 1e9) - self.mean_) ** 2


def connections(rows, seed):
    """Two kinds of connections: number and size of packets go together, services have sizes of their own."""
    rng = np.random.default_rng(seed)
    web = rng.random(rows) < 0.6
    size = np.where(web, rng.lognormal(6, 0.6, rows), rng.lognormal(4, 0.5, rows))
    return pl.DataFrame(
        {
            "bytes sent": size.round(),
            "packets": np.maximum(1, (size / 200 + rng.normal(0, 0.5, rows)).round()).astype(np.int64),
            "load": rng.normal(50, 5, rows),
            "service": np.where(web, "http", np.where(rng.random(rows) < 0.5, "dns", "mail")),
            "secure": web & (rng.random(rows) < 0.9),
            "constant": np.ones(rows),
        }
    )


def planted(frame, **values):
    return frame.with_columns(pl.lit(value).cast(frame.schema[name]).alias(name) for name, value in values.items())


@pytest.fixture(scope="module")
def fitted():
    return TableDetector(Distance()).fit(connections(1_000, 0))


@pytest.fixture(scope="module")
def every():
    """Each detector of the table with the features that suit it, fitted once."""
    train = connections(TRAINED, 0)
    return {
        name: TableDetector(choice.factory(0, None), FlowFeatures(**choice.features)).fit(train)
        for name, choice in DETECTORS.items()
    }


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_names_what_was_planted_in_a_new_row(name, every):
    for column, value in PLANTED.items():
        odd = planted(connections(1, 7), **{column: value})
        found = every[name].reasons(odd)
        assert found["feature"][0] == column
        assert found["share"][0] > 0.3
        assert every[name].explain(odd)[0].startswith(f"{column} is {found['value'][0]}, usually {found['usual'][0]} (")


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_answers_in_the_same_form(name, every):
    model, rows = every[name], connections(40, 3)
    scores, shares, found = model.score_samples(rows), model.contributions(rows), model.reasons(rows, most=2)
    assert scores.shape == (40,)
    assert scores.dtype == np.float64
    assert shares.columns == rows.columns
    total = shares.sum_horizontal().to_numpy()
    assert (shares.to_numpy() >= 0).all()
    assert np.all(np.isclose(total, 1) | (total == 0))
    assert (shares["constant"] == 0).all()
    assert dict(found.schema) == REASONS
    assert found.group_by("row").len()["len"].max() <= 2
    sentences = model.explain(rows)
    assert [sentence == NO_REASON for sentence in sentences] == (total == 0).tolist()
    alone = model.score_samples(rows[5])
    np.testing.assert_allclose(alone, scores[5:6], rtol=1e-9)


def test_most_detectors_see_and_name_a_value_that_training_never_had(every):
    odd = planted(connections(1, 7), service="telnet")
    seen = {
        name: model.reasons(odd).row(0, named=True)
        for name, model in every.items()
        if model.score_samples(odd) > np.quantile(model.score_samples(connections(TRAINED, 0)), 0.99)
    }
    assert len(seen) >= len(every) / 2
    assert {row["feature"] for row in seen.values()} == {"service"}
    assert {row["value"] for row in seen.values()} == {"telnet (never seen)"}


def test_encoded_columns_are_summed_back(fitted):
    rows = connections(30, 5)
    encoded = fitted.detector_.contributions(fitted.features_.transform(rows))
    names = list(fitted.features_.get_feature_names_out())
    services = [place for place, name in enumerate(names) if name.startswith("service=")]
    assert len(services) == 3
    np.testing.assert_allclose(fitted.contributions(rows)["service"].to_numpy(), encoded[:, services].sum(axis=1))


def test_the_largest_shares_are_the_reasons_in_order(fitted):
    rows = connections(20, 6)
    shares, found = fitted.contributions(rows), fitted.reasons(rows, most=2)
    for row in range(20):
        best = sorted(shares.row(row), reverse=True)[:2]
        mine = found.filter(row=row)
        assert mine["share"].to_list() == best
        assert [shares[name][row] for name in mine["feature"]] == best


def test_equal_rows_are_learned_from_scored_and_explained_once():
    few = connections(50, 0)
    many = pl.concat([few] * 7)
    model = TableDetector(Distance(), FlowFeatures(least_rows=1)).fit(many)
    assert (model.n_rows_, model.n_distinct_, model.detector_.rows_) == (350, 50, 50)
    assert (model.detector_.weight_ == 7).all()
    assert model.detector_.weight_.dtype == np.int64
    scores = model.score_samples(many)
    assert model.detector_.scored_ == 50
    np.testing.assert_array_equal(scores[:50], scores[-50:])
    assert len(model.explain(many)) == 350
    assert model.detector_.explained_ == 50


def test_rows_that_the_features_cannot_tell_apart_are_one(fitted):
    rows = planted(connections(1, 8), service="telnet")
    both = pl.concat([rows, planted(rows, service="ssh", constant=7.0)])
    fitted.score_samples(both)
    assert fitted.detector_.scored_ == 1
    assert [row["value"] for row in fitted.reasons(both, most=9).filter(feature="service").to_dicts()] == [
        "telnet (never seen)",
        "ssh (never seen)",
    ]


def test_only_normal_rows_are_learned_from_and_weights_count_rows():
    frame = connections(300, 0)
    odd = planted(connections(30, 1), load=9_999.0)
    y = np.arange(330) >= 300
    judged = TableDetector(Distance()).fit(pl.concat([frame, odd]), y)
    plain = TableDetector(Distance()).fit(frame)
    np.testing.assert_array_equal(judged.score_samples(frame), plain.score_samples(frame))
    weighted = TableDetector(Distance()).fit(frame, weight=np.where(np.arange(300) < 200, 3, 0))
    assert weighted.n_rows_ == 200
    assert weighted.detector_.weight_.sum() == 600
    shares = weighted.usual_["service"].shares
    assert shares["http"] == pytest.approx((frame["service"][:200] == "http").mean())


def test_importances_stay_importances():
    weight = np.random.default_rng(0).random(300)
    model = TableDetector(Distance()).fit(connections(300, 0), weight=weight)
    assert model.detector_.weight_.dtype == np.float64
    assert model.detector_.weight_.sum() == pytest.approx(weight.sum())


def test_zero_rows_and_one_row(fitted):
    none = connections(1, 0).clear()
    assert fitted.score_samples(none).shape == (0,)
    assert fitted.contributions(none).shape == (0, 6)
    assert fitted.reasons(none).is_empty()
    assert fitted.explain(none) == []
    assert len(fitted.explain(connections(1, 0))) == 1
    one = TableDetector(PrincipalComponents(0.9), FlowFeatures(columns=["service", "load"])).fit(connections(2, 0))
    assert np.isfinite(one.score_samples(connections(5, 1))).all()


def test_a_frame_without_the_columns_is_refused_by_name(fitted):
    rows = connections(5, 0)
    refused(lambda: fitted.score_samples(rows.drop("load", "service")), "'load', 'service'")
    refused(lambda: fitted.explain(rows.clear().drop("packets")), "'packets'")
    refused(lambda: fitted.score_samples(rows.to_dict()), "polars DataFrame")
    refused(lambda: fitted.score_samples(planted(rows).with_columns(load=pl.lit("much"))), "'load'")
    assert fitted.score_samples(rows.drop("constant")).shape == (5,)
    assert fitted.score_samples(rows.select(reversed(rows.columns)).with_columns(more=1)).tolist() == (
        fitted.score_samples(rows).tolist()
    )


def test_what_cannot_be_fitted_is_refused():
    frame = connections(20, 0)
    refused(lambda: TableDetector(StandardScaler()).fit(frame), "score_samples", "contributions", error=SettingsError)
    refused(lambda: TableDetector(Distance()).fit(frame, np.ones(20, bool)), "normal rows", error=DataError)
    refused(lambda: TableDetector(Distance()).fit(frame, np.zeros(19, bool)), "20 rows", error=DataError)
    refused(lambda: TableDetector(Distance()).fit(frame.clear()), "normal rows", error=DataError)
    refused(lambda: TableDetector(Distance()).fit(frame.select("constant")), "vary", error=DataError)
    with pytest.raises(NotFittedError):
        TableDetector(Distance()).score_samples(frame)


def test_a_detector_without_weights_is_refused():
    class Unweighted(Distance):
        def fit(self, X, y=None):
            return self

    refused(lambda: TableDetector(Unweighted()).fit(connections(9, 0)), "sample_weight", error=SettingsError)


def test_a_refused_second_fit_changes_nothing(fitted):
    model = clone(fitted).fit(connections(100, 0))
    before, rows = model.score_samples(connections(9, 1)), connections(9, 1)
    with pytest.raises(DataError):
        model.fit(connections(50, 2).select("constant"))
    np.testing.assert_array_equal(model.score_samples(rows), before)


def test_no_reason_is_no_number_of_reasons(fitted):
    refused(lambda: fitted.reasons(connections(1, 0), most=0), "1 or more", error=SettingsError)


def test_a_pickled_model_says_the_same_and_keeps_no_rows(fitted):
    rows = connections(30, 4)
    model = TableDetector(PrincipalComponents(0.9)).fit(connections(2_000, 0))
    stored = pickle.dumps(model)
    assert pickle.loads(stored).explain(rows) == model.explain(rows)
    assert all(isinstance(usual, UsualNames | UsualNumbers) for usual in model.usual_.values())
    larger = TableDetector(PrincipalComponents(0.9)).fit(connections(6_000, 0))
    assert len(pickle.dumps(larger.usual_)) < 1.2 * len(pickle.dumps(model.usual_))
    assert not hasattr(clone(model), "usual_")


def test_small_shares_are_not_said_and_stay_in_the_table(fitted):
    odd = planted(connections(1, 0), load=1e6)
    assert fitted.reasons(odd).height == 3
    usual = fitted.usual_["load"].usual
    assert fitted.explain(odd) == [f"load is 1,000,000, usually {usual} (over 99.9 % of the score)."]


def test_usual_values_among_unusual_company_are_said_to_be_usual(fitted):
    rows = planted(connections(1, 0), load=1e6, service="http", packets=1, secure=True)
    usual = {name: fitted.usual_[name].usual for name in rows.columns if name in fitted.usual_}
    said = {name: fitted.usual_[name].compared(rows[name]) for name in usual}
    assert usual["packets"].startswith("1 to ")
    assert said["packets"] == [f"1, within the usual {usual['packets']}"]
    assert said["load"] == [f"1,000,000, usually {usual['load']}"]
    assert said["service"] == [f"{usual['service']}, as usual"]
    assert said["secure"] == [f"{usual['secure']}, as usual"]
    assert fitted.usual_["service"].compared(pl.Series(["dns"]))[0].endswith(f"%), usually {usual['service']}")


def test_truth_values_categories_enums_durations_and_gaps():
    rng = np.random.default_rng(0)
    rows = 400
    states = pl.Enum(["open", "closed", "lost"])
    frame = pl.DataFrame(
        {
            "flag": pl.Series(rng.random(rows) < 0.8),
            "state": pl.Series(np.where(rng.random(rows) < 0.9, "open", "closed")).cast(states),
            "colour": pl.Series(np.where(rng.random(rows) < 0.7, "red", "blue")).cast(pl.Categorical),
            "took": pl.Series([dt.timedelta(seconds=float(value)) for value in rng.gamma(2, 2, rows)]),
            "gaps": pl.Series(rng.normal(0, 1, rows)).set(pl.Series(np.arange(rows) % 4 == 0), None),
            "names": pl.Series(np.where(rng.random(rows) < 0.5, "a", "b")).set(
                pl.Series(np.arange(rows) % 5 < 3), None
            ),
            "protocol": rng.choice([1, 6, 17], rows, p=[0.1, 0.7, 0.2]),
        }
    )
    model = TableDetector(Distance()).fit(frame)
    new = pl.DataFrame(
        {
            "flag": [None, False],
            "state": pl.Series(["lost", None], dtype=states),
            "colour": pl.Series(["green", "blue"], dtype=pl.Categorical),
            "took": pl.Series([dt.timedelta(days=1), None], dtype=pl.Duration),
            "gaps": [None, float("inf")],
            "names": pl.Series([None, "c"], dtype=pl.String),
            "protocol": [47, None],
        }
    )
    found = {name: model.usual_[name].written(new[name]) for name in new.columns}
    assert found["flag"] == ["missing (never seen)", f"false ({percent(1 - frame['flag'].mean())})"]
    assert found["state"] == ["lost (never seen)", "missing (never seen)"]
    assert found["colour"][0] == "green (never seen)"
    assert found["took"] == ["86,400 s", "missing (never seen)"]
    assert found["gaps"] == ["missing (25 %)", "infinite"]
    assert found["names"] == ["missing (60 %)", "c (never seen)"]
    assert found["protocol"] == ["47 (never seen)", "missing (never seen)"]
    assert model.usual_["names"].usual == "missing (60 %)"
    assert model.usual_["gaps"].usual.endswith("missing 25 %")
    assert model.usual_["took"].usual.count(" s") == 2
    assert np.isfinite(model.score_samples(new)).all()
    assert len(model.explain(new)) == 2


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=4, unique=True),
    seed=st.integers(0, 1_000),
    values=st.lists(st.one_of(st.none(), st.floats(width=64)), min_size=4, max_size=4),
)
def test_odd_names_and_odd_values_are_scored_and_explained(names, seed, values):
    rng = np.random.default_rng(seed)
    rows = {f"{name}·{place}": rng.normal(0, 10.0 ** rng.integers(-3, 6), 30) for place, name in enumerate(names)}
    train = pl.DataFrame(rows)
    model = TableDetector(Distance(), FlowFeatures(kinds=dict.fromkeys(train.columns, "numeric"))).fit(train)
    new = pl.DataFrame(dict.fromkeys(train.columns, values), schema=dict.fromkeys(train.columns, pl.Float64))
    assert np.isfinite(model.score_samples(new)).all()
    found = model.reasons(new)
    assert set(found["feature"]) <= set(train.columns)
    sentences = model.explain(new)
    assert len(sentences) == 4
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in sentences)


def test_other_transformers_are_traced_by_name_or_by_a_map():
    frame = connections(200, 0)
    encoder = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["load", "bytes sent"]),
            ("names", OneHotEncoder(handle_unknown="ignore", sparse_output=True), ["service"]),
        ],
        sparse_threshold=1.0,
    )
    model = TableDetector(Distance(), encoder).fit(frame)
    odd = planted(connections(1, 0), service="telnet", load=1e4)
    assert model.reasons(odd)["feature"][0] == "load"
    assert model.contributions(odd).columns == model.feature_names_in_.tolist()
    words = TfidfWords()
    refused(lambda: TableDetector(Distance(), words).fit(frame), "name the column", "'mail'")
    origins = dict.fromkeys(("dns", "http", "mail"), "service")
    mapped = TableDetector(Distance(), words, origins=origins).fit(frame)
    assert mapped.reasons(odd)["feature"].to_list() == ["service"]
    assert mapped.score_samples(odd.clear()).shape == (0,)


class TfidfWords(BaseEstimator):
    """A transformer whose outputs are not named after a column."""

    def fit(self, X, y=None):
        self.words_ = TfidfVectorizer().fit(X["service"].to_list())
        return self

    def transform(self, X):
        return self.words_.transform(X["service"].to_list())

    def get_feature_names_out(self):
        return self.words_.get_feature_names_out()


def test_the_longest_name_of_a_column_is_the_origin():
    frame = pl.DataFrame({"size": [1.0, 2.0, 3.0], "size_in": [3.0, 1.0, 2.0]})
    named = ColumnTransformer([("all", StandardScaler(), ["size", "size_in"])], verbose_feature_names_out=False)
    model = TableDetector(Distance(), named).fit(frame)
    assert model.contributions(pl.DataFrame({"size": [2.0], "size_in": [99.0]}))["size_in"].item() == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (8_314.0, "8,314"),
        (-1_234.56, "-1,234.6"),
        (0.123456, "0.1235"),
        (0.000012, "1.2e-05"),
        (1e30, "1e+30"),
        (float("nan"), "missing"),
        (float("-inf"), "minus infinite"),
    ],
)
def test_numbers_are_written_to_be_read(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.62, "62 %"), (0.031, "3.1 %"), (0.0002, "under 0.1 %"), (0.9995, "over 99.9 %")],
)
def test_shares_are_written_to_be_read(share, text):
    assert percent(share) == text


def test_names_that_cannot_be_read_are_quoted_and_long_ones_cut():
    assert quoted("flag") == "flag"
    assert quoted("") == "''"
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 99) == "x" * 39 + "…"


def test_usual_ranges_are_weighted_quantiles():
    values = pl.Series(np.arange(1.0, 101.0))
    assert usual_values.usual_values(values, np.ones(100)).usual == "5 to 95, median 50"
    heavy = np.where(np.arange(100) == 99, 1e6, 1.0)
    assert usual_values.usual_values(values, heavy).usual == "100 (over 99.9 %)"
    same = usual_values.usual_values(pl.Series([3, 3, 3, 3, 4, 5] + [3] * 60), np.ones(66))
    assert same.compared(pl.Series([3, 9])) == ["3, as usual 3 (97 %)", "9, usually 3 (97 %)"]
    none = UsualNumbers(np.nan, np.nan, np.nan, 0.0, 1.0)
    assert (none.usual, none.written(pl.Series([2.5]))) == ("missing (100 %)", ["2.5"])


def test_a_column_of_thousands_of_names_keeps_none_but_the_most_frequent():
    values = pl.Series([f"user {number}" for number in range(2_000)] + ["nobody"] * 500)
    found = usual_values.usual_values(values, np.ones(2_500))
    assert found.shares == {"nobody": 0.2}
    assert found.usual == "one of 2,001 values, most often nobody (20 %)"
    assert found.written(pl.Series(["user 7", "stranger", "nobody"])) == ["user 7", "stranger", "nobody (20 %)"]


def test_values_of_other_types_are_names():
    days = pl.Series([dt.date(2026, 1, 1)] * 3 + [None])
    found = usual_values.usual_values(days, np.ones(4))
    assert found.usual == "2026-01-01 (75 %)"
    assert usual_values.usual_values(pl.Series([None, None]), np.ones(2)).usual == "missing (100 %)"
    assert usual_values.usual_values(pl.Series([None, None], dtype=pl.Duration), np.ones(2)).usual == "missing (100 %)"
