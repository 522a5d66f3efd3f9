"""What training tokenizes is what inference tokenizes."""

import pytest
from datasets import Dataset

from spectrum_suite.formats.render import FORMATS, get_format, split_messages
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows

MAX_LENGTH = 500
CASES = [
    pytest.param(rules, name, marks=pytest.mark.model if rules == "gemma" else ())
    for rules in ("gemma", "chatml", "llama3", "mistral", "qwen")
    for name in FORMATS
    if (rules, name) != ("mistral", "chat")  # its chats name no roles
]


def drawn_order(row, collator):
    """The draws in the order in which the collator lays them, and whether it shows the description."""
    order, ids = [], collator.sequence(row).ids
    described = bool(row["description"]) and ids[len(collator.start) :][: len(row["description"])] == row["description"]
    position = len(collator.start) + (len(row["description"]) if described else 0)
    unused = list(range(len(row["outputs"])))
    while position < len(ids):
        position += len(collator.separator) if order else 0
        for index in unused:
            piece = row["contexts"][index] + row["outputs"][index]
            if ids[position : position + len(piece)] == piece:
                break
        else:
            raise AssertionError(f"no draw of {row['id']} is laid at token {position}")
        unused.remove(index)
        order.append(index)
        position += len(piece)
    return order, described


def messages_in_order(messages, order, described):
    description, draws, _ = split_messages(messages)
    found = [{"role": "description", "content": description}] if described else []
    for draw in (draws[index] for index in order):
        found += [{"role": "input", "content": draw.input}] if draw.input is not None else []
        found.append({"role": "output", "content": draw.output})
    return found


def spans(labels):
    """[start, end) of the runs of trained tokens."""
    edges = [i for i in range(len(labels) + 1) if trained(labels, i) != trained(labels, i - 1)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def trained(labels, position):
    return 0 <= position < len(labels) and labels[position] != IGNORED


def prompt_ids(tokenizer, text_format, messages):
    """The token ids from which a user's ``generate`` starts."""
    return tokenizer.apply_chat_template(
        messages, chat_template=text_format.chat_template(), add_generation_prompt=True, return_dict=False
    )


def check_sequence(row, messages, collator, tokenizer, text_format):
    """Every output of the collated sequence begins and ends where inference has its tokens begin and end."""
    order, described = drawn_order(row, collator)
    sequence = collator.sequence(row)
    ids = sequence.ids
    seen = messages_in_order(messages, order, described)
    outputs = [position for position, message in enumerate(seen) if message["role"] == "output"]
    targets = []
    for index, before in list(zip(order, outputs, strict=True))[0 if described else 1 :]:
        prompt = prompt_ids(tokenizer, text_format, seen[:before])
        assert ids[: len(prompt)] == prompt
        targets.append((len(prompt), len(prompt) + len(row["outputs"][index])))
    assert spans(sequence.labels) == targets
    assert targets[-1][1] == len(ids)
    assert prompt_ids(tokenizer, text_format, seen)[: len(ids)] == ids


@pytest.fixture(scope="module")
def icl_rows(rows_of_every_task):
    """Rows of every ``icl`` task; long ones are cut, since every output is looked at."""
    rows = []
    for task, found in rows_of_every_task.items():
        for number, row in enumerate(row for row in found if "n_outputs" in row):
            messages = row["messages"][: 9 if number else 21]
            messages = messages[:-1] if messages[-1]["role"] == "input" else messages
            rows.append({"id": f"{task}/{number}", "messages": messages})
    assert len({row["id"].split("/")[0] for row in rows}) > 20
    return rows


@pytest.mark.parametrize(("rules", "name"), CASES)
def test_prompts_and_continuations_are_those_of_inference(tokenizer_of, icl_rows, rules, name):
    tokenizer = tokenizer_of(rules)
    text_format = get_format(name, tokenizer)
    rows, too_long = tokenize_rows(Dataset.from_list(icl_rows), tokenizer, text_format, max_length=100_000)
    assert (len(rows), too_long) == (len(icl_rows), 0)
    for dropout in (0.0, 1.0):
        collator = SpectrumCollator.for_format(
            text_format, tokenizer, max_length=800, description_dropout=dropout, seed=1
        )
        for row, source in zip(rows, icl_rows, strict=True):
            check_sequence(row, source["messages"], collator, tokenizer, text_format)


@pytest.mark.parametrize(("rules", "name"), CASES)
def test_options_continue_the_prompts_of_distribution_tasks(tokenizer_of, rows_of_every_task, rules, name):
    tokenizer = tokenizer_of(rules)
    text_format = get_format(name, tokenizer)
    encode = token_encoder(tokenizer, text_format)
    rows = [row for found in rows_of_every_task.values() for row in found if "probabilities" in row]
    assert rows
    for row in rows:
        prompt = prompt_ids(tokenizer, text_format, row["messages"])
        for option in row["options"][:10]:
            answer = encode([text_format.output(option)])[text_format.output(option)]
            whole = prompt_ids(tokenizer, text_format, [*row["messages"], {"role": "output", "content": option}])
            assert whole[: len(prompt) + len(answer)] == prompt + answer


def test_a_blank_line_is_one_token_or_two_by_what_follows(tokenizer_of):
    """The case that tokenizing piece by piece gets wrong: GPT-2's rules split a blank line only before a word."""
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("colon", tokenizer)
    newline, blank = (tokenizer(text).input_ids for text in ("\n", "\n\n"))
    assert len(blank) == 1
    answer = token_encoder(tokenizer, text_format)([" Heads\n\n"])[" Heads\n\n"]
    assert answer[-2:] == newline * 2
    assert tokenizer(" Heads\n\n").input_ids[-1:] == blank
