"""What a push is verified by runs without our code, also where that is installed."""

from types import SimpleNamespace

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.hub import verify

SCRIPT = """
import sys
assert sys.modules.get("spectrum_suite", "not blocked") is None, "not blocked"
print(*sys.argv[1:])
{more}
"""


@pytest.mark.parametrize("ours", ["spectrum_suite", "dataset_builder"])
def test_our_packages_cannot_be_imported(tmp_path, monkeypatch, ours):
    monkeypatch.setattr(verify, "_SCRIPTS", tmp_path)
    script = tmp_path / "verify_metric.py"
    publication = SimpleNamespace(
        kind="metric", depends_on=(), expected=("coin",), repository=SimpleNamespace(id="org/m")
    )
    published = SimpleNamespace(commit="abc", restricted=False)
    script.write_text(SCRIPT.format(more=""))
    assert verify.verify(publication, published, "token") == ["org/m abc coin"]
    script.write_text(SCRIPT.format(more=f"import {ours}"))
    with pytest.raises(UserError, match=rf"does not load: ModuleNotFoundError: import of {ours} halted"):
        verify.verify(publication, published, "token")
