"""A published suite as others read it: `datasets` in a process of its own, with nothing but the Hub's address."""

# ruff: noqa: PLC0415 - a function that runs in another process imports for itself

import json
from hashlib import sha256

import pyarrow.parquet as pq
import pytest

from dataset_builder.build import BuildOptions, build
from dataset_builder.mixtures import mixtures
from dataset_builder.registry import all_tasks, get_task
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.publish import PushOptions, push
from tests.conftest import FIXTURES
from tests.hub.conftest import talking_to
from tests.loopback_hub.hub_client import ask
from tests.loopback_hub.hub_server import Hub

pytestmark = pytest.mark.hub

SUITE = "org/spectrum-suite"
OF_EVERY_KIND = [
    "coinflip", "cov_car_brand", "described_shares", "dist_global_oqa", "dist_urn", "flight", "habermas_individual",
    "imdb", "named_sets",
]  # fmt: skip


def read_all(name, many):
    import json
    from copy import deepcopy
    from hashlib import sha256

    from datasets import disable_progress_bars, get_dataset_config_names, get_dataset_split_names, load, load_dataset

    disable_progress_bars()
    if many:  # what a call finds out about the repository before it looks at the config: the card alone takes seconds
        found, find = {}, load.dataset_module_factory
        load.dataset_module_factory = lambda path, **more: deepcopy(
            found.get(path) or found.setdefault(path, find(path, **more))
        )

    def digests(splits):
        return {
            split: [sha256(json.dumps(row, sort_keys=True).encode()).hexdigest() for row in rows]
            for split, rows in splits.items()
        }

    configs = get_dataset_config_names(name)
    return {
        "plain": {config: digests(load_dataset(name, config)) for config in configs},
        "streamed": {config: digests(load_dataset(name, config, streaming=True)) for config in configs if not many},
        "splits": get_dataset_split_names(name, configs[0]),
    }


def digests(folder, *tasks):
    """Of every row of the Parquet files of some tasks, in their order."""
    rows = [
        row for task in tasks for path in sorted((folder / task).iterdir()) for row in pq.read_table(path).to_pylist()
    ]
    return [sha256(json.dumps(row, sort_keys=True).encode()).hexdigest() for row in rows]


def expected(folder, names):
    """{config: {split: digests}} of the tasks and the mixtures that they make."""
    specs = [get_task(name) for name in names]
    tasks = {spec.name: {spec.split: digests(folder, spec.name)} for spec in specs}
    mixed = {
        name: {split: digests(folder, *(spec.name for spec in found)) for split, found in splits.items()}
        for name, splits in mixtures(specs).items()
    }
    return tasks | mixed


MANY = 20
WHOLE = [spec.name for spec in all_tasks() if spec.source.redistributable != "no"]


@pytest.mark.parametrize("names", [pytest.param(OF_EVERY_KIND, id="of every kind"), pytest.param(WHOLE, id="whole")])
def test_every_config_is_read_row_by_row(tmp_path, names):
    folder = tmp_path / "suite"
    build(names, BuildOptions(folder, max_rows=5, sources_dir=FIXTURES, allow_missing=True))
    with Hub() as hub:
        with talking_to(hub):
            push(dataset_publication(folder, SUITE, include_unlicensed=True), PushOptions(), hub.write_token)
        seen = ask(hub, tmp_path, read_all, SUITE, len(names) > MANY, token="", uploads=False)
    local = expected(folder, names)
    assert {"train_mixture", "heldout", *names} <= local.keys()
    assert seen["plain"] == local
    assert seen["streamed"] == (local if len(names) <= MANY else {})
    assert seen["splits"] == list(next(iter(local.values())))
    assert all(rows for splits in local.values() for rows in splits.values())
