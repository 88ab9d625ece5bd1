"""Labels by evidence: what decides a cluster, what decides an event, what stays open, and how right it is."""

import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from utils.detectors.labelling import (
    ATTACK,
    GOOD,
    UNCLASSIFIED,
    EvidenceLabeller,
    Seeds,
    WebEventLabeller,
    WebEvidence,
    escaped,
    label_scores,
)
from utils.detectors.labelling.evidence import EVIDENCE
from utils.detectors.labelling.shares import count, learn_rates
from utils.detectors.web_clusters import WebClusters
from utils.errors import DataError, SchemaError
from utils.evaluation.intervals import wilson
from utils.features.web_events import EventColumns
from utils.simulate.waf_events import simulate_events

BACKGROUND = 2_000


def evidence(rows, **flags):
    """Evidence of so many events: nothing but what is said."""
    columns = {name: [False] * rows for name in ("signature", "tool_agent", "suspicion", "client_history", "odd_agent")}
    return pl.DataFrame(columns | flags, schema=dict.fromkeys([*columns, *flags], pl.Boolean))


def share(rows, found):
    return [place < found for place in range(rows)]


def case(rows, **counts):
    """One cluster of so many events, with so many of each evidence, beside a background that makes rates known.

    The background: cluster 1 of good events of which 5 % have company, cluster 2 of alarms of which 65 % have.
    """
    good = evidence(BACKGROUND, client_history=share(BACKGROUND, BACKGROUND // 20))
    alarms = evidence(200, signature=[True] * 200, client_history=share(200, 130))
    mine = evidence(rows, **{name: share(rows, number) for name, number in counts.items()})
    clusters = [0] * rows + [1] * BACKGROUND + [2] * 200
    fitted = EvidenceLabeller().fit(np.array(clusters), pl.concat([mine, good, alarms]))
    return fitted.result_.table.filter(cluster=0), fitted.labels_[:rows]


@pytest.fixture(scope="module")
def events():
    return simulate_events(8_000, np.random.default_rng(1_041))


@pytest.fixture(scope="module")
def labelled(events):
    return WebEventLabeller().fit(events)


def truth(events):
    return events["anomaly_type"] != "normal"


def test_a_cluster_of_alarms_is_attack_and_its_silent_events_too():
    table, labels = case(40, signature=36)
    assert table["label"].item() == ATTACK
    assert table["reason"].item() == "90 % of the events are alarms, 82.3 % or more"
    assert (labels == ATTACK).all()
    interval = wilson(36, 40, 0.8)
    assert table.select("signature", "signature_low", "signature_high", "signature_known").row(0) == pytest.approx(
        (0.9, interval.low, interval.high, 40)
    )


def test_a_cluster_without_alarms_is_good_however_small_or_large_if_the_interval_says_so():
    for rows in (60, 900):
        table, labels = case(rows)
        assert table["label"].item() == GOOD
        assert (labels == GOOD).all()
    table, labels = case(4)
    assert table["label"].item() == UNCLASSIFIED
    assert "does not decide" in table["reason"].item()
    assert (labels == UNCLASSIFIED).all()


def test_the_size_of_a_cluster_decides_nothing():
    small, large = case(12, signature=12)[0], case(1_200, signature=1_200)[0]
    assert small["label"].item() == large["label"].item() == ATTACK
    small, large = case(25, client_history=1)[0], case(2_500, client_history=100)[0]
    assert small["label"].item() == large["label"].item() == GOOD


def test_company_makes_silent_events_attacks_and_contradicts_marks():
    table, labels = case(40, client_history=26)
    assert table["label"].item() == ATTACK
    assert table["reason"].item().startswith("company tells of")
    assert table["attack_share"].item() == pytest.approx(1.0, abs=0.05)
    assert (labels == ATTACK).all()
    assert case(60, suspicion=60)[0]["label"].item() == GOOD
    table, labels = case(300, signature=200, client_history=12)
    assert table["label"].item() == GOOD
    assert "but company tells" in table["reason"].item()
    assert (labels[:200] == ATTACK).all()
    assert (labels[200:] == GOOD).all()


def test_marks_of_a_whole_cluster_are_an_attack_where_company_is_unknown():
    rows = 60
    marked = evidence(rows, suspicion=[True] * rows, client_history=[None] * rows)
    other = evidence(400, client_history=[None] * 400)
    fitted = EvidenceLabeller().fit([0] * rows + [1] * 400, pl.concat([marked, other]))
    table = fitted.result_.table
    assert table["label"].to_list() == [ATTACK, GOOD]
    assert "have marks of attacks" in table["reason"][0]
    assert table["attack_share"].to_list() == [None, None]
    assert table["client_history"].to_list() == [None, None]
    assert table["client_history_known"].to_list() == [0, 0]


def test_noise_is_judged_one_by_one_and_open_without_evidence():
    flags = {
        "signature": [True, False, False, False, False],
        "suspicion": [False, True, True, False, False],
        "client_history": [False, True, False, False, True],
    }
    alarms = evidence(200, signature=[True] * 200, client_history=share(200, 130))
    good = evidence(900, client_history=share(900, 45))
    clusters = np.array([-1] * 5 + [2] * 200 + [1] * 900)
    fitted = EvidenceLabeller().fit(clusters, pl.concat([evidence(5, **flags), alarms, good]))
    assert fitted.labels_[:5].to_list()[:4] == [ATTACK, ATTACK, UNCLASSIFIED, UNCLASSIFIED]
    assert fitted.result_.how[:2].to_list() == ["own alarm", "own marks in company"]
    row = fitted.result_.table.filter(cluster=-1)
    assert row["reason"].item() == "noise: each event by its own evidence"
    assert row["rows"].item() == 5
    assert (fitted.result_.clusters[:5] == -1).all()


def test_what_a_fine_cluster_leaves_open_is_judged_with_its_coarse_one():
    fine = np.repeat(np.arange(20), 5)
    coarse = np.zeros(100, dtype=np.int64)
    alone = EvidenceLabeller().fit(fine, evidence(100))
    both = EvidenceLabeller().fit(np.stack([fine, coarse], axis=1), evidence(100))
    assert (alone.labels_ == UNCLASSIFIED).all()
    assert (both.labels_ == GOOD).all()
    assert both.result_.table["level"].to_list() == [1]
    assert both.result_.table["rows"].to_list() == [100]


def test_a_fine_cluster_that_decides_is_taken_out_of_the_coarse_one():
    fine = np.repeat([0, 1], [30, 70])
    flags = evidence(100, signature=share(100, 30))
    table = EvidenceLabeller().fit(np.stack([fine, np.zeros(100, np.int64)], axis=1), flags).result_.table
    assert table.select("level", "rows", "label").rows() == [(0, 30, ATTACK), (0, 70, GOOD)]


def test_seeds_decide_where_they_fall_far_more_often_than_events():
    clusters = np.repeat([0, 1, 2], [10, 900, 90])
    seeds = Seeds(np.array([0, 0, 0, 1, 2]), np.array([True, True, True, True, False]))
    table = EvidenceLabeller().fit(clusters, evidence(1_000), seeds=seeds).result_.table
    assert table["label"].to_list() == [ATTACK, GOOD, GOOD]
    assert table["reason"][0].startswith("known bad examples")
    good = Seeds(np.array([0, 0, 0]), np.array([False, False, False]))
    table = EvidenceLabeller().fit(clusters[:30], evidence(30), seeds=good).result_.table
    assert table["label"][0] == UNCLASSIFIED
    none = EvidenceLabeller().fit(clusters, evidence(1_000), seeds=Seeds(np.zeros(0, np.int64), np.zeros(0, np.bool_)))
    assert none.result_.table["label"][0] == UNCLASSIFIED


def test_rates_are_learned_without_labels_and_say_when_they_say_nothing():
    reference = np.array(share(1_000, 200))
    known = np.ones(1_000, dtype=np.bool_)
    flags = np.array(share(1_000, 130))
    rates = learn_rates(flags, known, reference, reference, 0.8, 0.1)
    assert (rates.attack, rates.informative) == (pytest.approx(130.5 / 201), True)
    assert rates.ratios(flags, known)[[0, 500]].tolist() == pytest.approx(
        [rates.attack / rates.other, (1 - rates.attack) / (1 - rates.other)]
    )
    equal = learn_rates(np.arange(1_000) % 10 == 0, known, reference, reference, 0.8, 0.1)
    assert not equal.informative
    assert (equal.ratios(flags, known) == 1).all()
    nothing = learn_rates(flags, ~known, reference, reference, 0.8, 0.1)
    assert not nothing.informative


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60))
def test_shares_lie_in_their_intervals(rows):
    flags, known, clusters = (np.array(part) for part in zip(*rows, strict=True))
    seen = count(flags, known, clusters, 4, 0.9)
    there = seen.known > 0
    assert (seen.found <= seen.known).all()
    assert ((seen.low <= seen.share + 1e-12) & (seen.share <= seen.high + 1e-12))[there].all()
    assert (seen.least[~there] == 0).all()
    assert (seen.most[~there] == 1).all()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-1, 3), *[st.sampled_from([True, False, None])] * 4), min_size=1, max_size=40))
def test_labels_do_not_depend_on_names_or_order_and_are_those_of_a_new_event(rows):
    clusters = np.array([cluster for cluster, *_ in rows])
    names = ("signature", "suspicion", "client_history", "odd_agent")
    flags = pl.DataFrame([row[1:] for row in rows], schema=dict.fromkeys(names, pl.Boolean), orient="row")
    fitted = EvidenceLabeller().fit(clusters, flags)
    renamed = np.where(clusters >= 0, 10**12 - 7 * clusters, -1)
    assert EvidenceLabeller().fit(renamed, flags).labels_.to_list() == fitted.labels_.to_list()
    order = np.arange(len(rows))[::-1]
    backwards = EvidenceLabeller().fit(clusters[order], flags[order.tolist()]).labels_
    assert backwards.to_list() == fitted.labels_[order.tolist()].to_list()
    assert fitted.predict(clusters, flags).to_list() == fitted.labels_.to_list()
    assert (fitted.labels_.filter(flags["signature"].fill_null(value=False)) == ATTACK).all()
    assert len(fitted.explain(clusters, flags)) == len(rows)
    assert fitted.predict([99] * len(rows), flags).is_in([ATTACK, UNCLASSIFIED]).all()


def test_simulated_events_are_labelled_as_they_are(events, labelled):
    scores = label_scores(labelled.labels_, truth(events), events["anomaly_type"])
    assert scores["attack"][1] >= 0.94
    assert scores["attack"][2] <= 0.01
    assert scores["unclassified"][0] <= 0.03
    alone = label_scores(labels_of(labelled.evidence_["signature"]), truth(events))
    assert alone["attack"][1] < scores["attack"][1] - 0.1
    assert sum(labelled.result_.shares.values()) == pytest.approx(1)
    assert labelled.result_.table["attack_events"].sum() == (labelled.labels_ == ATTACK).sum()


def labels_of(alarms):
    return pl.Series(np.where(alarms.to_numpy(), ATTACK, GOOD))


def test_new_events_are_labelled_each_by_itself(events, labelled):
    new = simulate_events(1_500, np.random.default_rng(1_042))
    together = labelled.predict(new)
    alone = [labelled.predict(new[row]).item() for row in range(0, 60, 6)]
    assert together[range(0, 60, 6)].to_list() == alone
    assert label_scores(together, truth(new))["attack"][1] > 0.85
    sentences = labelled.explain(new.head(200))
    assert [text.split(":")[0] for text in sentences] == together[:200].to_list()
    assert any("signature" in text for text in sentences)
    assert labelled.predict(new.clear()).is_empty()


@pytest.mark.parametrize(
    ("dropped", "absent"),
    [
        (["CLIENT_IP"], {"client_history"}),
        (["CLIENT_USERAGENT", "RESPONSE_CODE"], {"tool_agent", "odd_agent", "malformed_agent", "error_response"}),
    ],
)
def test_evidence_that_is_not_there_is_named_and_decides_nothing(events, dropped, absent):
    part = events.head(3_000).drop(dropped)
    made = WebEventLabeller().fit(part)
    assert set(made.result_.absent) == absent
    assert all(made.evidence_[name].null_count() == 3_000 for name in absent)
    scores = label_scores(made.labels_, truth(events.head(3_000)))
    assert scores["attack"][1] > 0.7
    assert scores["attack"][2] < 0.02


def test_bare_payloads_with_known_examples(events):
    texts = events.head(3_000).select(payload="MATCHED_VARIABLE_VALUE")
    seeds = pl.DataFrame({"payload": events["MATCHED_VARIABLE_VALUE"][3_000:], "is_anomaly": truth(events)[3_000:]})
    plain, helped = WebEventLabeller().fit(texts), WebEventLabeller().fit(texts, seeds=seeds)
    before, after = (label_scores(made.labels_, truth(events.head(3_000))) for made in (plain, helped))
    assert after["attack"][1] > before["attack"][1] + 0.03
    assert after["attack"][2] < 0.02
    with pytest.raises(SchemaError, match="seeds must have"):
        WebEventLabeller().fit(texts, seeds=texts)


def test_evidence_of_single_events():
    frame = pl.DataFrame(
        {
            "url": ["/a?id=1' or '1'='1", "/index.html", "/index.html", "/x.php~", None],
            "user_agent": ["Mozilla/5.0 (X11)", "sqlmap/1.7", "()curl;;", None, "Mozilla/5.0 (X11)"],
            "status": [200, 404, 503, None, 200],
            "remote_addr": ["10.0.0.1", "-", "10.0.0.1", "\x00\x01", "10.0.0.1"],
        }
    )
    found = WebEvidence().fit_transform(frame)
    assert found.columns == list(EVIDENCE)
    assert found["signature"].to_list() == [True, False, False, False, False]
    assert found["tool_agent"].to_list() == [False, True, False, None, False]
    assert found["suspicion"].to_list() == [True, False, False, True, False]
    assert found["malformed_agent"].to_list() == [False, False, True, None, False]
    assert found["odd_agent"].to_list() == [False, True, True, None, False]
    assert found["error_response"].to_list() == [False, True, True, None, False]
    assert found["client_history"].to_list() == [False, None, False, None, False]


def test_the_history_of_a_client_is_that_of_its_other_events():
    attack, plain = "/a?id=1' union select 1,2,3--", "/index.html"
    frame = pl.DataFrame({"url": [attack, attack, plain, attack, plain], "ip": ["10.0.0.1"] * 3 + ["10.0.0.2"] * 2})
    fitted = WebEvidence()
    assert fitted.fit_transform(frame)["client_history"].to_list() == [False, False, True, False, False]
    assert fitted.transform(frame)["client_history"].to_list() == [True, True, True, False, False]
    stranger = pl.DataFrame({"url": [attack], "ip": ["10.9.9.9"]})
    assert fitted.transform(stranger)["client_history"].to_list() == [False]
    assert WebEvidence(EventColumns(("url",))).fit(frame).missing_.keys() >= {"client_history", "odd_agent"}


def test_scores_count_labels_and_escaped_kinds_show_what_they_lack():
    labels = pl.Series([ATTACK, GOOD, UNCLASSIFIED, GOOD, ATTACK])
    anomalous, kinds = [True, True, True, False, False], ["a", "a", "b", "normal", "normal"]
    scores = label_scores(labels, anomalous, kinds)
    assert scores["events"].to_list() == ["all", "attack", "good", "a", "b"]
    assert scores["rows"].to_list() == [5, 3, 2, 2, 1]
    assert scores["attack"].to_list() == pytest.approx([0.4, 1 / 3, 0.5, 0.5, 0.0])
    assert scores["unclassified"].to_list() == pytest.approx([0.2, 1 / 3, 0.0, 0.0, 1.0])
    assert label_scores(labels, [False] * 5)["attack"][1] is None
    lacking = escaped(labels, anomalous, kinds, evidence(5, suspicion=[True, True, None, False, False]))
    assert lacking.select("kind", "rows", "escaped", "suspicion").rows() == [("a", 2, 1, 1.0), ("b", 1, 1, None)]


def test_it_survives_a_pickle(events, labelled):
    again = pickle.loads(pickle.dumps(labelled))
    assert again.predict(events.head(20)).to_list() == labelled.predict(events.head(20)).to_list()


@pytest.mark.parametrize(
    ("clusters", "flags", "error", "words"),
    [
        ([0, 1], evidence(3), DataError, "for each of 3 events"),
        ([0.5, 1.0], evidence(2), DataError, "whole numbers"),
        ([-2, 1], evidence(2), DataError, "whole numbers"),
        ([], evidence(0), DataError, "at least one event|for each|whole"),
        ([0], pl.DataFrame({"signature": [0.4]}), SchemaError, "signature \\(Float64\\)"),
        ([0], pl.DataFrame({"other": [True]}), SchemaError, "one of signature, tool_agent"),
    ],
)
def test_what_cannot_be_weighed_is_refused(clusters, flags, error, words):
    with pytest.raises(error, match=words):
        EvidenceLabeller().fit(clusters, flags)


def test_what_cannot_be_answered_is_refused(labelled):
    fitted = EvidenceLabeller().fit([0, 0], evidence(2))
    with pytest.raises(SchemaError, match="columns of training"):
        fitted.predict([0], evidence(1).drop("odd_agent"))
    with pytest.raises(DataError, match="1 levels of training"):
        fitted.predict([[0, 0]], evidence(1))
    for fresh in (EvidenceLabeller(), WebEventLabeller()):
        with pytest.raises(NotFittedError):
            fresh.predict(*([[0], evidence(1)] if isinstance(fresh, EvidenceLabeller) else [pl.DataFrame()]))
    with pytest.raises(NotFittedError):
        WebEvidence().transform(pl.DataFrame({"url": ["/"]}))
    with pytest.raises(DataError, match="odds must lie between 0 and 1"):
        EvidenceLabeller(odds=1.5).fit([0], evidence(1))
    with pytest.raises(SchemaError):
        labelled.predict(pl.DataFrame({"url": ["/"]}))


def test_one_event_and_constant_columns_are_labelled():
    one = WebEventLabeller().fit(pl.DataFrame({"payload": ["' or '1'='1"]}))
    assert one.labels_.to_list() == [ATTACK]
    same = WebEventLabeller(clusters=WebClusters(levels=2)).fit(pl.DataFrame({"payload": ["hello"] * 50}))
    assert same.labels_.unique().to_list() == [GOOD]
    assert same.result_.table.height == 1
