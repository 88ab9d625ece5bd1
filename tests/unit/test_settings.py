from pathlib import Path

import pytest

from utils import settings
from utils.errors import SettingsError


def test_the_root_is_the_repository_unless_the_environment_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("ANOMALY_ROOT", raising=False)
    assert (settings.current().root / "pyproject.toml").is_file()
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path))
    assert settings.current().root == tmp_path.resolve()


def test_every_path_is_absolute_and_below_the_root(monkeypatch, tmp_path):
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path))
    monkeypatch.delenv("ANOMALY_DATA_MIRROR", raising=False)
    now = settings.current()
    paths = [getattr(now, name) for name in dir(now) if isinstance(getattr(now, name), Path)]
    assert len(paths) >= 8
    assert all(path.is_absolute() and path.is_relative_to(tmp_path.resolve()) for path in paths)


@pytest.mark.parametrize(("word", "expected"), [("1", True), ("yes", True), ("0", False), ("", False), ("Off", False)])
def test_switches_are_read_as_words(monkeypatch, word, expected):
    monkeypatch.setenv("ANOMALY_OFFLINE", word)
    assert settings.current().offline is expected


def test_a_switch_that_means_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("ANOMALY_OFFLINE", "perhaps")
    with pytest.raises(SettingsError, match=r"ANOMALY_OFFLINE must be 1 or 0, found 'perhaps'"):
        settings.current()


@pytest.mark.parametrize("variable", ["ANOMALY_ROOT", "ANOMALY_DATA_MIRROR"])
def test_the_home_of_nobody_is_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "~no-such-user/lab")
    with pytest.raises(SettingsError, match=f"{variable} must name a folder, found '~no-such-user/lab'"):
        settings.current()


def test_the_full_budget_does_more_of_everything():
    fast, full = settings.budget("fast"), settings.budget("full")
    for name in ("trials", "epochs", "repeats", "bootstrap", "rows"):
        assert getattr(full, name) > getattr(fast, name) > 0
    assert fast.simulated.keys() == full.simulated.keys()


def test_an_unknown_budget_is_refused_with_the_list():
    with pytest.raises(SettingsError, match="one of fast, full, found 'medium'"):
        settings.budget("medium")


@pytest.mark.parametrize(
    ("word", "expected"),
    [(None, "local"), ("", "local"), (" Local ", "local"), ("tcp://host:8786", "tcp://host:8786")]
    + [(address, address) for address in ("tls://10.0.0.7:9000", "tcp://[::1]:8786", "ws://a-b.example:80")],
)
def test_work_is_done_here_unless_a_scheduler_is_named(monkeypatch, word, expected):
    monkeypatch.delenv("ANOMALY_COMPUTE", raising=False)
    if word is not None:
        monkeypatch.setenv("ANOMALY_COMPUTE", word)
    assert settings.current().compute == expected


@pytest.mark.parametrize("word", ["dask", "host:8786", "tcp://", "tcp://host", "tcp://host:port", "tcp://host:1 2"])
def test_a_scheduler_that_is_no_address_is_refused(monkeypatch, word):
    monkeypatch.setenv("ANOMALY_COMPUTE", word)
    with pytest.raises(SettingsError, match="ANOMALY_COMPUTE must be local or the address of a scheduler such as tcp"):
        settings.current()


def test_studies_are_kept_in_a_journal_unless_another_place_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path))
    monkeypatch.delenv("ANOMALY_STUDIES", raising=False)
    assert settings.current().studies is None
    assert settings.current().studies_file == tmp_path.resolve() / "data" / "processed" / "studies.journal"
    monkeypatch.setenv("ANOMALY_STUDIES", "postgresql+psycopg://user@host/studies")
    assert settings.current().studies == "postgresql+psycopg://user@host/studies"


@pytest.mark.parametrize(("word", "expected"), [("", 1), ("4", 4)])
def test_one_worker_tunes_unless_there_are_more(monkeypatch, word, expected):
    monkeypatch.setenv("ANOMALY_TUNING_WORKERS", word)
    assert settings.current().tuning_workers == expected


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5"])
def test_a_number_of_workers_that_means_nothing_is_refused(monkeypatch, word):
    monkeypatch.setenv("ANOMALY_TUNING_WORKERS", word)
    with pytest.raises(SettingsError, match="ANOMALY_TUNING_WORKERS must be a whole number of 1 or more, found"):
        settings.current()
