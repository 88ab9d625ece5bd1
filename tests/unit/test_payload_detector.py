"""Payload detector: reading as tokens, marks, what is learned, explained and survived."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import datasets
from utils.detectors.payloads import PayloadDetector, alarm_threshold, held_out_scores, training_set
from utils.detectors.payloads.evidence import measure, peel
from utils.detectors.payloads.marks import marks
from utils.detectors.payloads.tokens import letters, read
from utils.errors import DataError, SchemaError
from utils.simulate import payload_variety
from utils.simulate.waf_payloads import FAMILIES

ATTACKS = {
    "sqli": ["1' or '1'='1", "-1 union all select null,version()-- -", "1;drop table users--", "x') and sleep(5)#"],
    "xss": ["<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "<script>alert(document.cookie)</script>"],
    "path-traversal": ["../../../../etc/passwd", "..%2f..%2f..%2fboot.ini", "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/shadow"],
    "cmdi": [";cat /etc/passwd", "127.0.0.1 && whoami", "`id`", "|ls${IFS}-la"],
}
BENIGN = [
    "O'Neill & Sons",
    'necklace length 16" and 18"',
    "Please select a table and drop me a line",
    '{"name":"rose","tags":["a","b"],"n":3}',
    "<p>Hello, <b>world</b></p>",
    "git commit -m 'fix typo' && git push origin main",
    "/media/rosa/photos/beach.jpg",
    "for (int i = 0; i < 10; i++) { print(i); }",
    "您好，请问这个产品什么时候发货？",
    "👍 great :-)",
    "x^2 + 3x - 4",
    "maria.lopez@example.org",
]

HOSTILE = [text for listed in ATTACKS.values() for text in listed]


@pytest.fixture(scope="module")
def data():
    return training_set(seed=3, variety=5_000, traffic=3_000)


@pytest.fixture(scope="module")
def detector(data):
    return PayloadDetector(trees=60).fit(data.texts, data.families, data.weight)


@pytest.fixture(scope="module")
def held_out(data):
    return held_out_scores(PayloadDetector(trees=30), data, folds=3)


def reading(text):
    return read(text, text.lower())


def found(text):
    row = measure([text]).marks[0]
    return {mark.name for mark, here in zip(marks(), row, strict=True) if here}


class TestTokens:
    def test_an_apostrophe_in_a_name_closes_a_text_before_a_bare_word(self):
        assert reading("o'neill and sons").single.startswith("wsn")

    def test_a_closed_quote_and_a_comparison(self):
        assert reading("x' or 1=1").single == "wsL1O1"

    def test_quotes_hold_texts_as_they_stand(self):
        assert reading("name = 'it is' and 2").plain == "nOsL1"

    def test_a_comment_ends_the_reading(self):
        assert reading("1-- and all the rest").plain == "1cr"
        assert reading("1--").plain == "1c$"

    def test_a_comment_that_never_closes_ends_it_too(self):
        assert reading("-1 union/*").plain == "o1Uooc$"

    def test_comments_up_to_the_line_break_are_blanks(self):
        assert reading("1#x\nunion#\nselect 2").plain == "1US1"

    def test_stretches_of_words_are_one_letter(self):
        assert letters(["the", "big", "red", "bus"]) == "N"
        assert letters(["big", "bus"]) == "m"

    def test_calls_of_databases_of_formulas_and_of_others(self):
        assert [reading(text).plain[0] for text in ("version()", "sin(1)", "render()")] == ["f", "g", "F"]

    @pytest.mark.parametrize(
        ("text", "closed"), [("' or 1", "0"), ("7' or 1", "1"), ("a' or 1", "w"), ("a b' or 1", "W"), ("f('a", "o")]
    )
    def test_what_the_first_quote_closes(self, text, closed):
        assert reading(text).single[0] == closed

    def test_no_quote_no_reading_inside_quotes(self):
        assert reading("1 or 1=1") == ("1L1O1", "", "")


class TestMarks:
    def test_names_are_distinct_within_a_source(self):
        written = [(mark.family, mark.name, mark.pattern) for mark in marks()]
        assert len(set(written)) == len(written)

    def test_a_column_a_mark(self):
        assert measure(["a", "b"]).marks.shape == (2, len(marks()))
        assert measure([]).marks.shape == (0, len(marks()))

    def test_base_64_is_peeled_where_it_holds_text(self):
        assert peel("Li4vLi4vLi4vZXRjL3Bhc3N3ZA==") == "../../../etc/passwd"
        assert peel("AAECAwQFBgcICQ==") == "AAECAwQFBgcICQ=="
        assert peel("plainwords") == "plainwords"

    def test_an_attack_in_base_64_has_the_marks_of_the_attack(self):
        assert "way up three times" in found("Li4vLi4vLi4vZXRjL3Bhc3N3ZA==")

    def test_full_width_signs_are_read_as_plain_ones(self):
        assert "script element that does something" in found("＜script＞x＜/script＞")
        assert "way up twice" in found("..\u2215..\u2215etc")

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("%253C", "escaped twice"),
            ("&#x03C;", "one escaped sign and nothing else"),
            ("%61dmin", "escaped letters"),
            ("a%00b", "NUL"),
            ("un/**/ion", "comment in a word"),
            ("..%c0%af", "overlong sign"),
            ("/*!50000select*/", "conditional comment"),
            ("SeLeCt 1", "capitals mixed"),
            ("\\u003c", "escape of another language"),
            ("a%0ab", "escaped line break"),
        ],
    )
    def test_encodings(self, text, name):
        assert name in found(text)
        assert name not in found("plain text")

    def test_elements_of_text_only(self):
        plain = "nothing but elements of text"
        assert plain in found('<p class="a">x</p><a href="https://a.example/b?c=1">y</a>')
        assert plain not in found('<p onclick="x()">x</p>')
        assert plain not in found('<a href="javascript:x">y</a>')
        assert plain not in found("<script>x</script>")


class TestDetector:
    @pytest.mark.parametrize("family", ATTACKS)
    def test_attacks_score_above_every_benign_text(self, detector, family):
        assert detector.score_samples(ATTACKS[family]).min() > max(0.0, detector.score_samples(BENIGN).max())

    def test_families_of_plain_attacks(self, detector):
        texts = [text for listed in ATTACKS.values() for text in listed[:2]]
        wanted = [family for family, listed in ATTACKS.items() for _ in listed[:2]]
        assert detector.families(texts).to_list() == wanted

    def test_scores_do_not_depend_on_company_order_or_repetition(self, detector):
        texts = [*BENIGN, *HOSTILE]
        together = detector.score_samples(pl.Series(texts * 5))
        alone = np.array([detector.score_samples([text])[0] for text in texts])
        np.testing.assert_allclose(together, np.tile(alone, 5), rtol=0, atol=1e-9)
        assert detector.families(texts * 5).to_list() == detector.families(texts).to_list() * 5
        assert detector.explain(texts * 5) == detector.explain(texts) * 5

    def test_a_sentence_names_the_family_the_mark_and_what_it_matched(self, detector):
        sentence = detector.explain(["<img src=x onerror=alert(1)>"])[0]
        assert "an attack, most likely xss" in sentence
        assert "onerror=" in sentence
        assert detector.explain(["../../../etc/passwd"])[0].count("«") >= 2

    def test_a_sentence_follows_the_threshold(self, detector):
        text, score = ["1' or '1'='1"], detector.score_samples(["1' or '1'='1"])[0]
        assert "an attack" in detector.explain(text, score)[0]
        assert f"below the {score + 1:.1f}" in detector.explain(text, score + 1)[0]
        assert detector.explain([""])[0].endswith("no mark of one.")

    def test_missing_and_empty_texts_are_ordinary(self, detector):
        scores = detector.score_samples(pl.Series([None, "", "  "], dtype=pl.String))
        assert scores[0] == scores[1]
        assert scores[0] < 0
        assert detector.score_samples(pl.Series([None, None])).tolist() == [scores[0]] * 2

    def test_no_rows(self, detector):
        empty = pl.Series([], dtype=pl.String)
        assert detector.score_samples(empty).shape == (0,)
        assert detector.families(empty).to_list() == detector.explain(empty) == []

    def test_a_frame_with_one_text_column(self, detector):
        frame = pl.DataFrame({"payload": BENIGN, "n": range(len(BENIGN))})
        assert detector.score_samples(frame).tolist() == detector.score_samples(BENIGN).tolist()

    @pytest.mark.parametrize(
        "unit", ["a", "<", "'", "../", "(", "/*", "%25", "a'", "\\", "\x00\ufffd", "1 or ", "select "]
    )
    def test_a_megabyte(self, detector, unit):
        text = unit * (1_000_000 // len(unit))
        assert np.isfinite(detector.score_samples([text])).all()
        assert len(detector.explain([text])[0]) < 1_000

    def test_an_attack_at_either_end_of_a_long_text_is_found(self, detector):
        filler = "plain words and more of them " * 5_000
        texts = [f"<script>alert(1)</script>{filler}", f"{filler}<script>alert(1)</script>"]
        assert (detector.score_samples(texts) > detector.score_samples([filler])[0] + 1).all()

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
    def test_any_text_has_a_score_a_family_and_a_sentence(self, detector, texts):
        assert np.isfinite(detector.score_samples(texts)).all()
        assert set(detector.families(texts)) <= set(detector.families_)
        assert all(sentence.startswith("Score ") for sentence in detector.explain(texts))

    def test_the_same_data_give_the_same_detector(self, data, detector):
        again = PayloadDetector(trees=60).fit(data.texts, data.families, data.weight)
        texts = [*BENIGN, *HOSTILE]
        assert again.score_samples(texts).tolist() == detector.score_samples(texts).tolist()

    def test_importances_name_the_marks(self, detector):
        table = detector.importances_
        assert table["gain"].sum() == pytest.approx(1)
        assert table["gain"].is_sorted(descending=True)
        assert detector.weights_.shape == (len(marks()),)

    def test_labels_without_families(self, data):
        few = data.table.sample(1_500, seed=1)
        fitted = PayloadDetector(trees=10).fit(few["payload"], few["family"] != "normal")
        assert fitted.families_ == ("attack",)
        assert fitted.score_samples(["' or 1=1--"])[0] > fitted.score_samples(["hello"])[0]

    def test_rows_of_weight_two_are_rows_twice(self):
        texts, labels = ["' or 1=1--", "<script>", "hello", "a b c"], [True, True, False, False]
        twice = PayloadDetector(trees=5, least=1).fit(texts * 2, labels * 2, [1, 3, 1, 1] * 2)
        once = PayloadDetector(trees=5, least=1).fit(texts, labels, [2, 6, 2, 2])
        np.testing.assert_allclose(once.weights_, twice.weights_, atol=0.35)

    def test_one_class_is_refused(self):
        with pytest.raises(DataError, match="anomal"):
            PayloadDetector().fit(["a", "b"], [False, False])

    def test_one_class_of_weight_zero_is_refused(self):
        with pytest.raises(DataError):
            PayloadDetector().fit(["a", "'"], [False, True], [1.0, 0.0])

    def test_lengths_that_differ_are_refused(self):
        with pytest.raises(DataError):
            PayloadDetector().fit(["a", "b"], [True])

    @pytest.mark.parametrize("texts", [pl.Series([1, 2]), [1, 2], ["\ud800"], pl.DataFrame({"a": ["x"], "b": ["y"]})])
    def test_what_is_no_text_is_refused(self, detector, texts):
        with pytest.raises(SchemaError, match="text"):
            detector.score_samples(texts)


class TestTraining:
    def test_simulated_alone(self, data):
        assert data.source == "simulated"
        assert data.texts.n_unique() == len(data.texts)
        assert set(data.families) == {"normal", *FAMILIES}
        assert "simulated" in data.note

    def test_hard_texts_are_the_benign_kinds(self, data):
        assert not (data.hard & data.attack).any()
        assert set(data.table.filter(pl.Series(data.hard))["kind"]) == set(payload_variety.KINDS)

    def test_weights_bring_families_nearer_to_each_other(self, data):
        totals = data.table.filter(pl.Series(data.attack)).group_by("family").agg(pl.col("weight").sum(), pl.len())
        weight, count = totals["weight"].to_numpy(), totals["len"].to_numpy()
        assert weight.sum() == pytest.approx(count.sum())
        np.testing.assert_allclose((weight / weight[0]) ** 2, count / count[0])

    def test_the_training_part_of_a_data_set_and_nothing_of_its_test_part(self, lab):
        dataset = datasets.load("waf", "simulated", budget="fast")
        made = training_set(dataset, variety=400, traffic=400)
        payloads = dataset["payloads"]
        of_set = set(made.texts)
        assert set(payloads.filter(pl.col("split") == "train")["payload"]) <= of_set
        test = set(payloads.filter(pl.col("split") == "test")["payload"])
        assert len(test & of_set) < 0.02 * len(test)
        assert made.source == "simulated"

    def test_a_frame_without_families_is_refused(self, lab):
        from dataclasses import replace

        dataset = datasets.load("waf", "simulated", budget="fast")
        broken = replace(dataset, frames={"payloads": dataset["payloads"].drop("anomaly_type")})
        with pytest.raises(SchemaError, match="anomaly_type"):
            training_set(broken, variety=100, traffic=100)

    def test_a_threshold_on_kinds_that_training_has_not_seen(self, data, held_out):
        threshold = alarm_threshold(held_out, data, 0.05)
        flagged = threshold.predict(held_out)
        assert flagged[data.hard].mean() <= 0.05
        assert flagged[data.attack].mean() > 0.75
        assert alarm_threshold(held_out, data, 0.02).value_ > threshold.value_

    def test_held_out_scores_are_lower_for_attacks_than_those_of_training(self, data, held_out):
        seen = PayloadDetector(trees=30).fit(data.texts, data.families, data.weight).score_samples(data.texts)
        assert held_out[data.attack].mean() < seen[data.attack].mean()

    def test_scores_of_other_texts_are_refused(self, data, held_out):
        with pytest.raises(DataError, match="same texts"):
            alarm_threshold(held_out[1:], data)

    def test_one_fold_is_refused(self, data):
        with pytest.raises(DataError, match="2 folds"):
            held_out_scores(PayloadDetector(), data, folds=1)


class TestVariety:
    def test_equal_seeds_give_equal_texts(self):
        assert payload_variety.simulate(300, 5).equals(payload_variety.simulate(300, 5))
        assert not payload_variety.simulate(300, 5).equals(payload_variety.simulate(300, 6))

    @pytest.mark.parametrize("kind", payload_variety.KINDS)
    def test_every_form_of_a_kind_can_be_drawn(self, kind):
        drawn = payload_variety.benign(kind, np.random.default_rng(0), 4_000)
        assert drawn["payload"].null_count() == 0
        assert set(drawn["form"]) <= set(payload_variety.BENIGN_FORMS[kind])
        assert drawn["payload"].n_unique() > 100

    @pytest.mark.parametrize("family", FAMILIES)
    def test_attacks_of_every_family(self, family):
        drawn = payload_variety.attacks(family, np.random.default_rng(0), 500)
        assert drawn["payload"].n_unique() > 50
        assert not drawn["payload"].str.contains("[«»]").any()

    def test_no_slot_is_left_open(self):
        assert not payload_variety.simulate(6_000, 2)["payload"].str.contains("[«»]").any()

    def test_a_disguise_is_undone_by_decoding(self):
        from utils.features.web_events import decode
        from utils.simulate.payload_variety import _respelled

        rng, text = np.random.default_rng(0), "<a href='x'>../ 1=1"
        for way in ("url", "url twice", "url all", "entities", "code points"):
            assert decode(_respelled(text, way, rng)).text == text
        assert _respelled(text, "mixed", rng).lower() == text
        assert _respelled(text, "none", rng) == text

    def test_no_text_is_refused(self):
        with pytest.raises(DataError, match="size of at least 1"):
            payload_variety.simulate(0, 1)
