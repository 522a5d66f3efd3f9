"""Quality from a reward model: a tiny random classifier, compared with a plain forward pass of one example."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from spectrum_suite.errors import UserError
from spectrum_suite.markers.quality import RewardModel

EXAMPLES = [("Name a day.", "Monday"), ("Name a river, please.", "The Rhine, which is long."), ("Why?", "No.")]


def save(tokenizer, folder, *, outputs=1, kind="bert"):
    torch.manual_seed(0)
    size = {"vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 16, "num_labels": outputs, "initializer_range": 0.5}
    if kind == "bert":
        model = BertForSequenceClassification(BertConfig(**size))
    else:
        model = LlamaForSequenceClassification(LlamaConfig(**size, pad_token_id=tokenizer.pad_token_id))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_scores_are_those_of_one_example_at_a_time(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of("chatml")
    reward = RewardModel.load(save(tokenizer, tmp_path))
    found = reward.score(EXAMPLES)
    for example, score in zip(EXAMPLES, found, strict=True):
        inputs = tokenizer(*example, return_tensors="pt")
        with torch.inference_mode():
            assert score == pytest.approx(reward.model(**inputs).logits.item(), abs=1e-4)
    assert len({round(score, 3) for score in found}) == 3
    assert reward.score([]) == []


def test_a_chat_template_writes_the_pair_as_a_conversation(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of("chatml")
    folder = save(tokenizer, tmp_path, kind="llama")
    reward = RewardModel.load(folder)
    reward.tokenizer.chat_template = (
        "{%- for m in messages -%}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{%- endfor -%}"
    )
    text = "<|im_start|>user Why?<|im_end|><|im_start|>assistant No.<|im_end|>"
    with torch.inference_mode():
        expected = reward.model(**tokenizer(text, return_tensors="pt")).logits.item()
    assert reward.score(EXAMPLES)[2] == pytest.approx(expected, abs=1e-4)


def test_a_classifier_of_several_outputs_is_no_reward_model(tokenizer_of, tmp_path):
    with pytest.raises(UserError, match="has 3 outputs: give one with a single output"):
        RewardModel.load(save(tokenizer_of("chatml"), tmp_path, outputs=3))


def test_a_reward_model_without_its_score_is_refused_and_not_drawn_at_random(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of("chatml")
    folder = save(tokenizer, tmp_path, kind="llama")
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: w for name, w in weights.items() if "score" not in name}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"lacks score\.weight"):
        RewardModel.load(folder)
