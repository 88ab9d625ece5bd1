import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import misbehaving_server as server_answers
from tests.unit.loading import sha256
from tests.unit.misbehaving_server import good, status
from utils.datasets import catalog, download, files
from utils.errors import DownloadError

CONTENT = bytes(range(256)) * 1024
HURRY = download.Patience(reach=10.0, silence=10.0, attempts=3, pause=0.01)
IMPATIENT = replace(HURRY, silence=0.5)


def git_blob(content):
    return "git-blob:" + hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def left_behind(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(autouse=True)
def _no_proxy_and_no_memory(monkeypatch):
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    download.forget_hosts()
    yield
    download.forget_hosts()


@pytest.fixture
def places(lab):
    """The empty laboratory, with the network that it has: this machine."""
    return replace(lab, offline=False)


@pytest.fixture
def entry(server):
    """One file that the server is to deliver."""
    return catalog.FileEntry("a.bin", server.address + "/a.bin", (sha256(CONTENT),), size=len(CONTENT))


def obtain(entry, places, patience=HURRY):
    return files.obtain("api", entry, places, patience=patience)


def patience_with(fault):
    return IMPATIENT if fault.__qualname__.startswith("silent") else HURRY


def assert_one_sentence(text):
    assert "\n" not in text
    assert "Traceback" not in text


def refused_dead_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class TestFingerprint:
    @given(content=st.binary(max_size=3000))
    def test_both_digests_are_those_of_their_definitions(self, tmp_path_factory, content):
        path = tmp_path_factory.mktemp("digest") / "a"
        path.write_bytes(content)
        assert files.fingerprint(path) == files.Fingerprint(sha256(content), git_blob(content), len(content))

    def test_a_file_of_several_blocks(self, tmp_path):
        content = os.urandom(2 * files.BLOCK + 17)
        (tmp_path / "a").write_bytes(content)
        assert files.fingerprint(tmp_path / "a").git_blob == git_blob(content)
        assert files.fingerprint(tmp_path / "a").sha256 == sha256(content)

    def test_git_gives_the_same_id(self, tmp_path):
        (tmp_path / "a").write_bytes(b"what is up, doc?")
        assert files.fingerprint(tmp_path / "a").git_blob == "git-blob:bd9dbf5aae1a3862dd1526723246b20206e5fc37"

    def test_one_match_of_either_kind_is_enough(self, tmp_path, entry):
        path = tmp_path / "a.bin"
        path.write_bytes(CONTENT)
        nothing = "sha256:" + "0" * 64
        for digests in [(nothing, git_blob(CONTENT)), (git_blob(b""), sha256(CONTENT)), (git_blob(CONTENT),)]:
            assert files.verify(replace(entry, digests=digests), path, "").sha256 == sha256(CONTENT)
        with pytest.raises(DownloadError, match="is not the file that the catalogue names"):
            files.verify(replace(entry, digests=(nothing, git_blob(b""))), path, "replace it")

    def test_a_file_that_cannot_be_read_is_one_sentence(self, tmp_path, entry):
        with pytest.raises(DownloadError, match="cannot be read"):
            files.verify(entry, tmp_path, "")

    def test_the_joint_digest_does_not_depend_on_order(self):
        assert files.combined_digest(["a", "b"]) == files.combined_digest(["b", "a"])
        assert files.combined_digest(["a", "b"]) != files.combined_digest(["a"])


class TestPlaces:
    @pytest.fixture
    def mirrored(self, places, tmp_path):
        (tmp_path / "mirror" / "api").mkdir(parents=True)
        return replace(places, data_mirror=tmp_path / "mirror")

    def put(self, folder, content):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.bin").write_bytes(content)

    def test_the_cache_comes_first_then_the_mirror_then_the_public_address(self, server, entry, mirrored):
        server.plan("/a.bin", good(CONTENT))
        self.put(mirrored.data_mirror / "api", CONTENT)
        assert obtain(entry, mirrored).origin == "mirror"
        assert left_behind(mirrored.data_dir) == ["catalog.toml"], "the mirror is read in place"
        (mirrored.data_mirror / "api" / "a.bin").unlink()
        found = obtain(entry, mirrored)
        assert (found.origin, found.path) == ("download", mirrored.raw_dir / "api" / "a.bin")
        self.put(mirrored.data_mirror / "api", CONTENT)
        assert obtain(entry, mirrored).origin == "cache"
        assert server.seen["/a.bin"] == 1

    @pytest.mark.parametrize("where", ["cache", "mirror"])
    @pytest.mark.parametrize("position", [0, len(CONTENT) // 2, len(CONTENT) - 1])
    def test_one_flipped_byte_is_refused_wherever_it_is(self, entry, mirrored, where, position):
        wrong = bytearray(CONTENT)
        wrong[position] ^= 1
        folder = mirrored.raw_dir / "api" if where == "cache" else mirrored.data_mirror / "api"
        self.put(folder, wrong)
        with pytest.raises(
            DownloadError, match=r"a.bin is not the file .* expected sha256:\w{12}… *, found sha256:"
        ) as no:
            obtain(entry, mirrored)
        assert f"({len(CONTENT):,} bytes)" in str(no.value)
        assert_one_sentence(str(no.value))
        assert (folder / "a.bin").read_bytes() == wrong

    @pytest.mark.parametrize(("wrong", "size"), [(b"", "0 bytes"), (CONTENT[:-1], f"{len(CONTENT) - 1:,} bytes")])
    def test_an_empty_or_a_cut_file_is_refused(self, entry, mirrored, wrong, size):
        self.put(mirrored.raw_dir / "api", wrong)
        with pytest.raises(DownloadError, match=rf"\({size}\): delete it, or run `make data`"):
            obtain(entry, mirrored)

    def test_a_file_that_is_nowhere_names_the_places(self, server, entry, mirrored):
        server.plan("/a.bin", status(404))
        absent = obtain(entry, mirrored)
        assert "not in data/raw/api" in absent.reason
        assert f"not in the mirror {mirrored.data_mirror}/api" in absent.reason
        assert "404" in absent.reason
        assert "no mirror is set" in obtain(entry, replace(mirrored, data_mirror=None)).reason

    def test_a_mirror_that_does_not_exist_is_named(self, entry, mirrored, tmp_path):
        nowhere = replace(mirrored, data_mirror=tmp_path / "typo", offline=True)
        assert f"the mirror {tmp_path / 'typo'} is no folder" in obtain(entry, nowhere).reason

    def test_a_folder_that_may_not_be_read_is_one_sentence(self, entry, mirrored, monkeypatch):
        def forbidden(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "is_file", forbidden)
        with pytest.raises(DownloadError, match=r"a.bin cannot be looked for \(Permission denied\): make its folder"):
            obtain(entry, mirrored)

    def test_a_mirror_that_may_not_be_read_is_one_sentence(self, entry, mirrored, monkeypatch):
        def forbidden(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "is_dir", forbidden)
        with pytest.raises(DownloadError, match=rf"{mirrored.data_mirror.name} cannot be looked for"):
            obtain(entry, mirrored)

    def test_offline_never_asks_the_public_address(self, server, entry, mirrored):
        server.plan("/a.bin", good(CONTENT))
        assert "ANOMALY_OFFLINE" in obtain(entry, replace(mirrored, offline=True)).reason
        assert server.seen["/a.bin"] == 0

    def test_a_wrong_cached_file_is_renewed_from_the_mirror(self, server, entry, mirrored):
        self.put(mirrored.raw_dir / "api", b"old")
        self.put(mirrored.data_mirror / "api", CONTENT)
        assert files.renew("api", entry, mirrored).origin == "mirror"
        assert (mirrored.raw_dir / "api" / "a.bin").read_bytes() == CONTENT
        assert server.seen["/a.bin"] == 0

    def test_a_wrong_cached_file_is_renewed_from_the_public_address(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        self.put(places.raw_dir / "api", b"old")
        assert files.renew("api", entry, places).origin == "download"
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]
        assert (places.raw_dir / "api" / "a.bin").read_bytes() == CONTENT

    @pytest.mark.parametrize("offline", [True, False])
    def test_a_wrong_cached_file_stays_if_no_right_one_can_be_had(self, entry, places, offline):
        self.put(places.raw_dir / "api", b"old")
        with pytest.raises(DownloadError, match=r"is not the file .*; no right one could be had: ") as refusal:
            files.renew("api", entry, replace(places, offline=offline))
        assert_one_sentence(str(refusal.value))
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]
        assert (places.raw_dir / "api" / "a.bin").read_bytes() == b"old"

    def test_a_wrong_file_in_the_mirror_never_goes_over_a_wrong_one_in_the_cache(self, entry, mirrored):
        self.put(mirrored.raw_dir / "api", b"old")
        self.put(mirrored.data_mirror / "api", b"other")
        with pytest.raises(DownloadError, match="put the right file there"):
            files.renew("api", entry, mirrored)
        assert (mirrored.raw_dir / "api" / "a.bin").read_bytes() == b"old"

    def test_renewing_a_wrong_mirror_file_without_a_cached_one_is_refused(self, entry, mirrored):
        self.put(mirrored.data_mirror / "api", b"other")
        with pytest.raises(DownloadError, match="unset ANOMALY_DATA_MIRROR"):
            files.renew("api", entry, mirrored)
        assert not mirrored.raw_dir.exists()


class TestServers:
    def test_a_good_server_delivers_a_verified_file_and_nothing_else(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        found = obtain(entry, places)
        assert found == files.Found(places.raw_dir / "api" / "a.bin", "download", sha256(CONTENT), len(CONTENT))
        assert found.path.read_bytes() == CONTENT
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]

    def test_redirects_are_followed(self, server, entry, places):
        server.plan("/a.bin", server_answers.redirect(server.plan("/b.bin", good(CONTENT))))
        assert obtain(entry, places).path.read_bytes() == CONTENT

    def test_a_server_without_a_length_is_believed_if_the_digest_is_right(self, server, entry, places):
        server.plan("/a.bin", server_answers.unannounced(CONTENT))
        assert obtain(entry, places).size == len(CONTENT)

    @pytest.mark.parametrize(
        "fault",
        [
            status(500),
            status(503),
            status(429),
            server_answers.truncated(CONTENT, 100_000),
            server_answers.reset(CONTENT, 100_000),
            server_answers.silent(CONTENT, 100_000),
            server_answers.silent(),
        ],
        ids=["500", "503", "429", "truncated", "reset", "silent midway", "silent from the start"],
    )
    def test_what_may_pass_is_tried_again_from_the_start(self, server, entry, places, fault):
        server.plan("/a.bin", fault, good(CONTENT))
        assert obtain(entry, places, patience_with(fault)).path.read_bytes() == CONTENT
        assert server.seen["/a.bin"] == 2
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]

    @pytest.mark.parametrize(
        ("fault", "finding"),
        [
            (status(500), "did not deliver in 3 attempts: the server answered 500"),
            (server_answers.truncated(CONTENT, 100_000), r"in 3 attempts: the connection broke after \d\d,\d{3} bytes"),
            (server_answers.reset(CONTENT, 100_000), r"in 3 attempts: the connection broke after [\d,]+ bytes"),
            (server_answers.silent(CONTENT, 100_000), r"in 3 attempts: the server fell silent after \d\d,\d{3} bytes"),
            (server_answers.silent(), "in 3 attempts: the server fell silent after 0 bytes"),
            (server_answers.no_http, "in 3 attempts: the connection broke after 0 bytes"),
        ],
        ids=["500", "truncated", "reset", "silent midway", "silent from the start", "no http"],
    )
    def test_what_does_not_pass_is_given_up_and_leaves_nothing(self, server, entry, places, fault, finding):
        server.plan("/a.bin", fault)
        patience = patience_with(fault)
        with pytest.raises(download.Unavailable, match=finding) as given_up:
            download.fetch(entry.url, places.raw_dir / "api" / "a.bin", lambda path: None, patience=patience)
        assert_one_sentence(str(given_up.value))
        assert str(given_up.value) in obtain(entry, places, patience).reason
        assert left_behind(places.data_dir) == ["catalog.toml"]
        assert server.seen["/a.bin"] == 6

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 501])
    def test_an_answer_that_stays_is_not_tried_again(self, server, entry, places, code):
        server.plan("/a.bin", status(code), good(CONTENT))
        assert f"is not to be had: the server answered {code}" in obtain(entry, places).reason
        assert server.seen["/a.bin"] == 1
        assert left_behind(places.data_dir) == ["catalog.toml"]

    @pytest.mark.parametrize(
        "wrong",
        [good(CONTENT[::-1]), good(b""), good(b"<html>log in first</html>"), server_answers.unannounced(CONTENT[:-1])],
        ids=["other bytes", "empty", "a log-in page", "cut without a length"],
    )
    def test_a_wrong_file_is_refused_at_once_and_not_kept(self, server, entry, places, wrong):
        server.plan("/a.bin", wrong, good(CONTENT))
        with pytest.raises(DownloadError, match=rf"^{entry.url} is not the file .* nothing was kept") as refusal:
            obtain(entry, places)
        assert not isinstance(refusal.value, download.Unavailable)
        assert_one_sentence(str(refusal.value))
        assert left_behind(places.data_dir) == ["catalog.toml"]
        assert server.seen["/a.bin"] == 1

    def test_a_length_that_is_no_number_is_given_up(self, server, entry, places):
        server.plan("/a.bin", server_answers.wrong_length)
        assert "answered what is no HTTP" in obtain(entry, places).reason
        assert left_behind(places.data_dir) == ["catalog.toml"]

    def test_endless_redirects_are_given_up(self, server, entry, places):
        server.plan("/a.bin", server_answers.redirect(entry.url))
        assert "cannot be used: Exceeded 30 redirects" in obtain(entry, places).reason

    def test_a_server_that_drips_is_given_up_when_the_time_is_over(self, server, entry, places):
        server.plan("/a.bin", server_answers.dripping(CONTENT * 100, download.CHUNK, 0.05))
        patience = replace(HURRY, total=0.2)
        reason = files.obtain("api", entry, places, patience=patience).reason
        assert "was given up after 0 s with" in reason
        assert server.seen["/a.bin"] == 1
        assert left_behind(places.data_dir) == ["catalog.toml"]

    def test_the_pause_doubles(self, server, entry, places, monkeypatch):
        pauses = []
        monkeypatch.setattr(download.time, "sleep", pauses.append)
        server.plan("/a.bin", status(502))
        files.obtain("api", entry, places, patience=replace(HURRY, attempts=4, pause=1.0))
        assert pauses == [1.0, 2.0, 4.0]

    def test_the_bar_is_drawn_on_a_terminal_and_nowhere_else(self, server, entry, places, monkeypatch, capsys):
        server.plan("/a.bin", good(CONTENT))
        obtain(entry, places)
        assert "a.bin" not in capsys.readouterr().err
        (places.raw_dir / "api" / "a.bin").unlink()
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        obtain(entry, places)
        assert "a.bin" in capsys.readouterr().err

    def test_the_log_says_what_is_downloaded_and_why_again(self, server, entry, places, caplog):
        server.plan("/a.bin", status(500), good(CONTENT))
        with caplog.at_level("INFO", logger="utils"):
            obtain(entry, places)
        assert "downloading a.bin (0.3 MB) from 127.0.0.1" in caplog.text
        assert "the server answered 500 Internal Server Error; attempt 2 in" in caplog.text


class TestHostsThatAreAway:
    @pytest.fixture
    def knocks(self, monkeypatch):
        """Every address that a connection was opened to by hand."""
        seen = []
        connect = socket.create_connection
        monkeypatch.setattr(socket, "create_connection", lambda to, **kw: seen.append(to) or connect(to, **kw))
        return seen

    def test_a_refused_host_is_asked_once_in_a_process(self, entry, places, knocks):
        dead = replace(entry, url=f"http://127.0.0.1:{refused_dead_port()}/a.bin")
        for _ in range(3):
            assert "cannot be reached (Connection refused)" in obtain(dead, places).reason
        assert len(knocks) == 1
        assert left_behind(places.data_dir) == ["catalog.toml"]

    def test_an_answering_host_is_knocked_at_once(self, server, entry, places, knocks):
        for name in "abc":
            server.plan(f"/{name}", good(CONTENT))
            obtain(replace(entry, name=name, url=f"{server.address}/{name}"), places)
        assert len(knocks) == 1

    def test_a_name_that_does_not_resolve(self, entry, places, monkeypatch):
        def no_name(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", no_name)
        away = replace(entry, url="https://files.example/a.bin")
        assert "files.example cannot be reached (Name or service not known)" in obtain(away, places).reason

    def test_a_name_server_that_never_answers_does_not_hold_anybody_up(self, entry, places, monkeypatch):
        released = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(30) and [])
        away = replace(entry, url="https://files.example/a.bin")
        reason = files.obtain("api", away, places, patience=replace(HURRY, reach=0.1)).reason
        released.set()
        assert "files.example cannot be reached (no answer within 0.1 s)" in reason

    def test_no_route_as_on_a_machine_without_a_network(self, entry, places):
        away = replace(entry, url="http://192.0.2.1/a.bin")
        assert "192.0.2.1 cannot be reached (network is unreachable" in obtain(away, places).reason

    def test_a_host_that_goes_away_later_is_not_tried_again(self, server, entry, places):
        server.plan("/a.bin", server_answers.redirect(f"http://127.0.0.1:{refused_dead_port()}/b.bin"))
        assert "cannot be reached" in obtain(entry, places).reason
        assert "cannot be reached" in obtain(entry, places).reason
        assert server.seen["/a.bin"] == 1

    def test_a_network_that_comes_back_is_noticed(self, server, entry, places, monkeypatch):
        server.plan("/a.bin", server_answers.redirect(f"http://127.0.0.1:{refused_dead_port()}/b.bin"))
        obtain(entry, places)
        monkeypatch.setattr(download, "MEMORY_SECONDS", -1.0)
        obtain(entry, places)
        assert server.seen["/a.bin"] == 2

    def test_a_server_without_a_certificate_is_away(self, server, entry, places):
        assert "cannot be reached" in obtain(replace(entry, url=entry.url.replace("http:", "https:")), places).reason
        assert left_behind(places.data_dir) == ["catalog.toml"]

    @pytest.mark.parametrize(
        "url", ["http://" + "a" * 70 + ".example/x", "http://a..b/x", "http://:80/x", "http://a:999999/x"]
    )
    def test_an_address_that_is_none(self, entry, places, url):
        assert "cannot be " in obtain(replace(entry, url=url), places).reason

    def test_a_proxy_is_knocked_at_in_place_of_the_host(self, server, entry, places, monkeypatch):
        monkeypatch.setenv("http_proxy", server.address)
        server.plan("http://files.example/a.bin", good(CONTENT))
        assert obtain(replace(entry, url="http://files.example/a.bin"), places).origin == "download"

    def test_a_proxy_that_is_away(self, entry, places, monkeypatch):
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{refused_dead_port()}")
        reason = obtain(replace(entry, url="http://files.example/a.bin"), places).reason
        assert "files.example cannot be reached (Connection refused)" in reason


class TestDisks:
    def failing(self, number):
        def fail(*_, **__):
            raise OSError(number, os.strerror(number))

        return fail

    @pytest.mark.parametrize(
        ("number", "remedy"),
        [(errno.ENOSPC, "make room on the disk"), (errno.EDQUOT, "make room"), (errno.EIO, "make the folder writable")],
    )
    def test_a_disk_that_takes_no_more(self, server, entry, places, monkeypatch, number, remedy):
        server.plan("/a.bin", good(CONTENT))
        monkeypatch.setattr(download._Limited, "write", self.failing(number))
        with pytest.raises(DownloadError, match=rf"a.bin cannot be written .* {os.strerror(number)}: {remedy}") as full:
            obtain(entry, places)
        assert not isinstance(full.value, download.Unavailable)
        assert_one_sentence(str(full.value))
        assert left_behind(places.data_dir) == ["catalog.toml"]
        assert server.seen["/a.bin"] == 1

    @pytest.mark.parametrize("step", ["mkdir", "open", "replace"])
    def test_a_folder_that_cannot_be_written(self, server, entry, places, monkeypatch, step):
        server.plan("/a.bin", good(CONTENT))
        monkeypatch.setattr(Path, step, self.failing(errno.EROFS))
        with pytest.raises(DownloadError, match="Read-only file system: make the folder writable, or name a folder"):
            obtain(entry, places)
        monkeypatch.undo()
        assert left_behind(places.data_dir) == ["catalog.toml"]

    def test_a_disk_with_no_room_for_the_last_bytes(self, server, entry, places, monkeypatch):
        """What is still in the file's buffer is written when it is closed."""
        server.plan("/a.bin", good(CONTENT))
        written = download._Limited.write

        def closing_fails(limited, chunk):
            written(limited, chunk)
            os.close(limited._file.fileno())
            return len(chunk)

        monkeypatch.setattr(download._Limited, "write", closing_fails)
        with pytest.raises(DownloadError, match="cannot be written"):
            obtain(entry, places)
        assert left_behind(places.data_dir) == ["catalog.toml"]

    def test_a_file_where_a_folder_must_be(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        places.raw_dir.write_text("in the way")
        with pytest.raises(DownloadError, match="cannot be written"):
            obtain(entry, places)
        assert left_behind(places.data_dir) == ["catalog.toml", "raw"]

    def test_a_folder_where_the_file_must_be(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        (places.raw_dir / "api" / "a.bin").mkdir(parents=True)
        with pytest.raises(DownloadError, match="cannot be written"):
            obtain(entry, places)
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]

    def test_folders_that_were_there_stay(self, server, entry, places):
        server.plan("/a.bin", status(404))
        (places.raw_dir / "api").mkdir(parents=True)
        obtain(entry, places)
        assert left_behind(places.raw_dir) == ["api"]

    def test_a_folder_that_vanishes_in_between_is_made_again(self, tmp_path, monkeypatch):
        part = tmp_path / "new" / "a.part"
        opened, vanished = Path.open, []

        def vanish_once(path, *rest):
            if not vanished:
                vanished.append(path.parent.rmdir())
            return opened(path, *rest)

        monkeypatch.setattr(Path, "open", vanish_once)
        download._create(part)
        assert part.is_file()
        monkeypatch.setattr(Path, "open", self.failing(errno.ENOENT))
        with pytest.raises(FileNotFoundError):
            download._create(part)

    def test_what_a_killed_process_left_is_swept_and_a_running_one_is_not_disturbed(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        folder = places.raw_dir / "api"
        folder.mkdir(parents=True)
        for name, age in (("old", 2 * download.ABANDONED_AFTER), ("young", 0)):
            part = folder / f".{name}.0123{download.PART}"
            part.write_bytes(b"half")
            os.utime(part, (time.time() - age,) * 2)
        obtain(entry, places)
        assert left_behind(folder) == [".young.0123.part", "a.bin"]

    def test_the_file_can_be_read_by_whom_the_umask_allows(self, server, entry, places):
        server.plan("/a.bin", good(CONTENT))
        before = os.umask(0o022)
        try:
            assert obtain(entry, places).path.stat().st_mode & 0o777 == 0o644
        finally:
            os.umask(before)


class TestInterrupts:
    def test_an_interrupt_leaves_nothing_and_goes_on_upwards(self, server, entry, places, monkeypatch):
        server.plan("/a.bin", good(CONTENT))

        def interrupted(limited, chunk):
            limited._file.write(chunk)
            raise KeyboardInterrupt

        monkeypatch.setattr(download._Limited, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            obtain(entry, places)
        assert left_behind(places.data_dir) == ["catalog.toml"]

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
    def test_the_command_ends_clean_on_a_signal(self, server, lab, sent):
        arrived = threading.Event()
        url = server.plan("/a.bin", server_answers.dripping(CONTENT, 64 * 1024, 0.05, arrived))
        lab.catalog_file.write_text(
            f'[api]\ntitle = "A"\n[[api.files]]\nname = "a.bin"\nurl = "{url}"\ndigests = ["{sha256(CONTENT)}"]\n'
        )
        server.plans["/a.bin"] = (server_answers.dripping(CONTENT * 1000, 64 * 1024, 0.05, arrived),)
        command = subprocess.Popen(
            [sys.executable, "-m", "utils.datasets"],
            env=os.environ | {"ANOMALY_OFFLINE": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert arrived.wait(60)
        command.send_signal(sent)
        _, said = command.communicate(timeout=60)
        assert command.returncode == 130
        assert said.splitlines()[-1].startswith("interrupted: nothing half-written was left")
        assert "Traceback" not in said
        assert left_behind(lab.data_dir) == ["catalog.toml"]


class TestTwoAtOnce:
    def test_two_processes_that_fetch_one_file_both_end_well(self, server, lab):
        together = threading.Barrier(2)
        url = server.plan("/a.bin", server_answers.after(lambda: together.wait(60), good(CONTENT)))
        program = (
            "from utils import settings\n"
            "from utils.datasets import catalog, files\n"
            f"file = catalog.FileEntry('a.bin', {url!r}, ({sha256(CONTENT)!r},))\n"
            "found = files.obtain('api', file, settings.current())\n"
            "assert found.origin == 'download', found\n"
        )
        both = [
            subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"ANOMALY_OFFLINE": "0"})
            for _ in range(2)
        ]
        assert [process.wait(timeout=60) for process in both] == [0, 0]
        assert left_behind(lab.raw_dir) == ["api", "api/a.bin"]
        assert (lab.raw_dir / "api" / "a.bin").read_bytes() == CONTENT

    def test_one_that_fails_does_not_take_the_folder_from_one_that_goes_on(self, server, entry, places):
        failed = threading.Event()
        server.plan("/a.bin", server_answers.after(lambda: failed.wait(30), good(CONTENT)))
        server.plan("/b.bin", status(404))
        found = []
        slow = threading.Thread(target=lambda: found.append(obtain(entry, places)))
        slow.start()
        while slow.is_alive() and not places.raw_dir.exists():
            time.sleep(0.005)
        obtain(replace(entry, name="b.bin", url=server.address + "/b.bin"), places)
        failed.set()
        slow.join(30)
        assert found[0].path.read_bytes() == CONTENT

    def test_a_good_file_that_came_first_stays(self, server, entry, places):
        target = places.raw_dir / "api" / "a.bin"
        server.plan("/a.bin", server_answers.after(lambda: target.write_bytes(CONTENT), good(CONTENT)))
        kept = []
        original = Path.replace
        try:
            Path.replace = lambda *names: kept.append(names) or original(*names)
            obtain(entry, places)
        finally:
            Path.replace = original
        assert kept == []
        assert left_behind(places.raw_dir) == ["api", "api/a.bin"]
