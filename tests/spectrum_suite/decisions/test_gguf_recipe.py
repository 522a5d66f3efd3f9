"""The recipe of the documents writes the metadata by which llama.cpp knows a decision model."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from tests.documents import fences, read


def test_the_recipe_adds_keys_and_keeps_the_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = np.arange(8, dtype=np.float32)
    writer = GGUFWriter("decider.gguf", "qwen3")
    writer.add_block_count(3)
    writer.add_tensor("weights", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (recipe,) = [each.text for each in fences(read(Path("docs/decisions.md"))) if "copy_with_new_metadata" in each.text]
    exec(compile(recipe, "docs/decisions.md", "exec"), {})  # noqa: S102 - the document's own
    written = GGUFReader("decider-decisions.gguf")
    found = {name: field.contents() for name, field in written.fields.items() if name.startswith("qwen3.")}
    assert found.pop("qwen3.decision.temperature.choice") == pytest.approx(1.25)
    assert found.pop("qwen3.decision.temperature.score") == pytest.approx(1.1)
    assert found == {
        "qwen3.block_count": 3, "qwen3.decision.type": "openjev", "qwen3.decision.temperature.noul": 1.0,
    }  # fmt: skip
    np.testing.assert_array_equal(written.tensors[0].data, weights)
