"""Challengers of one name decide one after another, and none waits for ever for one that is gone."""

import threading

import pytest

from tests.unit import test_tracking_champions as titles
from utils import tracking
from utils.errors import TrackingError
from utils.tracking import champions, models, turns


@pytest.fixture
def versions(store):
    """A client, an open run, and a function that registers one version with an open challenge."""
    client = tracking.open_store()
    with tracking.start("tiny", "champion", notebook="07_tuning", stage="champion") as run:
        client.create_registered_model("tiny's")

        def register(run_id=run.id):
            made = client.create_model_version("tiny's", "mlflow-artifacts:/tiny/m", run_id, tags=dict(turns.OPEN))
            return int(made.version)

        yield client, run, register


def test_the_second_waits_until_the_first_has_decided(versions, monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0.01)
    client, _, register = versions
    first, second = register(), register()
    order, inside = [], threading.Event()

    def later():
        inside.wait(20)
        with turns.turn(client, "tiny's", second):
            order.append(second)

    waiting = threading.Thread(target=later)
    waiting.start()
    with turns.turn(client, "tiny's", first):
        inside.set()
        waiting.join(0.2)
        assert waiting.is_alive()
        order.append(first)
    waiting.join(20)
    assert order == [first, second]
    assert client.get_model_version("tiny's", str(first)).tags == {}


def test_nobody_waits_for_a_run_that_has_ended(versions):
    client, _, register = versions
    with tracking.start("tiny", "ended", notebook="07_tuning", stage="champion") as ended:
        register(ended.id)
        register("")
    with turns.turn(client, "tiny's", last := register()):
        assert turns.is_open(client, "tiny's", last)


def test_who_is_silent_loses_its_turn_and_finds_out(versions, monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0.01)
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    client, _, register = versions
    silent, next_one = register(), register()
    with turns.turn(client, "tiny's", next_one):
        assert not turns.is_open(client, "tiny's", silent)
        assert turns.is_open(client, "tiny's", next_one)
    assert client.get_model_version("tiny's", str(silent)).tags == {turns.TAG: turns.LOST}


def test_a_block_that_fails_ends_its_turn_and_tells_its_own_error(versions, monkeypatch):
    client, _, register = versions
    with pytest.raises(KeyError, match="mine"), turns.turn(client, "tiny's", number := register()):
        raise KeyError("mine")
    assert not turns.is_open(client, "tiny's", number)

    def away(*_):
        raise TrackingError("away")

    monkeypatch.setattr(turns, "_close", away)
    with pytest.raises(KeyError, match="mine"), turns.turn(client, "tiny's", register()):
        raise KeyError("mine")


def taken_meanwhile(monkeypatch, champion):
    """Let another challenger take the alias between the first look at the holder and the turn."""
    wait = turns._wait

    def other_first(client, name, number):
        monkeypatch.setattr(turns, "_wait", wait)
        with tracking.start("tiny", "other", notebook="07_tuning", stage="champion", dataset=titles.data()) as run:
            row = titles.TEST.head(1).with_columns(titles.pl.col("rate").cast(titles.pl.Float64))
            kept = models.storage(champion)
            address = run.log_model(champion, row, serialization=kept.serialization, trusted=kept.trusted)
            models.register(address, name, alias="champion")
            champions._describe(run, name, number + 1, "", champions.Evidence())

    monkeypatch.setattr(turns, "_wait", other_first)


@pytest.mark.parametrize(("other", "takes"), [(titles.POOR, True), (titles.GOOD, False)], ids=["poor", "good"])
def test_a_challenge_is_decided_against_the_champion_of_its_turn(store, monkeypatch, other, takes):
    taken_meanwhile(monkeypatch, other)
    verdict = titles.challenge(titles.model(seed=3))
    assert (verdict.champion, verdict.version) == (takes, 1)
    assert verdict.comparison is not None
    assert verdict.holder == champions.current("tiny") == (1 if takes else 2)
    assert "nobody held the title" not in str(verdict)


def test_only_winners_are_kept_where_another_was_faster(store, monkeypatch):
    taken_meanwhile(monkeypatch, titles.GOOD)
    verdict = titles.challenge(titles.POOR, winners_only=True)
    assert (verdict.champion, verdict.version, verdict.holder) == (False, None, 2)
    client = tracking.open_store()
    assert [int(one.version) for one in client.search_model_versions("name = 'tiny'")] == [2]
    assert len(list((store.parent / "mlartifacts/tiny/models").glob("m-*/artifacts/model.skops"))) == 1


def test_a_challenger_that_lost_its_turn_leaves_the_alias_alone(store, monkeypatch):
    def lost(client, name, number):
        client.set_model_version_tag(name, str(number), turns.TAG, turns.LOST)

    monkeypatch.setattr(turns, "_wait", lost)
    verdict = titles.challenge(titles.GOOD)
    assert (verdict.champion, verdict.version) == (False, 1)
    assert turns.WHY_LOST in str(verdict)
    assert champions.current("tiny") is None
