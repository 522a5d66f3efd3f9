"""Hashes that stay as they are, since suites, reports and checkpoints carry them."""

from spectrum_suite.fingerprints import fingerprint, fingerprint_of_bytes, fingerprint_of_rows


def test_known_values():
    """By `printf '{"a": 1, "b": [2]}' | sha256sum`."""
    assert fingerprint({"b": [2], "a": 1}) == "ae8a9a5052464275"
    assert fingerprint_of_bytes([b'{"a": 1, ', b'"b": [2]}']) == "ae8a9a5052464275"


def test_rows_are_hashed_one_after_another():
    assert fingerprint_of_rows([{"a": 1}, {"b": 2}]) == fingerprint_of_bytes([b'{"a": 1}{"b": 2}'])
    assert fingerprint_of_rows([{"a": 1}, {"b": 2}]) != fingerprint_of_rows([{"b": 2}, {"a": 1}])
