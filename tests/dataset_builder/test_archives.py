import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from dataset_builder.archives import is_packed, unpack
from spectrum_suite.errors import UserError

FILES = {"names/yob1880.txt": b"Mary,F,7065\n", "names/yob1881.txt": b"Anna,F,2698\n", "readme.pdf": b"%PDF"}


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path, files, **attributes):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w:bz2") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return path


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz", "a.tar.bz2"])
def test_the_members_that_match_are_unpacked_and_nothing_else(tmp_path, name):
    packed = (make_zip if name == "a.zip" else make_tar)(tmp_path / name, FILES)
    folder = unpack(packed, "names/yob*.txt", tmp_path / "out")
    assert tree(folder) == {path: content for path, content in FILES.items() if path.startswith("names/")}
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out"]


def test_members_written_with_a_leading_dot_are_found(tmp_path):
    packed = make_tar(tmp_path / "a.tgz", {"./names/yob1880.txt": b"x"})
    assert tree(unpack(packed, "names/yob*.txt", tmp_path / "out")) == {"names/yob1880.txt": b"x"}


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_compressed_file_is_unpacked_under_its_path(tmp_path, suffix, compress):
    packed = tmp_path / f"threads.jsonl{suffix}"
    packed.write_bytes(compress(b"line\n" * 1000))
    assert tree(unpack(packed, "data/threads.jsonl", tmp_path / "out")) == {"data/threads.jsonl": b"line\n" * 1000}


@pytest.mark.parametrize("name", ["../evil.txt", "names/../../evil.txt", "/evil.txt"])
@pytest.mark.parametrize("make", [lambda path, files: make_tar(path.with_name("a.tgz"), files), make_zip])
def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path, make, name):
    (tmp_path / "inner").mkdir()
    packed = make(tmp_path / "inner" / "a.zip", {"names/good.txt": b"good", name: b"evil"})
    with pytest.raises(UserError, match="outside its folder"):
        unpack(packed, "*.txt", tmp_path / "inner" / "out")
    assert list(tmp_path.rglob("*.txt")) == []


def test_links_are_not_unpacked(tmp_path):
    packed = make_tar(tmp_path / "a.tgz", {"names/link.txt": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(UserError, match="has none of the expected files"):
        unpack(packed, "names/*", tmp_path / "out")


def test_a_bomb_is_stopped(tmp_path):
    packed = make_zip(tmp_path / "a.zip", {"a.txt": b"0" * 600, "b.txt": b"0" * 600})
    with pytest.raises(UserError, match="more than 1000 bytes"):
        unpack(packed, "*.txt", tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.txt.xz", "a.txt.gz"])
def test_a_damaged_archive_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive at all")
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(tmp_path / name, "a.txt", tmp_path / "out")


def test_what_has_to_be_unpacked_is_told_by_the_names():
    assert is_packed("https://x.org/names.zip", "yob*.txt")
    assert is_packed("https://x.org/threads.jsonl.bz2", "threads.jsonl")
    assert not is_packed("https://x.org/threads.jsonl.bz2", "threads.jsonl.bz2")
    assert not is_packed("https://x.org/data.csv", "data.csv")
