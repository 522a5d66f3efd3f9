"""A suite carries what the licences of its sources ask for, and says what may be used commercially."""

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions, build
from dataset_builder.licences import addresses, attribution, commercial_use, licence_files, notice_file
from dataset_builder.mixtures import mixtures
from dataset_builder.registry import all_tasks, get_task
from spectrum_suite.errors import UserError

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "dataset_builder" / "fixtures"
SOURCES = {spec.source.name: spec.source for spec in all_tasks()}
WITH_NOTICE = [source for source in SOURCES.values() if source.license.lower().startswith(("mit", "isc", "bsd"))]
ATTRIBUTED = [source for source in SOURCES.values() if "by" in source.license.lower().replace(" ", "-").split("-")]
TASKS = ["coinflip", "dist_global_oqa", "gsm8k_question", "cov_claude_gerunds", "polis_vote", "prism_prompts"]


def test_what_a_licence_says_of_commercial_use():
    source = SOURCES["gsm8k"]
    for licence, expected in {
        "mit": "yes", "MIT; and more": "yes", "cc-by-sa-4.0": "yes", "CC BY": "yes", "public domain": "yes",
        "cc-by-nc-sa-4.0": "no", "texts CC BY 4.0, answers CC BY-NC 4.0": "no", "CC-BY-NC-4.0": "no",
        "unstated": "unknown", "cc (as the card states)": "unknown", "terms of use": "unknown",
    }.items():  # fmt: skip
        assert commercial_use(replace(source, license=licence)) == expected, licence
    assert commercial_use(replace(source, license="cc-by-4.0", commercial="unknown")) == "unknown"
    assert {name for name, source in SOURCES.items() if commercial_use(source) == "no"} == {
        "chatbotarena", "globaloqa", "netflix", "prism", "wvs",
    }  # fmt: skip


@pytest.mark.parametrize("source", WITH_NOTICE, ids=lambda source: source.name)
def test_a_source_whose_licence_asks_for_a_notice_has_it(source):
    assert "Copyright (c)" in source.notices[0]
    text = licence_files([spec for spec in all_tasks() if spec.source.name == source.name])[notice_file(source)]
    assert source.notices[0] in text
    assert "this permission notice" in text
    assert "{" not in text


@pytest.mark.parametrize("source", ATTRIBUTED, ids=lambda source: source.name)
def test_a_source_whose_licence_asks_for_attribution_has_it(source):
    assert source.creators
    assert addresses(source)[0] in attribution(source) or source.attribution
    assert "CC BY" in attribution(source)


def test_the_apache_licence_is_the_one_of_this_project():
    text = (ROOT / "dataset_builder" / "templates" / "licences" / "Apache-2.0.txt").read_text()
    assert text == (ROOT / "LICENSE").read_text()


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / "mixed"
    build(TASKS, BuildOptions(folder, sources_dir=FIXTURES, allow_missing=True, max_rows=3))
    return folder


def test_notices_lie_in_the_suite(suite):
    assert sorted(path.name for path in (suite / "LICENSES").iterdir()) == ["gsm8k.txt", "verb_forms.txt"]
    assert "Copyright (c) 2021 OpenAI" in (suite / "LICENSES" / "gsm8k.txt").read_text()
    notice = (suite / "LICENSES" / "verb_forms.txt").read_text()
    assert "Copyright (c) 2017 Dibya Chakravorty" in notice
    assert "Copyright (C) 1992, 1993 University of Pennsylvania" in notice
    assert "provided that the above copyright notice appear in all\ncopies" in notice


def test_the_card_carries_the_terms_of_each_source(suite):
    card = DatasetCard.load(suite / "README.md")
    assert (suite / card.data.license_link).is_file()
    assert card.data.source_datasets == [
        "extended|HannahRoseKirk/prism-alignment", "extended|other-globaloqa", "extended|other-gsm8k",
        "extended|other-polis", "extended|other-verb_forms", "original",
    ]  # fmt: skip
    assert set(card.data.nc) == {
        "train_mixture", "paper_train_mixture", "text_collections", "dist_global_oqa", "prism_prompts",
    }  # fmt: skip
    assert "| cc-by-nc-sa-4.0 (nc) | yes |" in card.text
    assert "<https://creativecommons.org/licenses/by-nc-sa/4.0/>" in card.text
    assert "is sub-licensed under CC BY 4.0 with Attribution to The Computational Democracy Project." in card.text
    assert "https://compdemocracy.org/case-studies/2015-vtaiwan-uberx" in card.text
    assert "[`LICENSES/gsm8k.txt`](LICENSES/gsm8k.txt)" in card.text
    rows = load_dataset(str(suite), "dist_global_oqa", split="test")
    assert rows.info.license == "cc-by-nc-sa-4.0"


def test_mixtures_for_commercial_use_have_no_other_tasks(suite):
    found = mixtures(map(get_task, TASKS))
    assert [spec.name for spec in found["commercial_train_mixture"]["train"]] == [
        "coinflip",
        "gsm8k_question",
        "polis_vote",
    ]
    assert "commercial_train_mixture" not in mixtures(map(get_task, ["coinflip", "gsm8k_question"]))  # it is the whole
    rows = load_dataset(str(suite), "commercial_train_mixture", split="train")
    assert set(rows["source"]) == {"synthetic", "gsm8k", "polis"}


def test_a_build_for_commercial_use_leaves_other_tasks_out(suite, tmp_path):
    options = BuildOptions(
        tmp_path / "suite", sources_dir=FIXTURES, allow_missing=True, max_rows=1, num_proc=2, licences="commercial"
    )
    with pytest.raises(UserError, match=r"'prism_prompts'.*does not allow commercial use.*'--licences commercial'"):
        build(["coinflip", "prism_prompts"], options)
    with pytest.raises(UserError, match=r"'imdb'.*does not say that it allows"):
        build(["imdb"], options)
    report = build(["ours", "gsm8k_question"], options)
    assert report["licences"] == "commercial"
    assert {commercial_use(get_task(name).source) for name in report["tasks"]} == {"yes"}
    card = (tmp_path / "suite" / "README.md").read_text()
    assert "Built with `--licences commercial`" in card
    assert "\nnc:" not in card
    with pytest.raises(UserError, match=r"holds task '\w+', whose source is not known to allow commercial use"):
        build(["coinflip"], replace(options, output=suite))
