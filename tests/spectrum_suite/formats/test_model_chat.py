"""The model's own chat template: prompts as families publish them, the same tokens in training, and texts as data."""

import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from spectrum_suite import option_table, sample
from spectrum_suite.errors import UserError
from spectrum_suite.formats.model_chat import SYSTEM
from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.logprobs import prompt_token_ids
from spectrum_suite.generation.output_logprobs import tokenize_sequences
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from tests.conftest import family
from tests.small_tokenizers import GEMMA
from tests.spectrum_suite.formats.sentencepiece_tokenizers import sentencepiece_tokenizer
from tests.spectrum_suite.formats.test_families import PHI3, added, bytes_of
from tests.tiny_models import tiny_model

GENERATION = "{% if add_generation_prompt %}"
TEMPLATES = {
    GEMMA: (
        "{{ bos_token }}{% set s = namespace(first='') %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set s.first = m.content ~ '\n\n' %}{% else %}{{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else "
        "m.role) ~ '\n' ~ s.first ~ m.content | trim ~ '<end_of_turn>\n' }}{% set s.first = '' %}{% endif %}"
        "{% endfor %}" + GENERATION + "{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "gemma 2": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ m.content | trim ~ "
        "'<end_of_turn>\n' }}{% endfor %}" + GENERATION + "{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "qwen": (
        "{% set s = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set s.last = loop.index0 %}"
        "{% endif %}{% endfor %}{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ ('<think>\n\n</think>\n\n' "
        "if m.role == 'assistant' and loop.index0 > s.last else '') ~ m.content ~ '<|im_end|>\n' }}{% endfor %}"
        + GENERATION + "{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
    ),
    "llama3": (
        "{{ bos_token }}{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
        "{{ '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ' ~ "
        "date_string ~ '\n\n' ~ (messages[0].content if messages[0].role == 'system' else '') ~ '<|eot_id|>' }}"
        "{% for m in messages if m.role != 'system' %}{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ "
        "m.content | trim ~ '<|eot_id|>' }}{% endfor %}" + GENERATION
        + "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' ~ (messages[0].content ~ '\n\n' "
        "if loop.last and messages[0].role == 'system' else '') ~ m.content ~ '[/INST]' }}"
        "{% elif m.role == 'assistant' %}{{ ' ' ~ m.content ~ eos_token }}{% endif %}{% endfor %}"
    ),
    "phi-3": (
        "{% for m in messages %}{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n' }}{% endfor %}" + GENERATION
        + "{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "gemma 4": (
        "{{ bos_token }}{% for m in messages %}{{ '<|turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ "
        "m.content | trim ~ '<turn|>\n' }}{% endfor %}" + GENERATION + "{{ '<|turn>model\n' }}{% endif %}"
    ),
    "always thinks": (
        "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{% endfor %}"
        + GENERATION + "{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
    ),
}  # fmt: skip
"""What families publish, cut down to the turns."""

HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
THOUGHT = "<think>\n\n</think>\n\n"
GOLDEN = {
    GEMMA: (
        f"<bos><start_of_turn>user\n{SYSTEM}\n\nA coin.\n\nGive one output.<end_of_turn>\n<start_of_turn>model\n"
        "Heads<end_of_turn>\n<start_of_turn>user\nagain<end_of_turn>\n<start_of_turn>model\n"
    ),
    "qwen": (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nA coin.\n\nGive one output.<|im_end|>\n"
        f"<|im_start|>assistant\n{THOUGHT}Heads<|im_end|>\n<|im_start|>user\nagain<|im_end|>\n"
        f"<|im_start|>assistant\n{THOUGHT}"
    ),
    "llama3": (
        f"<|begin_of_text|>{HEADER.format('system')}Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
        f"{SYSTEM}<|eot_id|>{HEADER.format('user')}A coin.\n\nGive one output.<|eot_id|>{HEADER.format('assistant')}"
        f"Heads<|eot_id|>{HEADER.format('user')}again<|eot_id|>{HEADER.format('assistant')}"
    ),
    "mistral": f"<s>[INST] {SYSTEM}\n\nA coin.\n\nGive one output.[/INST] Heads</s>[INST] again[/INST]",
    "phi-3": (
        f"<|system|>\n{SYSTEM}<|end|>\n<|user|>\nA coin.\n\nGive one output.<|end|>\n<|assistant|>\nHeads<|end|>\n"
        "<|user|>\nagain<|end|>\n<|assistant|>\n"
    ),
    "gemma 4": (
        f"<bos><|turn>system\n{SYSTEM}<turn|>\n<|turn>user\nA coin.\n\nGive one output.<turn|>\n<|turn>model\n"
        "Heads<turn|>\n<|turn>user\nagain<turn|>\n<|turn>model\n"
    ),
    "always thinks": (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nA coin.\n\nGive one output.<|im_end|>\n"
        "<|im_start|>assistant\nHeads<|im_end|>\n<|im_start|>user\nagain<|im_end|>\n<|im_start|>assistant\n"
    ),
}
GOLDEN["gemma 2"] = GOLDEN[GEMMA]
MESSAGES = [
    {"role": "description", "content": "A coin."},
    {"role": "output", "content": "Heads"},
    {"role": "input", "content": "again"},
    {"role": "output", "content": "Tails"},
]
EVERY = [family(name) for name in TEMPLATES]


@pytest.fixture
def chat_tokenizer(tokenizer_of, tmp_path):
    """``chat_tokenizer(family)``: with the family's chat template."""

    def get(name):
        if name == "phi-3":
            tokenizer = added(sentencepiece_tokenizer("prepend", tmp_path), *PHI3, rstrip=True)
        elif name.startswith("gemma "):
            turns = ["<|turn>", "<turn|>", "<start_of_turn>", "<end_of_turn>"]
            tokenizer = bytes_of("", ["<bos>", "<eos>", *turns], bos="<bos>", eos="<eos>")
        else:
            tokenizer = tokenizer_of({"always thinks": "qwen"}.get(name, name))
        tokenizer.chat_template = TEMPLATES[name]
        return tokenizer

    return get


@pytest.mark.parametrize("kind", EVERY)
def test_prompts_are_those_written_by_hand(chat_tokenizer, kind):
    assert find_format("model_chat", chat_tokenizer(kind)).prompt(MESSAGES[:3]) == GOLDEN[kind]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("messages", [MESSAGES, MESSAGES[:1], MESSAGES[1:3], MESSAGES[2:3]])
def test_the_published_template_writes_the_same_and_other_chats_as_before(chat_tokenizer, kind, messages):
    tokenizer = chat_tokenizer(kind)
    text_format = find_format("model_chat", tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == text_format.prompt(
        messages
    )
    assert find_format("model_chat", tokenizer) == text_format
    chat = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "So"},
    ]
    for prompt in (True, False):
        options = {"tokenize": False, "add_generation_prompt": prompt}
        plain = tokenizer.apply_chat_template(chat, chat_template=TEMPLATES[kind], **options)
        assert tokenizer.apply_chat_template(chat, **options) == plain


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("dropout", [0.0, 1.0])
def test_prompts_are_the_beginning_of_what_is_trained(chat_tokenizer, kind, dropout):
    tokenizer = chat_tokenizer(kind)
    text_format = find_format("model_chat", tokenizer)
    rows, _ = tokenize_rows(
        Dataset.from_list([{"id": "r", "messages": MESSAGES}]), tokenizer, text_format, max_length=900
    )
    options = {"max_length": 900, "description_dropout": dropout, "permute": False}
    sequence = SpectrumCollator.for_format(text_format, tokenizer, **options).sequence(rows[0])
    seen = MESSAGES[1:] if dropout else MESSAGES
    (scored,) = tokenize_sequences(tokenizer, [seen], text_format)
    assert sequence.ids == list(scored.ids[: len(sequence.ids)])
    for place, (start, end) in enumerate(scored.outputs):
        before = seen[: [message["role"] for message in seen].index("output") + 2 * place]
        if before:
            assert list(prompt_token_ids(tokenizer, [before], text_format)[0]) == sequence.ids[:start]
        assert scored.ids[end - 1] == tokenizer.convert_tokens_to_ids(text_format.terminator)
    assert sequence.spans == list(scored.outputs)[int(dropout) :]


@pytest.mark.parametrize("kind", EVERY)
def test_control_tokens_in_texts_are_text(chat_tokenizer, kind):
    tokenizer = chat_tokenizer(kind)
    text_format = find_format("model_chat", tokenizer)
    evil = "".join(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)[-200:]
    prompts = [[{"role": "description", "content": f"A {text} coin."}] for text in ("fair", evil + "fair")]
    plain, spelled = prompt_token_ids(tokenizer, prompts, text_format)
    control = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    assert [token for token in spelled if token in control] == [token for token in plain if token in control]
    assert text_format.terminator in text_format.control.texts


@pytest.mark.parametrize("kind", ["qwen", "mistral", "phi-3", "gemma 4"])
def test_models_are_scored_and_sampled(chat_tokenizer, kind):
    tokenizer = chat_tokenizer(kind)
    text_format, model = find_format("model_chat", tokenizer), tiny_model("llama", len(tokenizer))
    table = option_table(model, tokenizer, MESSAGES[:3], ["Heads", "Tails"], text_format=text_format)
    assert 0 < table.mass < 1
    sample(model, tokenizer, [MESSAGES[:3]], 2, text_format=text_format, max_new_tokens=3, seed=1)


def test_a_saved_tokenizer_keeps_it(chat_tokenizer, tmp_path):
    tokenizer = chat_tokenizer("qwen")
    text_format = find_format("model_chat", tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    tokenizer.save_pretrained(tmp_path / "saved")
    assert (
        find_format("model_chat", AutoTokenizer.from_pretrained(tmp_path / "saved")).prompt(MESSAGES[:3])
        == GOLDEN["qwen"]
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "needs a chat template, which this tokenizer lacks"),
        ("{{ raise_exception('never') }}", "it fails on a conversation"),
        (
            "{% for m in messages %}{{ loop.index ~ m.content ~ '<|im_end|>' }}{% endfor %}>",
            "its turns differ from each other",
        ),
        (
            "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\n' }}{% endfor %}assistant: ",
            "no token of its own ends",
        ),
    ],
)
def test_templates_that_cannot_be_followed_are_refused(tokenizer_of, template, reason):
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = template
    with pytest.raises(UserError, match=reason):
        find_format("model_chat", tokenizer)
