import pytest

from spectrum_suite.hub.fit_names import fit, fit_text, fit_values

pytestmark = pytest.mark.hub


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("/users/ada/models/base", "base"),
        ("/users/ada/models/base/", "base"),
        ("/users/Ada Lovelace/base", "base"),
        ("~/models/base", "base"),
        ("~ada/base", "base"),
        ("../../models/base", "base"),
        ("./base", "base"),
        ("outputs/run/adapter", "adapter"),
        ("C:\\Users\\ada\\base", "base"),
        ("C:/Users/ada/base", "base"),
        ("\\\\server\\share\\base", "base"),
        ("file:///users/ada/my%20base", "my base"),
        ("transplant:/users/Ada Lovelace/base", "transplant:base"),
        ("transplant:../base", "transplant:base"),
        ("alpaca=/data/alpaca.jsonl", "alpaca=alpaca.jsonl"),
        ("`/users/ada/base` in format `colon`", "`base` in format `colon`"),
        ("'/users/Ada Lovelace/base' has no head", "'base' has no head"),
        ("file /users/ada/x.csv, row 3", "file x.csv, row 3"),
        ("see (/srv/a/b) or C:\\a\\b.txt", "see (b) or b.txt"),
        ("/", "."),
    ],
)
def test_a_path_becomes_its_last_name(text, published):
    assert fit_text(text) == published
    assert fit([[text]]) == [[published]]
    assert fit({text: 1}) == {text if text == "outputs/run/adapter" else published: 1}


@pytest.mark.parametrize(
    "text",
    [
        "org/name", "embedded:gemma-3-270m", "transplant:org/name", "https://huggingface.co/org/name", "</s>", "and/or",
        "1/2", "2026/11/30", "tokens/s", "a / b", "spectrum", "cuda:0", "NVIDIA H200", "0.0005", "", "12:30", "w/o",
        "hf://datasets/org/name/x.parquet",
    ],
)  # fmt: skip
def test_everything_else_stays(text):
    assert fit_text(text) == text


def test_a_folder_that_is_told_once_is_known_in_every_text():
    report = {"base": "/users/Ada Lovelace/models/base", "log": ["no /users/Ada Lovelace/data/x.csv, row 3", "/a/x y"]}
    assert fit(report) == {"base": "base", "log": ["no x.csv, row 3", "x y"]}


def test_of_a_configuration_only_whole_paths_are_touched():
    values = {
        "tokenizer_file": "/users/ada/x/tokenizer.json", "eos_token": "</s>", "unk_token": "/",
        "chat_template": "/a\n/b/c",
        "added_tokens_decoder": {"1": {"content": "//"}}, "vocab_size": 3, "pad_token": "/pad",
    }  # fmt: skip
    assert fit_values(values) == values | {"tokenizer_file": "tokenizer.json"}
