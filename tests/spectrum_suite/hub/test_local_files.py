import hashlib
import subprocess

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile, scan_folder

pytestmark = pytest.mark.hub


def test_hashes_are_those_of_git_and_sha256sum(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"heads\n" * 500_000)  # three blocks
    file = LocalFile("a/file", path)
    git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert file.git_oid == git.stdout.strip()
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.size == 3_000_000
    assert LocalFile("b", b"heads\n" * 500_000).git_oid == file.git_oid


def test_a_known_hash_is_not_computed_again(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"heads")
    file = LocalFile("file", path)
    assert not file.operation().upload_info.is_hashed
    known = file.sha256
    path.write_bytes(b"tails")
    assert file.operation().upload_info.sha256.hex() == known


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/x", "a/../b", "a//b", "./a", "a\\b", "line\nbreak"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(UserError, match="file name"):
        LocalFile(name, b"")


def test_a_folder_is_listed_without_caches(tmp_path):
    for name in ("b.txt", "a/c.txt", "__pycache__/d.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert scan_folder(tmp_path) == ["a/c.txt", "b.txt"]


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "a/.env", "token", "hf_token.txt", "my.token", ".netrc", "id_rsa", "a.key", "Secrets.yaml"],
)  # fmt: skip
def test_files_of_secrets_are_refused_by_name(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match="looks like a file of secrets") as caught:
        scan_folder(tmp_path)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "environment.yml", "keys.md", "tokenization.py"]
)
def test_harmless_names_are_not(tmp_path, name):
    (tmp_path / name).write_text("x")
    assert scan_folder(tmp_path) == [name]


@pytest.mark.parametrize("target", ["outside.txt", "."])
def test_links_are_refused_by_name(tmp_path, target):
    (tmp_path / "outside.txt").write_text("x")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"'link' in .* is a link"):
        scan_folder(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"folder .*nowhere' not found"):
        scan_folder(tmp_path / "nowhere")


def test_environments_and_caches_are_not_looked_into(tmp_path):
    for name in ("venv/pyvenv.cfg", "venv/lib/.env", "a/env/pyvenv.cfg", ".git/config", "node_modules/x.js", "b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    assert scan_folder(tmp_path) == ["b.txt"]
