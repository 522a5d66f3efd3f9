import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from dataset_builder.download import DownloadError, HostUnreachableError, fetch
from dataset_builder.files import cache_folder, find_files
from dataset_builder.task_spec import Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Upstream(ThreadingHTTPServer):
    """Serves CONTENT at /file with ranges; at /slow it hangs up after two chunks of every answer; 404 elsewhere."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []  # (path, Range header)
        self.extra = {}  # path -> content

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "http://spectrum.invalid/file")
            self.end_headers()
            return
        if self.path in self.server.extra:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.extra[self.path])
            return
        if self.path not in ("/file", "/slow", "/no-ranges"):
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.path != "/no-ranges" else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 2 << 16] if self.path == "/slow" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def upstream():
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def hf_home(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hf"


def task(*files, divisible=False):
    source = Source(
        "votes", "Votes", "https://example.org/votes", "CC BY 4.0", "yes", "Doe 2020",
        folder="votes", revision="abc123", files=files, divisible=divisible,
    )  # fmt: skip
    return TaskSpec(
        "vote", "icl", "train", source, "human_variation", "Votes.", "a voter", ("vote",),
        sequences=Sequences("one"), read=lambda files: iter(()),
    )  # fmt: skip


def put(sources_dir, *paths):
    for path in paths:
        (sources_dir / "votes" / path).parent.mkdir(parents=True, exist_ok=True)
        (sources_dir / "votes" / path).write_text("x")
    return sources_dir


def test_local_files_are_found_below_the_folder_of_the_source(tmp_path):
    spec = task(SourceFile("data/a.csv"), SourceFile("data/b.csv"))
    found = find_files(spec, put(tmp_path, "data/a.csv", "data/b.csv"))
    assert found.found == {name: tmp_path / "votes" / name for name in ("data/a.csv", "data/b.csv")}
    assert (found.status, dict(found.missing)) == ("built", {})
    assert found.checksums()["data/a.csv"] == hashlib.sha256(b"x").hexdigest()


def test_a_missing_file_says_what_where_from_and_where_to(tmp_path):
    spec = task(SourceFile("a.csv"), SourceFile("b.csv"), SourceFile("c.csv"))
    with pytest.raises(UserError) as error:
        find_files(spec, put(tmp_path, "a.csv"))
    message = str(error.value)
    for part in ("task 'vote'", "'b.csv' (and 1 more files)", "source 'votes'", "https://example.org/votes", "abc123",
                 "CC BY 4.0", f"{tmp_path}/votes/b.csv", "--allow_missing"):  # fmt: skip
        assert part in message
    assert "\n" not in message


def test_without_a_folder_the_remedy_names_the_option():
    with pytest.raises(UserError, match=r"put it at 'SOURCES/votes/a\.csv' and give '--sources_dir SOURCES'"):
        find_files(task(SourceFile("a.csv")), None)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match=r"elsewhere' of raw files not found"):
        find_files(task(SourceFile("a.csv")), tmp_path / "elsewhere", allow_missing=True)


def test_allow_missing_leaves_out_an_indivisible_source(tmp_path):
    spec = task(SourceFile("a.csv"), SourceFile("b.csv"))
    found = find_files(spec, put(tmp_path, "a.csv"), allow_missing=True)
    assert (found.status, dict(found.found), list(found.missing)) == ("missing", {}, ["b.csv"])


def test_allow_missing_builds_whole_folders_of_a_divisible_source(tmp_path):
    paths = ["x/v.csv", "x/c.csv", "y/v.csv", "y/c.csv", "z/v.csv", "z/c.csv"]
    spec = task(*map(SourceFile, paths), divisible=True)
    put(tmp_path, "x/v.csv", "x/c.csv", "y/v.csv")
    found = find_files(spec, tmp_path, allow_missing=True)
    assert (found.status, list(found.found)) == ("partial", ["x/v.csv", "x/c.csv"])
    assert list(found.missing) == ["y/c.csv", "z/v.csv", "z/c.csv"]
    with pytest.raises(UserError, match=r"y/c\.csv"):
        find_files(spec, tmp_path)


def test_local_copies_may_be_samples_so_their_checksum_is_not_checked(tmp_path):
    spec = task(SourceFile("a.csv", url="https://spectrum.invalid/a.csv", sha256="0" * 64))
    assert find_files(spec, put(tmp_path, "a.csv")).status == "built"


def test_a_file_with_an_address_is_fetched_once(upstream, hf_home):
    file = SourceFile("data/a.bin", upstream.url("/file"), SHA256)
    spec = task(file)
    for _ in range(2):
        path = find_files(spec, None).found["data/a.bin"]
        assert path.read_bytes() == CONTENT
    assert path.is_relative_to(hf_home)
    assert upstream.requests == [("/file", None)]


def test_the_hub_offline_switch_forbids_fetching(upstream, hf_home, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        find_files(task(SourceFile("a.bin", upstream.url("/file"))), None)
    assert upstream.requests == []


def test_one_file_that_is_gone_does_not_stop_the_others(upstream, hf_home):
    gone, there = SourceFile("x/a.bin", upstream.url("/gone")), SourceFile("y/a.bin", upstream.url("/file"))
    found = find_files(task(gone, there, divisible=True), None, allow_missing=True)
    assert (found.status, list(found.found)) == ("partial", ["y/a.bin"])
    assert "answers 404" in found.missing["x/a.bin"]


def test_a_host_that_does_not_answer_is_tried_once(upstream, hf_home):
    upstream.server_close()  # nothing listens there any more
    files = [SourceFile(f"{i}.bin", upstream.url(f"/{i}")) for i in range(3)]
    found = find_files(task(*files), None, allow_missing=True)
    assert found.status == "missing"
    assert all("does not answer" in why for why in found.missing.values())
    assert [cache_folder(task(*files).source, file).exists() for file in files] == [True, False, False]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(upstream, tmp_path):
    target = tmp_path / "a.bin"
    for size in (2 << 16, 4 << 16):
        with pytest.raises(DownloadError, match="interrupted"):
            fetch(upstream.url("/slow"), target, SHA256)
        assert not target.exists()
        assert (tmp_path / "a.bin.incomplete").stat().st_size == size
    assert fetch(upstream.url("/slow"), target, SHA256).read_bytes() == CONTENT
    assert [wanted for _, wanted in upstream.requests] == [None, "bytes=131072-", "bytes=262144-"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_without_ranges_starts_over(upstream, tmp_path):
    (tmp_path / "a.bin.incomplete").write_bytes(b"something else")
    assert fetch(upstream.url("/no-ranges"), tmp_path / "a.bin", SHA256).read_bytes() == CONTENT


def test_a_download_cut_off_before_its_last_step_is_taken_as_it_is(upstream, tmp_path):
    (tmp_path / "a.bin.incomplete").write_bytes(CONTENT)
    assert fetch(upstream.url("/file"), tmp_path / "a.bin", SHA256).read_bytes() == CONTENT


def test_what_is_longer_than_the_file_is_thrown_away(upstream, tmp_path):
    (tmp_path / "a.bin.incomplete").write_bytes(CONTENT + b"more")
    with pytest.raises(DownloadError, match="does not match it"):
        fetch(upstream.url("/file"), tmp_path / "a.bin", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_an_error_even_when_missing_files_are_allowed(upstream, hf_home):
    spec = task(SourceFile("a.bin", upstream.url("/file"), "0" * 64))
    with pytest.raises(UserError, match="checksum"):
        find_files(spec, None, allow_missing=True)
    assert [path for path in hf_home.rglob("*") if path.is_file()] == []


def test_a_file_larger_than_allowed_is_refused_before_and_while_it_comes(upstream, tmp_path):
    with pytest.raises(UserError, match="larger than 1000 bytes"):
        fetch(upstream.url("/file"), tmp_path / "a.bin", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_only_secure_addresses_are_fetched(upstream, tmp_path):
    with pytest.raises(UserError, match="not an https address"):
        fetch("http://example.org/a.bin", tmp_path / "a.bin")
    with pytest.raises((UserError, HostUnreachableError)):
        fetch(upstream.url("/moved"), tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()


def test_an_archive_is_fetched_unpacked_and_cached(upstream, hf_home, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("names/yob1881.txt", "names/yob1880.txt", "readme.pdf"):
            archive.writestr(name, name)
    monkeypatch.setattr(upstream, "extra", {"/names.zip": packed.getvalue()})
    spec = task(SourceFile("names/yob*.txt", upstream.url("/names.zip"), hashlib.sha256(packed.getvalue()).hexdigest()))
    for _ in range(2):
        found = find_files(spec, None).found
        assert {name: path.read_text() for name, path in found.items()} == {
            "names/yob1880.txt": "names/yob1880.txt",
            "names/yob1881.txt": "names/yob1881.txt",
        }
    assert upstream.requests == [("/names.zip", None)]
