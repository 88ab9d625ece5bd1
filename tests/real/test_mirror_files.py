"""The files of the mirror are those of the catalogue, to the byte."""

import hashlib
import shutil

import pytest

from tests.conftest import REPOSITORY
from utils import settings
from utils.datasets import __main__ as command
from utils.datasets import catalog, files
from utils.errors import DownloadError

PROJECT = catalog.read(REPOSITORY / "data" / "catalog.toml").project
NOT_MIRRORED = {"supervised_call_graphs.json", "part_10_raw.csv"}
FILES = [(name, file) for name, entry in PROJECT.items() for file in entry.files if file.name not in NOT_MIRRORED]

pytestmark = pytest.mark.real


def ids(value):
    return value.name if isinstance(value, catalog.FileEntry) else value


@pytest.mark.parametrize(("entry", "file"), FILES, ids=ids)
def test_every_file_is_accepted_by_digest(real_lab, mirror_dir, entry, file):
    path = mirror_dir / entry / file.name
    found = files.locate(entry, file, real_lab)
    assert (found.origin, found.path, found.size) == ("mirror", path, path.stat().st_size)
    assert found.sha256 == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("entry", "file"), FILES, ids=ids)
def test_one_flipped_byte_is_refused(real_lab, mirror_dir, entry, file):
    path = mirror_dir / entry / file.name
    cached = real_lab.raw_dir / entry / file.name
    cached.parent.mkdir(parents=True)
    shutil.copyfile(path, cached)
    position = int(hashlib.sha256(file.name.encode()).hexdigest(), 16) % path.stat().st_size
    with cached.open("r+b") as content:
        content.seek(position)
        byte = content.read(1)[0]
        content.seek(position)
        content.write(bytes([byte ^ 1]))
    with pytest.raises(DownloadError, match="is not the file that the catalogue names"):
        files.locate(entry, file, real_lab)
    cached.unlink()


@pytest.mark.parametrize(("entry", "file"), FILES, ids=ids)
def test_the_size_in_the_catalogue_is_right(mirror_dir, entry, file):
    assert (mirror_dir / entry / file.name).stat().st_size == file.size


def test_every_project_set_with_files_is_real_with_the_mirror(real_lab, capsys):
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Real: api, waf, nsl_kdd, cicids2017, hdfs" in lines
    assert "Simulated: traffic (has no public files)" in lines
    assert not real_lab.raw_dir.exists(), "the mirror is read in place"
    assert settings.current() == real_lab
