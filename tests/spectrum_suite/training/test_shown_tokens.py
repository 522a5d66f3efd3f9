import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_dataset
from rich.console import Console

from spectrum_suite.commands.main import main
from spectrum_suite.training.shown_tokens import CONTEXT, TRAINED, Token, legend, mark_tokens, shown_tokens

TOKENS = [Token("<bos>", False), Token("output", False), Token("\n", False), Token("He", True), Token("ads", True)]


@pytest.fixture(scope="module")
def chatml_folder(tokenizer_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chatml")
    tokenizer_of("chatml").save_pretrained(folder)
    return folder


def shown(capsys, *arguments):
    main(["show", *map(str, arguments)])
    return capsys.readouterr().out


def test_without_colour_trained_spans_stand_in_brackets():
    assert mark_tokens(TOKENS, colour=False).plain == "<bos>\u00b7output\u00b7\u23ce\n\u00b7[He\u00b7ads]"


def test_in_colour_only_trained_tokens_are_on_green():
    text = mark_tokens(TOKENS, colour=True)
    assert text.plain == "<bos>output\u23ce\nHeads"
    styles = [(text.plain[span.start : span.end], span.style) for span in text.spans]
    assert styles == [
        ("<bos>", CONTEXT[0]),
        ("output", CONTEXT[1]),
        ("\u23ce\n", CONTEXT[0]),
        ("He", TRAINED[1]),
        ("ads", TRAINED[0]),
    ]
    assert all("on green" in style for style in TRAINED)
    assert not any("on green" in style for style in CONTEXT)


def test_the_legend_is_marked_like_the_text():
    spans = {legend(colour=True).plain[span.start : span.end]: span.style for span in legend(colour=True).spans}
    assert spans == {"trained": TRAINED[0], "context": CONTEXT[0]}
    assert "[trained]" in legend(colour=False).plain


def test_text_can_be_exported_as_a_page():
    console = Console(record=True, file=open(os.devnull, "w"), width=80)  # noqa: PTH123, SIM115
    console.print(mark_tokens(TOKENS, colour=True))
    assert "background-color" in console.export_html()


def test_tokens_of_one_character_are_shown_together(tokenizer_of):
    tokenizer = tokenizer_of("chatml")
    ids = tokenizer("\U0001f3b2 x<|im_end|>").input_ids
    assert len(ids) > 4
    tokens = shown_tokens(tokenizer, ids, [False] * (len(ids) - 1) + [True])
    assert [token.text for token in tokens[:1]] == ["\U0001f3b2"]
    assert tokens[-1] == Token("<|im_end|>", True)
    assert "".join(token.text for token in tokens) == "\U0001f3b2 x<|im_end|>"


def test_a_row_is_shown_as_the_collator_makes_it(small_suite, chatml_folder, capsys):
    found = shown(capsys, "coinflip", "--suite", small_suite, "--tokenizer", chatml_folder, "--max_length", 100,
                  "--description_dropout", 0)  # fmt: skip
    row = load_dataset(str(small_suite), "coinflip", split="train")[0]
    body = "".join(found.splitlines()[1:-2]).replace("\u00b7", "").replace("\u23ce", "\n")
    assert row["messages"][0]["content"] in body
    spans = [part.split("]")[0] for part in body.split("[")[1:]]
    assert spans
    assert set(spans) <= {"Heads<|im_end|>", "Tails<|im_end|>"}
    assert f"in {len(spans)} outputs; the row has {row['n_outputs']} outputs, of which 0 are too long" in found
    trained, _, total, *_ = found.splitlines()[-1].split()
    assert 0 < int(trained) < int(total) <= 100
    assert f"{row['id']} in format spectrum, epoch 0" in found


def test_epoch_seed_row_and_format_change_what_is_shown(small_suite, chatml_folder, capsys):
    common = ("coinflip", "--suite", small_suite, "--tokenizer", chatml_folder, "--max_length", 200)
    first = shown(capsys, *common)
    assert shown(capsys, *common) == first
    for change in (("--epoch", 1), ("--seed", 7), ("--row", 1), ("--format", "colon"), ("--max_length", 90)):
        assert shown(capsys, *common, *change) != first
    dropped = shown(capsys, *common, "--description_dropout", 1)
    assert "description" not in "".join(dropped.splitlines()[1:-2])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["coinflop"], "no task 'coinflop' in suite '{suite}', did you mean 'coinflip'?"),
        (["dist_urn"], "task 'dist_urn' has no outputs to train on: show a training task"),
        (["coinflip", "--row", "12"], "task 'coinflip' has no row 12: give --row a number from 0 to 11"),
        (["coinflip", "--format", "chatt"], "no format 'chatt'"),
        (["coinflip", "--max_length", "10"], "no row fits into 10 tokens: raise --max_length"),
        (["coinflip", "--suite", "nowhere"], "suite folder 'nowhere' not found"),
        (["coinflip", "--tokenizer", "no/such/folder"], "no tokenizer 'no/such/folder': give a folder"),
    ],
)
def test_a_mistake_ends_in_one_line(small_suite, chatml_folder, capsys, arguments, line):
    with pytest.raises(SystemExit) as stopped:
        main(["show", "--suite", str(small_suite), "--tokenizer", str(chatml_folder), *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: " + line.format(suite=small_suite))
    assert error.count("\n") == 1


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["show", "--help"])
    found = capsys.readouterr().out
    assert "spectrum-suite show coinflip --format colon" in found
    assert "what to look for" in found


def test_the_module_runs_and_is_coloured_on_a_terminal(small_suite, chatml_folder):
    run = subprocess.run(
        [sys.executable, "-m", "spectrum_suite", "show", "coinflip", "--suite", str(small_suite),
         "--tokenizer", str(chatml_folder), "--max_length", "100"],
        cwd=Path(__file__).parents[3], env=os.environ | {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "\x1b[30;48;5;" in run.stdout
    assert "[Heads" not in run.stdout
