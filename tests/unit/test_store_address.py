"""Addresses of stores that MLflow would read otherwise than they are written."""

import pytest

from utils.errors import TrackingError
from utils.tracking.store import store_uri


def test_a_folder_whose_name_mlflow_would_decode_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/a%20b/mlflow.db")
    with pytest.raises(TrackingError, match="which MLflow decodes: rename the folder"):
        store_uri()


@pytest.mark.parametrize("name", ["a b", "100 %", "a#b", "\u00fc"])
def test_other_names_of_folders_stand_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/{name}/mlflow.db")
    assert store_uri() == f"sqlite:///{tmp_path}/{name}/mlflow.db"
