"""`train_sft.py --objective markers`, from its command line to a tokenizer that takes markers without our code."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from spectrum_suite.formats.render import get_format
from spectrum_suite.markers.marker_list import OPEN, mark_completion, mark_prompt
from tests.tiny_models import save_model
from tests.train_command import report_of

REPOSITORY = Path(__file__).parents[3]
N = 12
OPTIONS = [
    "--format", "chat", "--report_to", "none", "--use_cpu", "true", "--logging_steps", "1", "--lora_r", "4",
    "--max_length", "300", "--per_device_train_batch_size", "4", "--dtype", "float32", "--disable_tqdm", "true",
    "--load_in_4bit", "false", "--save_strategy", "no", "--marker_categories", "length_tokens", "task",
]  # fmt: skip


def row(number):
    return {
        "id": f"asked/{number}",
        "messages": [
            {"role": "input", "content": f"Zebra {'please ' * (number % 5)}{number}?"},
            {"role": "output", "content": f"The answer is {number} {'today ' * (number % 7)}."},
        ],
        "markers": [{"length_tokens": 3 + number, "task": ["Reasoning", "Rewrite"][number % 2], "lang": "English"}],
    }


@pytest.fixture(scope="module")
def runs(tokenizer_of, tmp_path_factory):
    """``runs(name, *options)``: the folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs")
    model = save_model(folder / "model", tokenizer_of("llama3"))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row(number)) + "\n" for number in range(N)))

    def run(name, *options):
        command = ["--model_name_or_path", model, "--objective", "markers", "--data", folder / "rows.jsonl", *OPTIONS]
        subprocess.run(
            [sys.executable, "train_sft.py", *map(str, command), "--output_dir", str(folder / name), *options],
            cwd=REPOSITORY, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=True, capture_output=True,
        )  # fmt: skip
        return folder / name

    return run


@pytest.fixture(scope="module")
def marked(runs):
    return runs("marked")


@pytest.fixture(scope="module")
def plain(runs):
    return runs("plain", "--marked", "false")


def test_the_trained_tokens_are_completions_and_markers(marked, plain, tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    text_format, expected = get_format("chat", tokenizer), {True: 0, False: 0}
    for number in range(N):
        completion = row(number)["messages"][1]["content"]
        markers = {name: row(number)["markers"][0][name] for name in ("length_tokens", "task")}
        for is_marked, text in ((True, mark_completion(markers, completion)), (False, completion)):
            expected[is_marked] += len(tokenizer(text_format.output(text), add_special_tokens=False).input_ids)
    reports = {}
    for is_marked, folder in ((True, marked), (False, plain)):
        reports[is_marked] = report_of(folder)
        assert reports[is_marked]["trained_tokens"] == expected[is_marked]
    assert reports[True]["steps"] == reports[False]["steps"] == 3
    assert (reports[True]["markers_dropout"], reports[True]["markers_sample_dropout"]) == (0.5, 0.5)
    page = html.unescape(re.sub("<.*?>", "", (marked / "first_rows.html").read_text()))
    assert OPEN in page
    assert OPEN not in html.unescape(re.sub("<.*?>", "", (plain / "first_rows.html").read_text()))


def test_the_saved_tokenizer_needs_none_of_our_code(marked, tokenizer_of):
    """In a process that has only transformers."""
    code = (
        "import sys; from transformers import AutoTokenizer\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "messages = [{'role': 'input', 'content': 'Why?'}]\n"
        "markers = {'length_tokens': 50, 'lang': 'French'}\n"
        "options = dict(add_generation_prompt=True, tokenize=False)\n"
        "print(tokenizer.apply_chat_template(messages, markers=markers, **options), end='')\n"
        "assert 'spectrum' not in sys.modules\n"
    )
    found = subprocess.run([sys.executable, "-I", "-c", code, str(marked)], capture_output=True, text=True, check=True)
    asked = mark_prompt([{"role": "input", "content": "Why?"}], {"length_tokens": 50, "lang": "French"})
    assert found.stdout == get_format("chat", tokenizer_of("llama3")).prompt(asked)


def test_the_tokenizer_of_the_baseline_takes_no_markers(plain):
    assert OPEN not in AutoTokenizer.from_pretrained(plain).chat_template


def test_equal_seeds_show_equal_markers(marked, runs):
    again = runs("again")
    losses = [[entry["loss"] for entry in report_of(folder)["log"]] for folder in (marked, again)]
    assert losses[0] == losses[1]


def test_a_share_that_is_none_is_refused(runs):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        runs("never", "--markers_dropout", "1.5")
    assert failed.value.returncode == 2
    assert b"--markers_dropout is 1.5: give a number from 0 to 1" in failed.value.stderr
