"""What the Hub demands of the metadata at the top of a card."""

import re
from functools import lru_cache
from typing import Any

import yaml

COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "docker", "static", "streamlit")
LICENSES = {
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigcode-openrail-m",
    "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc",
    "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl",
    "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0",
    "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "h-research", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl",
    "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr",
    "deepfloyd-if-license", "fair-noncommercial-research-license", "intel-research", "llama2", "llama3", "llama3.1",
    "llama3.2", "llama3.3", "llama4", "grok2-community", "gemma", "unknown", "other",
}  # fmt: skip
REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
Problems = tuple[list[str], list[str]]


def card_yaml(text: str) -> str | None:
    """The lines between the first two ``---``; None if the card does not start so."""
    block = re.match(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*$", text, flags=re.DOTALL | re.MULTILINE)
    return block[1] if block else None


@lru_cache(maxsize=64)
def parsed(text: str) -> Any:
    """A block of YAML."""
    return yaml.load(text, Loader=yaml.CSafeLoader)  # the safe one, in C: the card of a suite is long


def card_data(text: str) -> dict[str, Any]:
    """The metadata in a card; none where they cannot be read."""
    try:
        data = parsed(card_yaml(text) or "{}")
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def card_problems(text: str, kind: str) -> Problems:
    """(errors, warnings) of a card: errors stop a commit."""
    block = card_yaml(text)
    if block is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = parsed(block)
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {' '.join(str(error).split())}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, dict):
        return ["YAML Metadata Error: the metadata must be an object"], []
    errors = [*common_errors(data), *ERRORS_OF_KIND[kind](data)]
    return [f"YAML Metadata Error: {error}" for error in errors], []


def common_errors(data: dict[str, Any]) -> list[str]:
    """What every card must keep."""
    errors = [
        f'"{name}" must be a string or an array of strings'
        for name in ("tags", "language", "datasets", "metrics", "license", "base_model")
        if name in data and not is_strings(data[name])
    ]
    licenses = data.get("license", [])
    unknown = [given for given in ([licenses] if isinstance(licenses, str) else licenses) if given not in LICENSES]
    return errors + [f'"license" must be one of {", ".join(sorted(LICENSES))}; got {given!r}' for given in unknown]


def is_strings(value: object) -> bool:
    """Whether a value is a string or a list of them."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def one_of(data: dict[str, Any], name: str, allowed: tuple[str, ...]) -> list[str]:
    """The error of a field that has none of the allowed values."""
    return [f'"{name}" must be one of [{", ".join(allowed)}]'] if name in data and data[name] not in allowed else []


def model_errors(data: dict[str, Any]) -> list[str]:
    """What a model's card must keep besides."""
    bases = data.get("base_model", [])
    errors = [
        f'"base_model" with value "{base}" is not valid: use a model id from https://hf.co/models'
        for base in ([bases] if isinstance(bases, str) else bases)
        if not REPO_ID.fullmatch(str(base))
    ]
    errors += one_of(data, "base_model_relation", ("adapter", "finetune", "merge", "quantized"))
    entries = data.get("model-index", [])
    if not isinstance(entries, list):
        return [*errors, '"model-index" must be an array']
    for n, entry in enumerate(entries):
        errors += index_errors(f"model-index[{n}]", entry)
    return errors


def index_errors(where: str, entry: Any) -> list[str]:
    """What is wrong with the results of one model in a card."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return [f'"{where}.name" is required']
    errors = []
    for n, result in enumerate(entry.get("results", [])):
        at = f"{where}.results[{n}]"
        if "type" not in result.get("task", {}):
            errors.append(f'"{at}.task.type" is required')
        dataset = result.get("dataset", {})
        errors += [f'"{at}.dataset.{name}" is required' for name in ("type", "name") if name not in dataset]
        for m, metric in enumerate(result.get("metrics", [])):
            errors += [f'"{at}.metrics[{m}].{name}" is required' for name in ("type", "value") if name not in metric]
    return errors


def dataset_errors(data: dict[str, Any]) -> list[str]:
    """What a dataset's card must keep besides."""
    configs = data.get("configs", [])
    if not isinstance(configs, list):
        return ['"configs" must be an array']
    errors = []
    for n, config in enumerate(configs):
        if not isinstance(config, dict) or not isinstance(config.get("config_name", "default"), str):
            errors.append(f'"configs[{n}].config_name" must be a string')
        elif not isinstance(config.get("data_files", []), (list, str)):
            errors.append(f'"configs[{n}].data_files" must be a string or an array')
    names = [config.get("config_name") for config in configs if isinstance(config, dict)]
    errors += [f'"configs" has {name!r} twice' for name in {name for name in names if names.count(name) > 1}]
    return errors


def space_errors(data: dict[str, Any]) -> list[str]:
    """What a Space's card must keep besides."""
    errors = [*one_of(data, "sdk", SDKS), *one_of(data, "colorFrom", COLORS), *one_of(data, "colorTo", COLORS)]
    if "sdk" not in data:
        errors.append('"sdk" is required')
    if len(str(data.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    return errors


ERRORS_OF_KIND = {"model": model_errors, "dataset": dataset_errors, "space": space_errors}
