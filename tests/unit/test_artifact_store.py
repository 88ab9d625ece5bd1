"""Artefact addresses: beside the store without a server, through the server with one, never outside the folder."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from utils.artifact_store import artifact_repository


@pytest.mark.parametrize("folder", ["plain", "with space", "ünï #1 50%"])
def test_artefacts_lie_beside_the_store_whatever_its_folder_is_called(tmp_path, folder):
    root = tmp_path / folder
    repository = artifact_repository("mlflow-artifacts:/hdfs/run/artifacts", f"sqlite:///{root}/mlflow.db")
    source = tmp_path / "note.txt"
    source.write_text("kept")

    repository.log_artifact(str(source), "texts")

    assert (root / "mlartifacts/hdfs/run/artifacts/texts/note.txt").read_text() == "kept"
    assert [entry.path for entry in repository.list_artifacts("texts")] == ["texts/note.txt"]


def test_looking_makes_no_folder(tmp_path):
    repository = artifact_repository("mlflow-artifacts:/hdfs/run/artifacts", f"sqlite:///{tmp_path}/mlflow.db")

    assert repository.list_artifacts() == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_keeps_its_own_way():
    repository = artifact_repository("mlflow-artifacts:/hdfs/run", "http://127.0.0.1:5999")

    assert isinstance(repository, MlflowArtifactsRepository)


@pytest.mark.parametrize("path", ["../outside", "hdfs/../../outside", "%2e%2e/outside", "hdfs/%2e%2e/%2e%2e/outside"])
def test_an_address_that_leads_out_of_the_folder_is_refused(tmp_path, path):
    with pytest.raises(MlflowException, match="must stay inside"):
        artifact_repository(f"mlflow-artifacts:/{path}", f"sqlite:///{tmp_path}/mlflow.db")


def test_mlflow_finds_the_package_by_its_entry_point(tmp_path):
    found = get_artifact_repository("mlflow-artifacts:/hdfs/run", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")

    assert isinstance(found, LocalArtifactRepository)
    assert found.artifact_dir == str(tmp_path / "mlartifacts/hdfs/run")
