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


def test_the_full_budget_does_more_of_everything():
    fast, full = settings.budget("fast"), settings.budget("full")
    for name in ("trials", "epochs", "repeats", "bootstrap", "rows"):
        assert getattr(full, name) > getattr(fast, name) > 0
    assert fast.simulated.keys() == full.simulated.keys()


def test_an_unknown_budget_is_refused_with_the_list():
    with pytest.raises(SettingsError, match="one of fast, full, found 'medium'"):
        settings.budget("medium")
