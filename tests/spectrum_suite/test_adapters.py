"""An adapter of any kind, scored and merged, is the function that it is beside its base, or is refused in one line."""

import json
import re

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GptOssConfig,
    JambaConfig,
    MambaConfig,
    MixtralConfig,
    PhiConfig,
    PhiForCausalLM,
    PhimoeConfig,
    Qwen3MoeConfig,
)

from spectrum_suite.errors import UserError
from spectrum_suite.models import find_model, load_for_scoring, load_merged
from spectrum_suite.training.adaptation import AdaptationConfig, load_model, merge_adapter
from tests.tiny_models import save_llama, shaken, tiny_model

IDS = torch.tensor([[5, 9, 30, 77, 3, 1, 2, 44]])
LINEAR = {"target_modules": ["q_proj", "v_proj", "up_proj", "down_proj"]}
EMBEDDINGS = ("embed_tokens", "lm_head")


@pytest.fixture(params=["tied", "untied"])
def base(request, tokenizer_of, tmp_path):
    """A Gemma 3, which ties embeddings and head and scales the former, or a Llama, which does neither."""
    folder = tmp_path / request.param
    tokenizer = tokenizer_of("chatml")
    if request.param == "untied":
        return save_llama(folder, tokenizer)
    tiny_model("gemma3", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@torch.no_grad()
def logits(model):
    return model.eval()(IDS).logits


def make(base, folder, config):
    """An adapter of a base; returns the logits of the two beside each other, as PEFT loads them."""
    torch.manual_seed(0)
    shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(base), config), by=0.2).save_pretrained(folder)
    return logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder))


def refused(call, *words):
    with pytest.raises(UserError) as error:
        call()
    message = str(error.value)
    assert re.fullmatch(r"[^\n]+", message), message
    for word in words:
        assert word in message, message


KINDS = {
    "lora": lambda: LoraConfig(**LINEAR),
    "all linear": lambda: LoraConfig(target_modules="all-linear"),
    "dora": lambda: LoraConfig(**LINEAR, use_dora=True),
    "rslora": lambda: LoraConfig(**LINEAR, use_rslora=True),
    "embeddings": lambda: LoraConfig(target_modules=["q_proj", "embed_tokens"]),
    "head": lambda: LoraConfig(target_modules=["q_proj", "lm_head"]),
    "both": lambda: LoraConfig(target_modules=["q_proj", *EMBEDDINGS]),
    "both, tied": lambda: LoraConfig(target_modules=["q_proj", *EMBEDDINGS], ensure_weight_tying=True),
    "embeddings saved": lambda: LoraConfig(**LINEAR, modules_to_save=["embed_tokens"]),
    "head saved": lambda: LoraConfig(**LINEAR, modules_to_save=["lm_head"]),
    "both saved": lambda: LoraConfig(**LINEAR, modules_to_save=list(EMBEDDINGS)),
    "rows": lambda: LoraConfig(**LINEAR, trainable_token_indices=[5, 9]),
    "rows of embeddings": lambda: LoraConfig(**LINEAR, trainable_token_indices={"embed_tokens": [5, 9]}),
    "trainable tokens": lambda: peft.TrainableTokensConfig(token_indices=[5, 9], target_modules=["embed_tokens"]),
    "loha": lambda: peft.LoHaConfig(**LINEAR),
    "lokr": lambda: peft.LoKrConfig(**LINEAR),
    "ia3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "vera": lambda: peft.VeraConfig(target_modules=["q_proj"]),
    "norms": lambda: peft.LNTuningConfig(target_modules=["input_layernorm"]),
    "fourier": lambda: peft.FourierFTConfig(target_modules=["q_proj"], n_frequency=10),
    "adalora": lambda: peft.AdaLoraConfig(**LINEAR, total_step=10),
    "oft": lambda: peft.OFTConfig(**LINEAR, oft_block_size=4),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task_type", ["CAUSAL_LM", None])
def test_scored_merged_and_saved_are_one_function(base, tokenizer_of, tmp_path, kind, task_type):
    config = KINDS[kind]()
    config.task_type = task_type
    adapter = tmp_path / "adapter"
    expected = make(base, adapter, config)
    assert (expected - logits(AutoModelForCausalLM.from_pretrained(base))).abs().max() > 0.01
    torch.testing.assert_close(logits(load_for_scoring(str(adapter), device="cpu")[0]), expected, rtol=1e-4, atol=1e-3)
    merged = merge_adapter(adapter, str(base), "main", tokenizer_of("chatml"))
    torch.testing.assert_close(logits(load_for_scoring(str(merged), device="cpu")[0]), expected, rtol=1e-4, atol=1e-3)
    load_merged(find_model(str(adapter))).save_pretrained(tmp_path / "published")
    published = AutoModelForCausalLM.from_pretrained(tmp_path / "published")
    torch.testing.assert_close(logits(published), expected, rtol=1e-4, atol=1e-3)


def test_what_stays_equal_stays_tied(tokenizer_of, tmp_path):
    tiny_model("gemma3", 1200).save_pretrained(tmp_path / "base")
    for kind, is_tied in {"lora": True, "rows": True, "embeddings": False}.items():
        make(tmp_path / "base", tmp_path / kind, KINDS[kind]())
        model = load_merged(find_model(str(tmp_path / kind)))
        assert (model.lm_head.weight is model.model.embed_tokens.weight) is is_tied, kind
        assert model.config.tie_word_embeddings is is_tied, kind


PROMPTS = {
    "prompt tuning": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "prefix tuning": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "p-tuning": lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "adaption prompt": lambda: peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=1),
}


@pytest.mark.parametrize("kind", PROMPTS)
def test_adapters_that_change_no_weights_are_refused(tokenizer_of, tmp_path, kind):
    base = save_llama(tmp_path / "base", tokenizer_of("chatml"))
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), PROMPTS[kind]()).save_pretrained(tmp_path / "adapter")
    refused(lambda: load_for_scoring(str(tmp_path / "adapter")), "changes no weights and cannot be merged")


def test_an_adapter_that_cannot_be_merged_is_refused(base, tmp_path):
    make(base, tmp_path / "adapter", LoraConfig(**LINEAR, lora_bias=True))
    refused(lambda: load_for_scoring(str(tmp_path / "adapter"), device="cpu"), "cannot be merged into its base")


def test_an_adapter_of_another_task_is_refused(base, tmp_path):
    make(base, tmp_path / "adapter", LoraConfig(**LINEAR, task_type="FEATURE_EXTRACTION"))
    refused(lambda: load_for_scoring(str(tmp_path / "adapter")), "is for the task FEATURE_EXTRACTION")


def rewrite(adapter, function):
    path = adapter / "adapter_model.safetensors"
    save_file(function(load_file(path)), path)


def test_an_adapter_that_is_not_whole_is_refused_by_name(base, tmp_path):
    adapter = tmp_path / "adapter"
    make(base, adapter, LoraConfig(**LINEAR, trainable_token_indices=[5, 9]))
    whole = load_file(adapter / "adapter_model.safetensors")
    for lost in ("layers.0.self_attn.q_proj.lora_B.weight", "trainable_tokens_delta"):
        rewrite(adapter, lambda _, lost=lost: {name: w for name, w in whole.items() if lost not in name})
        refused(lambda: load_for_scoring(str(adapter), device="cpu"), lost)
    rewrite(
        adapter, lambda _: whole | {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.ones(8, 32)}
    )
    refused(lambda: load_for_scoring(str(adapter), device="cpu"), "has", "layers.9", "give the base it was made for")
    rewrite(adapter, lambda _: {name: torch.ones(3, 3) for name in whole})
    refused(lambda: load_for_scoring(str(adapter), device="cpu"), "does not fit base")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"peft_type": "NOSUCH"}', '{"peft_type": "LORA", "r": "many"}'])
def test_a_broken_configuration_is_one_line(base, tmp_path, content):
    make(base, tmp_path / "adapter", LoraConfig(**LINEAR))
    (tmp_path / "adapter" / "adapter_config.json").write_text(content)
    refused(lambda: load_for_scoring(str(tmp_path / "adapter"), device="cpu"), "adapter")


def test_pickled_adapters_are_read_as_tensors_and_count_in_the_fingerprint(base, tmp_path):
    adapter = tmp_path / "adapter"
    expected = make(base, adapter, LoraConfig(**LINEAR))
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(weights, adapter / "adapter_model.bin")
    before = find_model(str(adapter)).fingerprint()
    torch.testing.assert_close(logits(load_for_scoring(str(adapter), device="cpu")[0]), expected, rtol=1e-4, atol=1e-3)
    torch.save({name: weight + 1 for name, weight in weights.items()}, adapter / "adapter_model.bin")
    assert find_model(str(adapter)).fingerprint() != before


def phi(folder, tokenizer, *, tied=False):
    """A model whose LM head has a bias, all of it far from zero."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = PhiForCausalLM(PhiConfig(vocab_size=len(tokenizer), **shape, tie_word_embeddings=tied))
    torch.nn.init.normal_(model.lm_head.bias, std=3.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def settings(**options):
    return AdaptationConfig(**{"dtype": "float32", "load_in_4bit": False, "lora_dropout": 0.0} | options)


def test_a_head_keeps_its_bias_where_turn_tokens_train(tokenizer_of, tmp_path):
    base = phi(tmp_path / "base", tokenizer_of("chatml"))
    model = load_model(base, settings(), [1, 2]).eval()
    torch.testing.assert_close(logits(model), logits(AutoModelForCausalLM.from_pretrained(base)))
    trained = logits(shaken(model, by=0.2))
    model.save_pretrained(tmp_path / "adapter")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    merged = merge_adapter(tmp_path / "adapter", base, "main", tokenizer_of("chatml"))
    for found in (theirs, load_for_scoring(str(tmp_path / "adapter"))[0], AutoModelForCausalLM.from_pretrained(merged)):
        torch.testing.assert_close(logits(found), trained, rtol=1e-4, atol=1e-4)


def test_rows_that_would_drop_a_bias_are_refused(tokenizer_of, tmp_path):
    base = phi(tmp_path / "base", tokenizer_of("chatml"))
    refused(
        lambda: load_model(base, settings(), [1, 2], like={1: 5, 2: 7}), "has a bias", "--turn_tokens train or keep"
    )
    load_model(base, settings(use_peft=False), [1, 2], like={1: 5, 2: 7})
    tied = phi(tmp_path / "tied", tokenizer_of("chatml"), tied=True)
    refused(lambda: load_model(tied, settings(), [1, 2]), "has a bias", "--turn_tokens keep")
    make(base, tmp_path / "adapter", LoraConfig(**LINEAR, trainable_token_indices={"lm_head": [5, 9]}))
    refused(lambda: load_for_scoring(str(tmp_path / "adapter"), device="cpu"), "is another model, with logits")


def test_an_adapter_on_the_head_is_refused_before_training(base):
    refused(lambda: load_model(str(base), settings(lora_target_modules=["q_proj", "lm_head"])), "the LM head")


def test_the_base_is_taken_at_the_revision_that_the_adapter_names(base, tmp_path, monkeypatch):
    make(base, tmp_path / "adapter", LoraConfig(**LINEAR, revision="step1000"))
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "org/base"}))
    asked = []

    def download(name, revision, *, weights):
        asked.append((name, revision, weights))
        return base

    monkeypatch.setattr("spectrum_suite.models._download", download)
    find_model(str(tmp_path / "adapter"), weights=False)
    find_model(str(tmp_path / "adapter"), base="org/other")
    assert asked == [("org/base", "step1000", False), ("org/other", None, True)]


def tiny_checkpoint(folder, config):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


SHAPE = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.2, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
EXPERTS = {
    "mixtral": lambda: MixtralConfig(**SHAPE, num_local_experts=4),
    "qwen3_moe": lambda: Qwen3MoeConfig(
        **SHAPE, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, head_dim=8
    ),
    "gpt_oss": lambda: GptOssConfig(**SHAPE, num_local_experts=4, head_dim=8),
}


@pytest.mark.parametrize("kind", EXPERTS)
def test_experts_train_without_dropout_and_merge(tokenizer_of, tmp_path, kind):
    base = tiny_checkpoint(tmp_path / "base", EXPERTS[kind]())
    chosen = AdaptationConfig(dtype="float32", load_in_4bit=False)
    model = load_model(base, chosen, [5, 9])
    torch.testing.assert_close(logits(model), logits(AutoModelForCausalLM.from_pretrained(base)))
    adapted_experts = any("experts" in name and "lora_A" in name for name, _ in model.named_parameters())
    assert chosen.lora_dropout == (0.0 if adapted_experts else 0.05)
    assert adapted_experts is (kind != "gpt_oss")
    expected = logits(shaken(model, by=0.2))
    model.save_pretrained(tmp_path / "adapter")
    merged = merge_adapter(tmp_path / "adapter", base, "main", tokenizer_of("chatml"))
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained(merged)), expected, rtol=1e-4, atol=1e-3)
    if adapted_experts:
        refused(lambda: load_model(base, settings(lora_dropout=0.1)), "lora_dropout")
        refused(lambda: load_model(base, settings(use_dora=True)), "use_dora")


MIXERS = {
    "bypassed": (lambda: JambaConfig(**SHAPE, attn_layer_period=2, attn_layer_offset=1, num_experts=2), "dt_proj"),
    "routers that give pairs": (lambda: PhimoeConfig(**SHAPE, num_local_experts=4), "on these layers"),
    "mamba": (lambda: MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2), "out_proj"),
}


@pytest.mark.parametrize("kind", MIXERS)
def test_layers_that_an_adapter_cannot_train_are_refused_before_training(tmp_path, kind):
    config, words = MIXERS[kind]
    base = tiny_checkpoint(tmp_path / "base", config())
    refused(lambda: load_model(base, settings()), words)
    if kind != "mamba":
        load_model(base, settings(lora_target_modules=["q_proj", "v_proj"]))


def test_names_that_no_layer_has_are_one_line(base):
    refused(lambda: load_model(str(base), settings(lora_target_modules=["nosuch"])), "nosuch")


SCALED = [
    "lora", "all linear", "rslora", "embeddings", "head", "both", "both, tied", "embeddings saved", "head saved",
    "both saved", "rows", "rows of embeddings",
]  # fmt: skip


@pytest.mark.parametrize("kind", SCALED)
def test_an_adapter_is_scaled_from_its_base_to_itself(base, tmp_path, kind):
    adapter = tmp_path / "adapter"
    make(base, adapter, KINDS[kind]())

    def scored(factor):
        return load_for_scoring(find_model(str(adapter), adapter_scale=factor), device="cpu")[0]

    plain, whole = AutoModelForCausalLM.from_pretrained(base), load_for_scoring(str(adapter), device="cpu")[0]
    assert torch.equal(logits(scored(0)), logits(plain))
    assert torch.equal(logits(scored(1)), logits(whole))
    between = load_merged(find_model(str(adapter), adapter_scale=0.3))
    untied = AutoModelForCausalLM.from_pretrained(base, tie_word_embeddings=whole.config.tie_word_embeddings)
    start, end = plain.state_dict(), whole.state_dict()  # the definition: a third of the way between the weights
    untied.load_state_dict({name: start[name] + 0.3 * (end[name] - start[name]) for name in start})
    torch.testing.assert_close(logits(between), logits(untied), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(logits(scored(0.3)), logits(untied), rtol=1e-4, atol=1e-3)
    fingerprints = {find_model(str(adapter), adapter_scale=factor).fingerprint() for factor in (0, 0.3, 1)}
    assert len(fingerprints) == 3
    assert find_model(str(adapter)).fingerprint() in fingerprints


@pytest.mark.parametrize("kind", ["dora", "ia3", "loha", "trainable tokens"])
def test_what_has_no_scale_is_refused_before_it_is_loaded(base, tmp_path, kind):
    adapter = tmp_path / "adapter"
    make(base, adapter, KINDS[kind]())
    refused(lambda: find_model(str(adapter), adapter_scale=0.5), "has no scale: --adapter_scale is for LoRA adapters")
    refused(lambda: find_model(str(base), adapter_scale=0.5), "--adapter_scale is for an adapter's folder")
    refused(lambda: find_model(str(adapter), adapter_scale=-1), "--adapter_scale is -1")


def test_a_change_that_is_not_all_scaled_is_refused(tmp_path):
    """Biases of the base that LoRA trains are overwritten, so that what they were is lost."""
    model = PhiForCausalLM(
        PhiConfig(vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    )
    model.save_pretrained(tmp_path / "base")
    adapter = tmp_path / "adapter"
    make(tmp_path / "base", adapter, LoraConfig(target_modules=["q_proj", "v_proj"], bias="lora_only"))
    load_merged(find_model(str(adapter)))
    refused(lambda: load_merged(find_model(str(adapter), adapter_scale=0.5)), "at scale 0 is not its base")
