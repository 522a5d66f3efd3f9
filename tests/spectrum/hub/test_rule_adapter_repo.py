"""The adapter's repository: what lies in it, and that it runs with transformers alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from tiny_models import save_model, tiny_model
from transformers import LogitsProcessorList

from dataset_builder.errors import UserError
from spectrum.generation import rule_adapter
from spectrum.generation.rule_adapter import RuleBasedAdapter, Rules
from spectrum.hub.rule_adapter_repo import render_rule_adapter_repo

REPO = "our-org/rule-adapter"


def test_the_files_and_the_card(tmp_path):
    folder = render_rule_adapter_repo(tmp_path / "new", REPO)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == ["LICENSE", "README.md", "custom_generate/generate.py", "custom_generate/requirements.txt"]
    assert (folder / "custom_generate" / "generate.py").read_bytes() == Path(rule_adapter.__file__).read_bytes()
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "transformers")
    assert "custom_generate" in card.data.tags
    assert f'custom_generate="{REPO}"' in card.text
    assert re.search(
        r'\| `words` \| `"<"` -4, `" <"` -4, `"\\\|"` -4, .*`" should"` -6, .*`"\\n"` \+1, `"!"` \+1 \|', card.text
    )
    assert "from 0 to 15.0 over 250 tokens" in card.text
    assert "{{" not in card.text


def test_mistakes_are_named_and_nothing_is_written(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty: give a new one"):
        render_rule_adapter_repo(tmp_path / "full", REPO)
    with pytest.raises(UserError, match="'a b' is no name on a Hub"):
        render_rule_adapter_repo(tmp_path / "other", "a b")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]


PROGRAM = """
import sys
from pathlib import Path
card = Path(sys.argv[2], "README.md").read_text()
code = card.split("```python")[1].split("```")[0]
code = code.replace("google/gemma-3-270m", sys.argv[1]).replace("our-org/rule-adapter", sys.argv[2])
names = {}
exec(code.replace("max_new_tokens=250", "max_new_tokens=20, do_sample=False"), names)
assert not any(name.split(".")[0] in ("spectrum", "dataset_builder", "metrics") for name in sys.modules)
print(*names["tokens"][0].tolist())
"""


def test_the_example_of_the_card_runs_without_our_code(tokenizer_of, tmp_path):
    """In a fresh process outside the checkout; the folder stands for the repository."""
    tokenizer = tokenizer_of("llama3")
    model = tiny_model("gemma3", len(tokenizer))
    save_model(tmp_path / "model", tokenizer)
    folder = render_rule_adapter_repo(tmp_path / "rules", REPO)
    command = [sys.executable, "-I", "-c", PROGRAM, str(tmp_path / "model"), str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    prompt = tokenizer("<|user|>\nName three uses of a brick.\n<|assistant|>\n", return_tensors="pt")
    adapter = RuleBasedAdapter(tokenizer, Rules(), eos_token_id=model.generation_config.eos_token_id)
    expected = model.generate(
        **prompt, logits_processor=LogitsProcessorList([adapter]), max_new_tokens=20, do_sample=False
    )
    assert torch.equal(torch.tensor([list(map(int, done.stdout.split()))]), expected)
    plain = model.generate(**prompt, max_new_tokens=20, do_sample=False)
    assert not torch.equal(expected, plain)
