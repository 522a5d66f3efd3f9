"""A checkpoint is read whole and as it was meant, or refused by name in one line."""

import json
import math
import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartForCausalLM,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    BitsAndBytesConfig,
    GPTJConfig,
    GPTJForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    XLNetConfig,
    XLNetLMHeadModel,
)

from spectrum_suite.errors import UserError
from spectrum_suite.loading import Purpose, check_can_be_whole, check_causal, load_causal_lm
from spectrum_suite.models import find_model, load_for_scoring, load_merged
from spectrum_suite.training.adaptation import AdaptationConfig, load_model, merge_adapter
from tests.tiny_models import save_llama, shaken, tiny_model

IDS = torch.tensor([[5, 9, 30, 77, 3, 1, 2, 44]])
ONE_LINE = re.compile(r"[^\n]+")


@pytest.fixture
def llama(tokenizer_of, tmp_path):
    """A tiny Llama with an LM head of its own."""
    return save_llama(tmp_path / "llama", tokenizer_of("chatml"))


@pytest.fixture
def change(llama):
    """``change(function)``: the checkpoint with other weights."""

    def rewrite(function):
        weights = load_file(llama / "model.safetensors")
        function(weights)
        save_file(weights, llama / "model.safetensors", metadata={"format": "pt"})
        return str(llama)

    return rewrite


@torch.no_grad()
def logits(model):
    return model.eval()(IDS).logits.float()


def settings(**options):
    return AdaptationConfig(**{"dtype": "float32", "load_in_4bit": False, "lora_dropout": 0.0} | options)


def refused(call, *words):
    with pytest.raises(UserError) as error:
        call()
    message = str(error.value)
    assert ONE_LINE.fullmatch(message), message
    for word in words:
        assert word in message, message


FAULTS = {
    "missing head": (lambda w: w.pop("lm_head.weight"), "lacks lm_head.weight"),
    "missing layer": (lambda w: w.pop("model.layers.1.mlp.up_proj.weight"), "lacks model.layers.1.mlp.up_proj.weight"),
    "unexpected": (lambda w: w.update({"v_head.summary.weight": torch.ones(1, 32)}), "has v_head.summary.weight"),
    "scales": (
        lambda w: w.update({"model.layers.0.mlp.up_proj.weight_scale": torch.ones(1)}),
        "has model.layers.0.mlp.up_proj.weight_scale",
    ),
    "other shape": (
        lambda w: w.update({"model.norm.weight": torch.ones(16)}),
        "has weights of other shapes: model.norm.weight ((16,) for (32,))",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_that_is_not_whole_is_refused_by_name(change, fault):
    function, words = FAULTS[fault]
    folder = change(function)
    refused(lambda: load_for_scoring(folder, device="cpu"), words, "is incomplete, or of another kind")
    for options in ({}, {"use_peft": False}):
        refused(lambda options=options: load_model(folder, settings(**options)), words)


def test_a_head_that_is_tied_need_not_be_there(tokenizer_of, tmp_path):
    tiny_model("gemma3", 300).save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    model = load_causal_lm(tmp_path, name="tied", purpose=Purpose.SCORE, dtype=torch.float32)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def with_masks(model, folder, **buffers):
    """A checkpoint as older versions of `transformers` wrote them, with the masks of its attention."""
    model.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | buffers, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_masks_in_old_checkpoints_are_none_of_their_weights(tmp_path):
    triangle = torch.ones(1, 1, 16, 16, dtype=torch.uint8).tril()
    shape = {"vocab_size": 300, "num_heads": 2, "hidden_size": 16, "bos_token_id": 0, "eos_token_id": 1}
    layers = {"num_layers": 2, "attention_types": [[["global", "local"], 1]]}
    neo = with_masks(
        GPTNeoForCausalLM(GPTNeoConfig(**shape, **layers)),
        tmp_path / "neo",
        **{
            "transformer.h.0.attn.attention.bias": triangle,
            "transformer.h.1.attn.attention.bias": (triangle ^ triangle.tril(-4)).bool(),
            "transformer.h.1.attn.attention.masked_bias": torch.tensor(-1e9),
        },
    )
    sizes = {"vocab_size": 300, "n_embd": 16, "n_layer": 1, "n_head": 2, "rotary_dim": 4}
    gptj = with_masks(
        GPTJForCausalLM(GPTJConfig(**sizes, bos_token_id=0, eos_token_id=1)),
        tmp_path / "j",
        **{"transformer.h.0.attn.bias": triangle.float(), "transformer.h.0.attn.masked_bias": torch.tensor(-1e4)},
    )
    for folder in (neo, gptj):
        found = load_causal_lm(folder, name="old", purpose=Purpose.SCORE, dtype=torch.float32)
        check_causal(found, "old")
        torch.testing.assert_close(logits(found), logits(AutoModelForCausalLM.from_pretrained(folder)))
    no_mask = {"transformer.h.0.attn.attention.bias": torch.rand(1, 1, 16, 16)}
    other = with_masks(GPTNeoForCausalLM(GPTNeoConfig(**shape, **layers)), tmp_path / "other", **no_mask)
    refused(
        lambda: load_causal_lm(other, name="old", purpose=Purpose.SCORE, dtype=torch.float32),
        "has transformer.h.0.attn.attention.bias",
    )


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 300,
}
BART = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 300,
}  # fmt: skip
NOT_CAUSAL = {
    "bert": lambda: BertForMaskedLM(BertConfig(**SMALL)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SMALL)),
    "xlnet": lambda: XLNetLMHeadModel(XLNetConfig(vocab_size=300, d_model=32, n_layer=2, n_head=2, d_inner=32)),
    "bart": lambda: BartForConditionalGeneration(BartConfig(**BART)),
    "t5": lambda: T5ForConditionalGeneration(
        T5Config(d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=300)
    ),
}


@pytest.mark.parametrize("kind", NOT_CAUSAL)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_only_causal_models_are_scored_and_trained(tokenizer_of, tmp_path, kind, dtype):
    torch.manual_seed(0)
    NOT_CAUSAL[kind]().save_pretrained(tmp_path)
    tokenizer_of("chatml").save_pretrained(tmp_path)
    if (kind, dtype) == ("xlnet", "bfloat16"):
        words = ("cannot be run",)
    else:
        words = ("encoder-decoder" if kind in {"bart", "t5"} else "later tokens", "give a causal language model")
    refused(lambda: load_for_scoring(str(tmp_path), device="cpu", dtype=dtype), *words)
    refused(lambda: load_model(str(tmp_path), settings(dtype=dtype)), *words)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["gemma3", "llama", "mistral", "bloom", "bert decoder", "bart decoder"])
def test_decoders_of_all_kinds_are_causal(kind, dtype):
    torch.manual_seed(0)
    decoders = {
        "bert decoder": lambda: BertLMHeadModel(BertConfig(**SMALL, is_decoder=True)),
        "bart decoder": lambda: BartForCausalLM(BartConfig(**BART)),
    }
    model = decoders[kind]() if kind in decoders else tiny_model(kind, 300)
    check_causal(model.to(dtype), kind)


def test_logits_that_overflow_in_float16_are_named(llama, change):
    folder = change(lambda w: w.update({"model.norm.weight": torch.full((32,), 6e4)}))
    load_for_scoring(folder, device="cpu")
    refused(
        lambda: load_for_scoring(folder, device="cpu", dtype="float16"),
        "are not finite in float16", "--dtype float32",
    )  # fmt: skip


def test_broken_weights_are_named(change):
    folder = change(lambda w: w.update({"model.norm.weight": torch.full((32,), math.nan)}))
    refused(lambda: load_for_scoring(folder, device="cpu"), "are not finite in float32: its weights are broken")


@pytest.fixture
def fp8(llama):
    """The same with FP8 weights and their scales, as DeepSeek-V3 and Qwen3 are published; and what they stand for."""
    weights, kept, whole = load_file(llama / "model.safetensors"), {}, {}
    for name, weight in weights.items():
        kept[name] = whole[name] = weight
        if name.endswith("_proj.weight"):
            scale = weight.abs().max() / 448.0
            kept[name] = (weight / scale).to(torch.float8_e4m3fn)
            kept[name.replace(".weight", ".weight_scale_inv")] = scale.reshape(1, 1)
            whole[name] = kept[name].float() * scale
    save_file(kept, llama / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "weight_block_size": [128, 128],
    }
    (llama / "config.json").write_text(json.dumps(config))
    return llama, whole


@pytest.fixture
def nf4(llama, tmp_path):
    """The same, saved in 4 bits."""
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(llama, quantization_config=quantization, dtype=torch.float32)
    model.save_pretrained(tmp_path / "nf4")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "nf4" / name).write_bytes((llama / name).read_bytes())
    return tmp_path / "nf4"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in FP8")
def test_fp8_weights_are_used_with_their_scales(fp8):
    folder, whole = fp8
    scored = load_for_scoring(str(folder), device="cpu")[0]
    for options in ({"load_in_4bit": None}, {"use_peft": False}):
        chosen = settings(**options)
        trained = load_model(str(folder), chosen)
        assert chosen.method == ("LoRA" if chosen.use_peft else "full fine-tuning")
        torch.testing.assert_close(logits(trained), logits(scored))
    found = scored.state_dict()
    for name, weight in whole.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4, msg=name)
    refused(lambda: load_for_scoring(str(folder), device="cpu", load_in_4bit=True), "is quantized already (fp8)")
    refused(lambda: load_model(str(folder), settings(load_in_4bit=True)), "--load_in_4bit false")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in FP8")
def test_all_weights_of_an_fp8_model_are_saved_whole(fp8, tmp_path):
    folder, whole = fp8
    load_model(str(folder), settings(use_peft=False)).save_pretrained(tmp_path / "saved")
    assert "quantization_config" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert saved.keys() == whole.keys()
    for name, weight in whole.items():
        torch.testing.assert_close(saved[name], weight, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("asked", [None, True])
def test_a_base_saved_in_four_bits_is_trained_scored_and_merged(nf4, tokenizer_of, tmp_path, asked):
    chosen = settings(load_in_4bit=asked)
    model = shaken(load_model(str(nf4), chosen))
    assert chosen.method == "4-bit LoRA"
    adapter = tmp_path / "adapter"
    model.save_pretrained(adapter)
    expected = logits(model)
    scored = logits(load_for_scoring(str(adapter), device="cpu")[0])
    torch.testing.assert_close(scored, expected, rtol=0, atol=0.05)  # a CPU with bfloat16 computes 4 bits in it
    merged = merge_adapter(adapter, str(nf4), "main", tokenizer_of("chatml"))
    assert "quantization_config" not in json.loads((merged / "config.json").read_text())
    plain = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    torch.testing.assert_close(logits(plain), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(logits(load_merged(find_model(str(adapter)))), expected, rtol=1e-3, atol=1e-3)


def test_a_base_saved_in_four_bits_is_not_one_in_sixteen(nf4):
    refused(lambda: load_model(str(nf4), settings(load_in_4bit=False)), "in 4 bits", "leave --load_in_4bit false out")


def test_all_weights_of_a_base_in_four_bits_train_whole(nf4):
    chosen = settings(use_peft=False)
    model = load_model(str(nf4), chosen)
    assert chosen.method == "full fine-tuning"
    assert not chosen.load_in_4bit
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(logits(model), logits(load_for_scoring(str(nf4), device="cpu")[0]), rtol=0, atol=0.05)


@pytest.mark.parametrize("method", ["gptq", "awq", "compressed-tensors", "aqlm", "nosuch", None])
def test_quantizations_that_cannot_be_read_here_are_refused(llama, method):
    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {"bits": 4, "group_size": 128} | (
        {} if method is None else {"quant_method": method}
    )
    (llama / "config.json").write_text(json.dumps(config))
    refused(lambda: load_for_scoring(str(llama), device="cpu"), "llama")
    refused(lambda: load_model(str(llama), settings()), "llama")
    refused(lambda: load_model(str(llama), settings(use_peft=False)), "llama")


def test_what_cannot_be_merged_into_is_known_before_training(llama, nf4):
    check_can_be_whole(llama, "plain")
    check_can_be_whole(nf4, "nf4")
    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    (llama / "config.json").write_text(json.dumps(config))
    refused(lambda: check_can_be_whole(llama, "packed"), "'packed' is quantized (gptq), and cannot be changed")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"model_type": "nosuch"}', '{"model_type": "llama", "num_attention_heads": 0}']
)
def test_a_broken_configuration_is_one_line(llama, content):
    (llama / "config.json").write_text(content)
    refused(lambda: load_for_scoring(str(llama), device="cpu"), "cannot be loaded as a causal language model")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\0" * 40])
def test_broken_weights_files_are_one_line(llama, damage):
    path = llama / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused(lambda: load_for_scoring(str(llama), device="cpu"), "cannot be loaded as a causal language model")


def test_the_table_of_missing_weights_is_not_printed(change, caplog):
    folder = change(lambda w: w.pop("lm_head.weight"))
    with pytest.raises(UserError):
        load_for_scoring(folder, device="cpu")
    assert "LOAD REPORT" not in caplog.text


def test_weights_are_read_once(llama, tokenizer_of, tmp_path, monkeypatch):
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), LoraConfig(target_modules="all-linear"))
    model.save_pretrained(tmp_path / "adapter")
    loads = []
    plain = AutoModelForCausalLM.from_pretrained

    def counted(*args, **options):
        loads.append(args)
        return plain(*args, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
    load_for_scoring(str(llama), device="cpu")
    load_for_scoring(str(tmp_path / "adapter"), device="cpu")
    assert len(loads) == 2


@pytest.fixture
def mxfp4(tokenizer_of, tmp_path):
    """A gpt-oss whose experts are 4-bit numbers in blocks of 32 with a power of two each; and what they stand for."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of("chatml")
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    config = GptOssConfig(vocab_size=len(tokenizer), **sizes, **heads, **experts, **ends)
    GptOssForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    weights, whole = load_file(tmp_path / "model.safetensors"), {}
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    values = torch.cat([values, -values])
    for name in [name for name in weights if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inputs, outputs = weights.pop(name).shape
        blocks = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), dtype=torch.uint8)
        scales = torch.randint(120, 126, (experts, outputs, inputs // 32), dtype=torch.uint8)
        weights |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        numbers = torch.stack([values[(blocks & 15).long()], values[(blocks >> 4).long()]], dim=-1).flatten(-2)
        numbers = numbers * (2.0 ** (scales.float() - 127))[..., None]
        whole[name] = numbers.flatten(-2).transpose(1, 2)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    content = json.loads((tmp_path / "config.json").read_text())
    skipped = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    content["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": skipped}
    (tmp_path / "config.json").write_text(json.dumps(content))
    return tmp_path, whole


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in MXFP4")
def test_experts_in_mxfp4_are_those_of_the_checkpoint(mxfp4, tmp_path):
    folder, whole = mxfp4
    scored = load_for_scoring(str(folder), device="cpu")[0]
    for model in (scored, load_model(str(folder), settings(use_peft=False))):
        found = model.state_dict()
        for name, weight in whole.items():
            torch.testing.assert_close(found[name].float(), weight, rtol=1e-2, atol=1e-3, msg=name)
    trained = load_model(str(folder), settings(load_in_4bit=None))
    torch.testing.assert_close(logits(trained), logits(scored), rtol=1e-3, atol=1e-3)
    refused(lambda: load_model(str(folder), settings(load_in_4bit=True)), "is quantized already (mxfp4)")
