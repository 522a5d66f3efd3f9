"""What is loaded for scoring is the model that was tuned, and a mistake in its name is one line."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from spectrum_suite import embedded_model, models
from spectrum_suite.errors import UserError
from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer
from tests.tiny_models import save_model

IDS = torch.tensor([[0, 5, 7, 9, 30, 5]])


@pytest.fixture(scope="module")
def base(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("base"), tokenizer_of("llama3"))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, base):
    """A LoRA adapter with trainable rows of the tied embedding, all of it random; it comes without a tokenizer."""
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", trainable_token_indices=[5, 7])
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter.data, std=0.2)
    model.save_pretrained(folder)
    return folder


@torch.inference_mode()
def logits(model):
    return model.eval()(IDS).logits


def test_a_merged_adapter_gives_the_logits_of_the_unmerged_one(base, adapter):
    plain = logits(AutoModelForCausalLM.from_pretrained(base))
    unmerged = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter))
    model, tokenizer = load_for_scoring(str(adapter), device="cpu")
    assert not isinstance(model, PeftModel)
    assert not model.training
    torch.testing.assert_close(logits(model), unmerged, atol=1e-4, rtol=0)
    assert (unmerged - plain)[..., [5, 7]].abs().max() > 0.1  # the tied head has the trained rows, too
    assert tokenizer("a").input_ids[0] == tokenizer.bos_token_id


def test_an_adapter_with_the_settings_of_a_tokenizer_alone_has_its_bases_vocabulary(
    base, adapter, tokenizer_of, tmp_path
):
    own = tokenizer_of("llama3")
    own.chat_template = "{{ messages }}"
    tuned = shutil.copytree(adapter, tmp_path / "adapter")
    own.save_pretrained(tuned)
    (tuned / "tokenizer.json").unlink()
    found = load_tokenizer(find_model(str(tuned)))
    assert len(found) == len(own)
    assert found("hello 1 2").input_ids == own("hello 1 2").input_ids
    assert found.chat_template == own.chat_template


def test_a_model_without_its_vocabulary_is_refused(base, tokenizer_of, tmp_path):
    broken = shutil.copytree(base, tmp_path / "broken")
    (broken / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"the tokenizer of model '.*broken' (has only \d+ tokens|cannot be loaded)"):
        load_tokenizer(find_model(str(broken)))


def test_a_tuned_checkpoint_that_comes_with_the_project(base, adapter, tmp_path, monkeypatch):
    ours, theirs = tmp_path / "project" / "checkpoints", tmp_path / "elsewhere" / "checkpoints"
    for place in (ours, theirs):
        shutil.copytree(adapter, place / "small-spectrum")
    monkeypatch.setattr(embedded_model, "own_folder", lambda name: tmp_path / "project" / name)
    monkeypatch.chdir(theirs.parent)
    files = find_model("embedded:small-spectrum", adapter_scale=0.5)
    assert (files.folder, files.base.folder, files.adapter_scale) == (ours / "small-spectrum", base, 0.5)
    assert files.fingerprint() == find_model(str(theirs / "small-spectrum"), adapter_scale=0.5).fingerprint()
    with pytest.raises(UserError, match="no embedded model 'small-spectrun', did you mean 'small-spectrum'"):
        find_model("embedded:small-spectrun")
    shutil.rmtree(ours)  # as in a package that was installed
    with pytest.raises(UserError, match=r"small-spectrum': there are .*; tuned ones are in the folder checkpoints/ of"):
        find_model("embedded:small-spectrum")


def test_float32_on_a_cpu_unless_said(base):
    assert load_for_scoring(str(base), device="cpu")[0].dtype == torch.float32
    assert load_for_scoring(str(base), device="cpu", dtype="bfloat16")[0].dtype == torch.bfloat16


def test_another_base_can_be_given(base, adapter, tmp_path):
    moved = shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((moved / "adapter_config.json").read_text()) | {"base_model_name_or_path": None}
    (moved / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="does not name its base model: give it with --base"):
        find_model(str(moved))
    assert find_model(str(moved), base=str(base)).base.folder == base


def test_an_embedded_base_has_its_name_and_not_that_of_its_folder(base, adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_model, "HF_HOME", str(tmp_path))
    place = shutil.copytree(base, tmp_path / "spectrum" / "embedded" / "smollm2-135m")
    assert find_model(str(adapter), base=str(place)).base.name == "embedded:smollm2-135m"
    assert find_model(str(adapter)).base.name == str(base)


def test_the_fingerprint_follows_the_weights_and_not_the_place(base, adapter, tmp_path):
    copy = shutil.copytree(base, tmp_path / "copy")
    before = find_model(str(base)).fingerprint()
    assert find_model(str(copy)).fingerprint() == before
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert find_model(str(copy)).fingerprint() != before
    assert find_model(str(adapter), base=str(copy)).fingerprint() != find_model(str(adapter)).fingerprint()


@pytest.fixture
def changed(base, tmp_path):
    """``changed(name, content)``: whether a file with other content makes the model of a folder another one."""

    def fingerprint(folder, name, content):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return find_model(str(folder)).fingerprint()

    def is_other(name, folder=None):
        folder = folder or shutil.copytree(base, tmp_path / "changed", dirs_exist_ok=True)
        return fingerprint(folder, name, b'{"a": 1}') != fingerprint(folder, name, b'{"a": 2}')

    return is_other


@pytest.mark.parametrize(
    "name",
    [
        "generation_config.json", "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "tokenizer.model",
        "tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json", "model.safetensors.index.json",
        "model-00002-of-00002.safetensors", "qwen.tiktoken",
    ],
)  # fmt: skip
def test_a_fingerprint_covers_what_a_load_reads(changed, name):
    assert changed(name)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "training_report.json",
        "report.json",
        "summary.json",
        "trainer_state.json",
        "optimizer.pt",
        "x/y.json",
    ],
)
def test_a_fingerprint_does_not_follow_what_no_load_reads(changed, name):
    assert not changed(name)


def test_pickled_weights_count_where_they_are_read(base, tmp_path, changed):
    assert not changed("pytorch_model.bin")  # beside safetensors nobody reads them
    folder = shutil.copytree(base, tmp_path / "pickled")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    expected = logits(load_for_scoring(str(base), device="cpu")[0])
    torch.testing.assert_close(logits(load_for_scoring(str(folder), device="cpu")[0]), expected)
    assert changed("pytorch_model.bin", folder)
    assert changed("pytorch_model-00001-of-00002.bin", folder)
    assert changed("pytorch_model.bin.index.json", folder)


def test_every_byte_of_large_weights_counts(base, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_WHOLE", 1000)
    monkeypatch.setattr(models, "_BLOCK", 4096)
    folder = shutil.copytree(base, tmp_path / "large")
    content = bytearray((folder / "model.safetensors").read_bytes())
    found = {find_model(str(folder)).fingerprint()}
    for place in (len(content) // 3, len(content) // 2, len(content) - 1):
        content[place] ^= 1
        (folder / "model.safetensors").write_bytes(content)
        found.add(find_model(str(folder)).fingerprint())
    assert len(found) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./no/such/folder", "model folder './no/such/folder' not found"),
        ("embedded:gemma-3-270", "did you mean 'gemma-3-270m'"),
    ],
)
def test_a_model_that_is_not_there(name, message):
    with pytest.raises(UserError, match=message):
        find_model(name)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(UserError, match=r"holds no model: it has neither a config\.json nor an adapter_config\.json"):
        find_model(str(tmp_path))


def test_a_base_for_a_model_that_is_no_adapter(base):
    with pytest.raises(UserError, match="is not an adapter: leave --base out"):
        find_model(str(base), base=str(base))


def test_a_checkpoint_without_weights(base, tmp_path):
    shutil.copy(base / "config.json", tmp_path)
    with pytest.raises(UserError, match="cannot be loaded as a causal language model"):
        load_for_scoring(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("options", "message"), [({"dtype": "int8"}, "no dtype 'int8'"), ({"device": "gpu"}, "no device 'gpu'")]
)
def test_a_wrong_dtype_or_device(base, options, message):
    with pytest.raises(UserError, match=message):
        load_for_scoring(str(base), **options)
