"""Every option of `train_sft.py` changes the run, has another effect, or is refused by name."""

import json
from dataclasses import fields
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from spectrum_suite.commands.train import option_classes, read_command_line
from spectrum_suite.errors import UserError
from spectrum_suite.training.options import HARMLESS, REFUSED, SEVERAL_PROCESSES, TRACKERS
from tests.train_command import arguments, report_of, write_pairs

ALL = {each.name: each for kind in option_classes() for each in fields(kind)}
MODEL = ["--model_name_or_path", "some/model"]

CHANGES = {
    "tasks": ["described_shares=8"], "train_on": ["all"], "format": ["colon"], "description_dropout": ["1"],
    "permute": ["false"], "branching": ["1"], "task_branching": ["coinflip=1"], "turn_tokens": ["newline"],
    "rows": ["4"], "per_device_train_batch_size": ["2"], "num_train_epochs": ["1"], "max_steps": ["2"],
    "learning_rate": ["0.01"], "lr_scheduler_type": ["constant"], "warmup_steps": ["2"], "optim": ["sgd"],
    "weight_decay": ["0.5"], "adam_beta1": ["0.5"], "adam_beta2": ["0.5"], "adam_epsilon": ["0.1"],
    "gradient_accumulation_steps": ["2"], "max_grad_norm": ["0.0001"], "bf16": ["true"], "neftune_noise_alpha": ["50"],
    "seed": ["7"], "max_length": ["60"], "model_name_or_path": ["{other}"], "dtype": ["bfloat16"],
    "use_peft": ["false"], "lora_r": ["2"], "lora_alpha": ["2"], "lora_dropout": ["0.5"],
    "lora_target_modules": ["q_proj"], "use_rslora": ["true"], "use_dora": ["true"], "load_in_4bit": ["true"],
    "attn_implementation": ["eager"], "packing": ["true"],
}  # fmt: skip
"""Option -> a value that gives other weights, or runs other batches, than the run without it."""

BESIDE = {
    "lr_scheduler_kwargs": (['{"power": 3}'], ["--lr_scheduler_type", "polynomial"]),
    "optim_args": (["momentum=0.9"], ["--optim", "sgd"]),
    "bnb_4bit_quant_type": (["fp4"], ["--load_in_4bit", "true"]),
    "use_bnb_nested_quant": (["true"], ["--load_in_4bit", "true"]),
    "dataloader_drop_last": (["true"], ["--tasks", "coinflip=6", "--max_steps", "-1"]),
    "num_train_epochs": (["2"], ["--max_steps", "-1"]),
    "mixing_temperature": (["100"], ["--tasks", "coinflip=8", "described_shares=2", "--rows", "4"]),
    "objective": (["response"], ["--objective", "instruction", "--data", "{pairs}"]),
    "data": (["{others}"], ["--objective", "instruction", "--data", "{pairs}"]),
    "data_split": (["train[:4]"], ["--objective", "instruction", "--data", "{pairs}"]),
    "data_limit": (["4"], ["--objective", "instruction", "--data", "{pairs}"]),
    "layout": (["haiku"], ["--objective", "instruction", "--data", "{pairs}"]),
    "allow_held_out": (["true"], ["--tasks", "dist_urn"]),
}  # fmt: skip
"""Option -> a value that changes a run with these others, or that is refused as the data does not fit it."""

ELSEWHERE = {
    "marked", "markers_dropout", "markers_sample_dropout", "marker_categories", "marker_taxonomy",  # test_train_markers
    "target_draws", "target_brier", "target_rps", "target_smoothing",  # test_train_targets
    "read",  # test_decision_model
    "optim_target_modules", "lora_target_parameters",  # below
    "fp16", "tf32", "load_in_8bit",  # below: refused without a GPU
}  # fmt: skip


def test_every_option_is_accounted_for():
    decides = ALL.keys() - REFUSED.keys() - HARMLESS
    assert REFUSED.keys() | HARMLESS <= ALL.keys()
    assert not REFUSED.keys() & HARMLESS
    assert decides == (CHANGES.keys() | BESIDE.keys() | ELSEWHERE) - HARMLESS
    shown = HAVE_EFFECT.keys() | SEVERAL_PROCESSES | TRACKERS.keys() | GPU_ONLY | SHOWN_ELSEWHERE
    assert shown == HARMLESS


def other_value(name):
    """A word that is not among the values that an option keeps."""
    kept, _ = REFUSED[name]
    choices = [each for each in ALL[name].metadata.get("choices", ()) if each not in kept]
    if choices:
        return str(choices[0])
    if isinstance(kept[-1], bool):
        return str(not kept[-1]).lower()
    if isinstance(kept[-1], (int, float)):
        return str(kept[-1] + 1)
    return "1" if ALL[name].type not in (str, list[str]) else "x"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(name):
    word = "false" if name == "completion_only_loss" else other_value(name)
    with pytest.raises(UserError) as raised:
        read_command_line([*MODEL, f"--{name}", word])
    message = str(raised.value)
    in_words = name == "liger_kernel_config"  # no word of a command line is of its type
    assert message.startswith(f"argument --{name}" if in_words else f"--{name} ")
    assert " is not honoured: " in message or in_words


@pytest.mark.parametrize("name", [name for name, (kept, _) in REFUSED.items() if kept[-1] not in (None, "", [])])
def test_what_is_done_anyway_may_be_said(name):
    word = REFUSED[name][0][-1]
    assert read_command_line([*MODEL, f"--{name}={str(word).lower() if isinstance(word, bool) else word}"])


@pytest.fixture(scope="module")
def places(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    return {
        "other": model_folder("llama3"),
        "pairs": write_pairs(folder / "pairs.jsonl"),
        "others": write_pairs(folder / "others.jsonl", 9),
    }


@pytest.fixture
def outcome(train, model_folder, small_suite, places, tmp_path):
    """``outcome(*words)``: the weights of a run and the tokens that it ran, or what it said when it was refused."""
    runs = iter(range(100))

    def run(*words):
        output = tmp_path / str(next(runs))
        given = [word.format(**places) if word.startswith("{") and "}" in word[:9] else word for word in words]
        suite = ["--suite", str(small_suite)] if "--objective" not in words else []
        tasks = [] if "--tasks" in words or "--objective" in words else ["--tasks", "coinflip=8"]
        steps = [] if "--max_steps" in words else ["--max_steps", "3"]
        command = arguments(model_folder("chatml"), small_suite, output, *tasks, *steps, *given)
        if not suite:
            place = command.index("--suite")
            command = command[:place] + command[place + 2 :]
        code, error = train(*command)
        if code:
            assert code == 2
            return error.strip().splitlines()[-1]
        files = [
            output / name for name in ("adapter_model.safetensors", "model.safetensors") if (output / name).is_file()
        ]
        report = report_of(output)
        return load_file(files[0]), (report["run_tokens"], report["steps"], report["device"])

    return run


def differ(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return True
    if one[1] != other[1] or one[0].keys() != other[0].keys():
        return True
    return any(not torch.equal(weight, other[0][name]) for name, weight in one[0].items())


@pytest.fixture(scope="module")
def plain():
    """What the run without further options gave, made once."""
    return {}


SAME_TO_ROUNDING = ("attn_implementation", "packing", "num_train_epochs")
"""Their effects are shown elsewhere."""


@pytest.mark.parametrize("name", SAME_TO_ROUNDING)
def test_an_option_is_taken(outcome, name):
    assert not isinstance(outcome("--lora_dropout", "0.1", f"--{name}", *CHANGES[name]), str)


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in SAME_TO_ROUNDING])
def test_an_option_changes_the_run(outcome, plain, name):
    extra = ["--lora_dropout", "0.1"] if name != "lora_dropout" else []
    key = tuple(extra)
    if key not in plain:
        plain[key] = outcome(*extra)
    words = ["--max_steps", CHANGES[name][0]] if name == "max_steps" else [f"--{name}", *CHANGES[name]]
    changed = outcome(*extra, *words)
    assert not isinstance(changed, str), changed
    assert differ(plain[key], changed)


@pytest.mark.parametrize("name", BESIDE)
def test_an_option_changes_a_run_with_others(outcome, name):
    values, beside = BESIDE[name]
    changed = outcome(*beside, f"--{name}", *values)
    before = outcome(*beside)
    assert isinstance(before, str) == (name == "allow_held_out")
    assert differ(before, changed)


def test_an_option_that_the_optimizer_does_not_read_is_refused(outcome):
    assert "--optim_args is not read by --optim adamw_torch_fused" in outcome("--optim_args", "momentum=0.9")
    assert "--adam_beta1 is not read by --optim sgd" in outcome("--optim", "sgd", "--adam_beta1", "0.5")
    assert "--optim_target_modules is not read by" in outcome("--optim_target_modules", "q_proj")
    assert "--warmup_steps is not read by --lr_scheduler_type constant" in outcome(
        "--lr_scheduler_type", "constant", "--warmup_steps", "2"
    )
    assert "--lr_scheduler_type linear cannot be used with {'power': 3}" in outcome(
        "--lr_scheduler_kwargs", '{"power": 3}'
    )
    assert "--optim galore_adamw cannot be used" in outcome("--optim", "galore_adamw")


NEEDS_GPU = [
    ("fp16", "true"), ("tf32", "true"), ("tf32", "false"), ("load_in_8bit", "true"), ("activation_offloading", "true"),
    ("torch_empty_cache_steps", "1"), ("optim", "paged_adamw_8bit"), ("attn_implementation", "flash_attention_2"),
]  # fmt: skip
GPU_ONLY = {"activation_offloading", "torch_empty_cache_steps"}


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator, and it is used")
def test_what_needs_a_gpu_is_refused_without_one(outcome):
    for name, word in NEEDS_GPU:
        more = ["--load_in_4bit", "false"] if name == "load_in_8bit" else []
        assert f"--{name} " in (found := outcome(f"--{name}", word, *more))
        assert "needs a GPU" in found


@pytest.mark.parametrize("name", sorted(SEVERAL_PROCESSES))
def test_what_is_for_several_processes_is_refused_in_one(name, monkeypatch):
    value = {"ddp_backend": "gloo", "log_level_replica": "error", "fsdp": "full_shard", "fsdp_config": "x.json"}
    value |= {"log_on_each_node": "false", "ddp_timeout": "5", "ddp_bucket_cap_mb": "5"}
    words = [*MODEL, f"--{name}", value.get(name, "true")]
    with pytest.raises(UserError, match=f"--{name} is for several processes: start with accelerate launch"):
        read_command_line(words)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert name in read_command_line(words)


@pytest.mark.parametrize("name", TRACKERS)
def test_what_a_tracker_reads_is_refused_without_one(name):
    with pytest.raises(UserError, match=f"--{name} is read by .* alone: name it with --report_to"):
        read_command_line([*MODEL, f"--{name}", "x"])
    assert read_command_line([*MODEL, f"--{name}", "x", "--report_to", "trackio"])[name] == "x"


@pytest.mark.skipif(find_spec("wandb") is not None, reason="the tracker is installed")
def test_a_tracker_that_is_not_installed_is_refused(outcome):
    assert "requires wandb to be installed" in outcome("--report_to", "wandb")
    assert "no_such is not supported" in outcome("--report_to", "no_such")


SHOWN_ELSEWHERE = {
    "output_dir", "suite", "dataset", "split", "columns", "dataset_config", "dataset_revision",  # test_train_dataset.py
    "adapter_name_or_path", "model_revision", "merge", "resume_from_checkpoint",
    "chat_template_path",
    "alignment_steps", "alignment_items", "use_cpu",  # in test_train_sft.py, test_train_again.py and below
    "deepspeed", "dataloader_multiprocessing_context", "dataloader_prefetch_factor", "dataloader_pin_memory",
    "report_to", "bnb_4bit_quant_storage", "gradient_checkpointing_kwargs", "activation_checkpointing_kwargs",
}  # fmt: skip

HAVE_EFFECT = {
    "logging_strategy": (["epoch"], lambda run: len(run["log"]) == 2),
    "logging_steps": (["3"], lambda run: len(run["log"]) == 1),
    "logging_first_step": (["true"], None),
    "include_num_input_tokens_seen": (["true"], lambda run: "num_input_tokens_seen" in run["log"][0]),
    "log_level": (["error"], None),
    "disable_tqdm": (["false"], None),
    "save_strategy": (["no"], lambda run: run["checkpoints"] == []),
    "save_steps": (["1"], lambda run: len(run["checkpoints"]) == 4),
    "save_total_limit": (["1"], None),
    "dataloader_num_workers": (["1"], None),
    "gradient_checkpointing": (["true"], None),
    "activation_checkpointing": (["true"], None),
    "full_determinism": (["true"], None),
}
"""Option that changes no weights -> a value, and what of the run shows it."""


@pytest.mark.parametrize("name", HAVE_EFFECT)
def test_a_harmless_option_changes_no_weights(train, model_folder, small_suite, tmp_path, plain, name):
    values, shows = HAVE_EFFECT[name]

    def run(folder, *words):
        command = arguments(
            model_folder("chatml"), small_suite, folder, "--tasks", "coinflip=8", "--num_train_epochs", "2"
        )
        code, error = train(*command, *words)
        assert code == 0, error
        found = report_of(folder) | {"checkpoints": sorted(path.name for path in folder.glob("checkpoint-*"))}
        return load_file(folder / "adapter_model.safetensors"), found

    if "harmless" not in plain:
        plain["harmless"] = run(tmp_path / "plain")
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        weights, found = run(tmp_path / "other", f"--{name}", *values)
    finally:
        torch.use_deterministic_algorithms(deterministic)
    before, report = plain["harmless"]
    assert all(torch.equal(weight, weights[key]) for key, weight in before.items())
    if shows:
        assert shows(found)
        assert not shows(report)


def test_experts_are_adapted_without_dropout_unless_it_is_asked_for(train, tokenizer_of, small_suite, tmp_path):
    tokenizer = tokenizer_of("chatml")
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, num_experts=4, num_experts_per_tok=2,
        output_router_logits=True,
    )  # fmt: skip
    Qwen3MoeForCausalLM(config).save_pretrained(tmp_path / "moe")
    tokenizer.save_pretrained(tmp_path / "moe")

    def run(name, *words):
        output = tmp_path / name
        code, error = train(*arguments(tmp_path / "moe", small_suite, output, "--tasks", "coinflip", *words))
        if code:
            return error.strip().splitlines()[-1]
        return report_of(output)["lora"]["lora_dropout"], json.loads((output / "adapter_config.json").read_text())

    dropout, adapter = run("default")
    assert (dropout, adapter["lora_dropout"]) == (0.0, 0.0)
    assert "does not work with lora_dropout != 0" in run("dropout", "--lora_dropout", "0.1")
    dropout, adapter = run("attention", "--lora_target_modules", "q_proj", "--lora_dropout", "0.1")
    assert (dropout, adapter["target_modules"]) == (0.1, ["q_proj"])
    parameter = "mlp.experts.down_proj"
    _, adapter = run("experts", "--lora_target_parameters", parameter, "--lora_target_modules", "q_proj")
    assert adapter["target_parameters"] == [parameter]
    assert "--lora_target_parameters no.such: the model has no parameter of this name" in run(
        "none", "--lora_target_parameters", "no.such"
    )
    assert "--lora_target_modules r_proj: the model has no module of this name" in run(
        "none", "--lora_target_modules", "q_proj", "r_proj"
    )
