"""Secrets of every kind, in every format that is sent, are found and not shown; what only looks like one is not."""

import json
import re
import struct
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.secret_scan import REDACTED, RULES, SecretScan, found_in, redacted

pytestmark = pytest.mark.hub


def spread(length, letters="aB3dE5gH7jK9"):
    return (letters * length)[:length]


SECRETS = {  # put together here, so that no scanner takes this file for a leak
    "Hugging Face": "h" + "f_" + spread(34, "abCDefGHijKL"),
    "Hugging Face, of an organisation": "api" + "_org_" + spread(34, "abCDefGHijKL"),
    "Anthropic": "sk" + "-ant-api03-" + spread(40),
    "OpenAI, of a project": "sk" + "-proj-" + spread(30) + "_" + spread(20) + "-x",
    "OpenAI, old": "sk" + "-" + spread(48),
    "OpenAI, marked": "sk" + "-" + spread(20) + "T3Blbk" + "FJ" + spread(20),
    "GitHub": "gh" + "p_" + spread(36),
    "GitHub, fine-grained": "github" + "_pat_" + spread(22) + "_" + spread(59),
    "AWS": "AK" + "IA" + spread(16, "ABCDEFG234567"),
    "AWS, secret": "aws_secret" + "_access_key = " + spread(40),
    "AWS, secret in quotes": 'AWS_SECRET' + f'_ACCESS_KEY="{spread(40)}"',
    "AWS, secret in JSON": '"Secret' + f'AccessKey": "{spread(40)}"',
    "address without a user": "redis://:" + "correct-horse@cache.example.org:6379/0",
    "Google": "AI" + "za" + spread(35),
    "Google, OAuth": "GOC" + "SPX-" + spread(28),
    "Slack": "xo" + "xb-123456789012-" + spread(24, "abcdef123"),
    "Slack, app": "xa" + "pp-1-A0123456789-" + spread(24),
    "Slack, webhook": "https://hooks" + ".slack.com/services/T" + spread(8) + "/B" + spread(8) + "/" + spread(24),
    "private key": "-----BEGIN " + "PRIVATE KEY-----",
    "private key, RSA": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "private key, encrypted": "-----BEGIN ENCRYPTED " + "PRIVATE KEY-----",
    "address": "https://ada:" + "correct-horse@git.example.org/data.git",
    "address, signs": "postgres://ada:" + "c0rrect!horse$@db.example.org:5432/x",
    "address in JSON": "https:\\/\\/ada:" + "correct-horse@git.example.org",
    "GitLab": "gl" + "pat-" + spread(20),
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + spread(43),
    "npm": "//registry.npmjs.org/:_auth" + "Token=npm_" + spread(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + spread(80),
    "SendGrid": "SG" + "." + spread(22) + "." + spread(43),
    "Stripe": "sk" + "_live_" + spread(24),
    "Azure": "Account" + "Key=" + spread(88),
}  # fmt: skip
HARMLESS = [
    "hf_hub_download and hf_transfer, hf_",
    "a task-" + "a" * 40, "the desk-" + "b1" * 20, "sk-learn, sk-ant, xoxo-kisses",
    "https://huggingface.co/datasets/org/name", "mail ada@example.org: hello", "http://localhost:8080/@ada",
    "https://user:{password}@host.org", "https://<user>:<token>@host.org", "https://u:$TOKEN@host.org",
    "https://u:***@host.org", "http://[::1]:8080/a@b", "the secret access key of AWS: see its page",
    "12:30@noon", "a://b", "AKIA", "AIza and eyJ", "data:image/png;base64," + "AIza" * 40,
    "A3T" + spread(17, "EYXZG6"), "3QE" + "AKIA" + spread(23, "W5O0KH"),  # a crowd worker's, and an assignment's
    "f" * 40, "0123456789abcdef" * 4, "ghp_ and github_pat_", "BEGIN PUBLIC KEY",
]  # fmt: skip


@pytest.mark.parametrize("secret", [pytest.param(secret, id=name) for name, secret in SECRETS.items()])
def test_every_kind_is_found_and_not_shown(secret):
    text = f"before it {secret} and after it"
    found = found_in(text)
    assert found
    assert secret not in found
    assert REDACTED in redacted(text)
    core = (
        re.split(r"ada:|/:", secret)[-1].partition("@")[0]
        if "@" in secret
        else max(secret.replace('"', " ").replace("=", " ").split(), key=len)
    )
    assert core not in redacted(text)
    with pytest.raises(UserError) as caught:
        SecretScan().check([LocalFile("notes.md", text.encode())])
    assert str(caught.value).startswith("file 'notes.md' has ")
    assert core not in str(caught.value)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_is_not(text):
    assert found_in(text) is None
    assert redacted(text) == text
    SecretScan().check([LocalFile("notes.md", text.encode())])


def test_each_rule_lets_all_of_its_own_through_to_the_detectors():
    """The quick expression of a rule fits whatever the rule finds."""
    for secret in SECRETS.values():
        for rule in RULES:
            if rule.finds(secret):
                assert re.search(rule.quick, secret), (rule, secret)


TOKEN = SECRETS["Hugging Face"]


def parquet(table, **how):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    return sink.getvalue().to_pybytes()


def safetensors(metadata):
    header = json.dumps({"__metadata__": metadata, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\1"


NESTED = pa.array([[{"role": "output", "content": "x"}], [{"role": "output", "content": f"say {TOKEN}"}]])
FILES = {
    "README.md": f"# Card\n{TOKEN}".encode(),
    "notebook.ipynb": json.dumps({"cells": [{"source": [f"login({TOKEN!r})"]}]}).encode(),
    "index.html": f"<script>const token = '{TOKEN}'</script>".encode(),
    "LICENSE": f"see {TOKEN}".encode(),
    "utf16.txt": f"token: {TOKEN}".encode("utf-16"),
    "utf16be": f"token: {TOKEN}".encode("utf-16-be"),
    "utf32.txt": f"token: {TOKEN}".encode("utf-32"),
    "latin.txt": f"Zürich {TOKEN}".encode("latin-1"),
    "adapter_model.safetensors": safetensors({"note": TOKEN}),
    "tokenizer.model": b"\n\x05\x00\xff" + TOKEN.encode() + b"\x15",
    "tokenizer.json": json.dumps({"model": {"vocab": {TOKEN: 5}}}).encode(),
    "chat_template.jinja": ("{# " + TOKEN + " #}").encode(),
    "far.bin": b"\xff" * (2**20 - 10) + TOKEN.encode() + b"\xff" * 100,  # over the edge of a piece
    "texts.parquet": parquet(pa.table({"id": ["1", "2"], "text": ["x", f"a {TOKEN}"]})),
    "large.parquet": parquet(pa.table({"text": pa.array([f"a {TOKEN}"], pa.large_string())})),
    "nested.parquet": parquet(pa.table({"messages": NESTED})),
    "words.parquet": parquet(pa.table({"w": pa.array([TOKEN]).dictionary_encode()})),
    "bytes.parquet": parquet(pa.table({"b": pa.array([TOKEN.encode("utf-16")])})),
    "map.parquet": parquet(pa.table({"m": pa.array([[("k", TOKEN)]], pa.map_(pa.string(), pa.string()))})),
    "json.parquet": parquet(pa.table({"j": pa.array([f'{{"a": "{TOKEN}"}}'], pa.json_())})),
    "metadata.parquet": parquet(pa.table({"a": [1]}).replace_schema_metadata({"note": TOKEN})),
    "field.parquet": parquet(pa.table([[1]], schema=pa.schema([pa.field("a", pa.int64(), metadata={"n": TOKEN})]))),
    "column.parquet": parquet(pa.table({TOKEN: [1]})),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_looked_into(name):
    with pytest.raises(
        UserError, match=r"an access token in it \(Hugging Face\): take it out, and revoke it"
    ) as caught:
        SecretScan().check([LocalFile("fine.txt", b"x"), LocalFile(name, FILES[name])])
    assert repr(name) in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_two_cells_are_not_read_as_one():
    table = pa.table({"a": ["see http://a.org", "b:c@d", TOKEN[:12], TOKEN[12:]]})
    SecretScan().check([LocalFile("a.parquet", parquet(table))])


def test_the_users_own_token_is_found_wherever_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "in.the+environment")
    kept = tmp_path / "token"
    kept.write_text("kept-in-a-file\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(kept))
    for own in ("in.the+environment", "kept-in-a-file", "given to push"):
        with pytest.raises(UserError, match=r"has an access token in it \(your own\)") as caught:
            SecretScan("given to push").check([LocalFile("a", f"x{own}x".encode("utf-16"))])
        assert own not in str(caught.value)
    SecretScan("given to push").check([LocalFile("a", b"inathe+environment")])


def test_texts_beside_the_files_are_looked_through():
    with pytest.raises(UserError, match=r"^the commit message has an access token in it"):
        SecretScan().check([], [("the card", "fine"), ("the commit message", f"by {TOKEN}")])
    with pytest.raises(UserError, match=r"^the name of a file has an access token in it"):
        SecretScan().check([LocalFile(f"{TOKEN}.txt", b"")])


@pytest.mark.parametrize("content", [b"", b"no Parquet", FILES["texts.parquet"][:-9]])
def test_a_file_that_is_no_parquet_ends_in_a_line(content):
    with pytest.raises(UserError, match=r"^file 'a.parquet' is not valid Parquet \("):
        SecretScan().check([LocalFile("a.parquet", content)])


def test_a_large_table_takes_little_time_and_memory(tmp_path):
    """Some 100 MB of prose with addresses in it: a second of a processor's time, and no copy of the file."""
    words = [
        "draws",
        "of",
        "a",
        "key",
        "behind",
        "https://huggingface.co/org/name:",
        "the",
        "coin,",
        "its",
        "token",
        "and",
        '"heads"\n',
    ]
    texts = [" ".join(words[start % 7 :] * 50) for start in range(200)]
    path = tmp_path / "large.parquet"
    with pq.ParquetWriter(path, pa.schema({"text": pa.string()}), compression="none", use_dictionary=False) as writer:
        for _ in range(100):
            writer.write_table(pa.table({"text": texts}))
    size = path.stat().st_size
    assert size > 60e6
    before, started = pa.total_allocated_bytes(), time.process_time()
    SecretScan().check([LocalFile("large.parquet", path)])
    assert time.process_time() - started < 6
    assert pa.total_allocated_bytes() - before < size / 10
