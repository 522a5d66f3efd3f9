"""The numbers of the README, the docs and the cards are those of the committed reports: each is generated from them."""

import json
import re

import pytest

from benchmarks import document_numbers, gallery_picture, model_cards, results_page
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.page import markdown
from spectrum_suite.evaluation.comparison.run_results import read_results

ROOT = document_numbers.ROOT


@pytest.mark.parametrize("path", document_numbers.documents(), ids=lambda path: path.name)
def test_filling_a_document_in_again_changes_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert document_numbers.filled(text) == text


def test_a_wrong_digit_would_be_found():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    places = [place for place in document_numbers.PLACE.finditer(readme) if re.search(r"\d", place["text"])]
    assert len(places) >= 5
    for place in places:
        start = place.start("text") + re.search(r"\d", place["text"]).start()
        wrong = readme[:start] + str(9 - int(readme[start])) + readme[start + 1 :]
        assert document_numbers.filled(wrong) == readme


def test_every_value_is_used_and_an_unknown_one_is_named():
    texts = [path.read_text(encoding="utf-8") for path in document_numbers.documents()]
    used = {place["name"] for text in texts for place in document_numbers.PLACE.finditer(text)}
    assert used == set(document_numbers.VALUES)
    assert not [text for text in texts if text.count("<!-- = ") != len(document_numbers.PLACE.findall(text))]
    with pytest.raises(UserError, match="no number 'tsks': there are "):
        document_numbers.filled("<!-- = tsks -->1<!-- / -->")


def test_every_card_has_its_sources_and_every_source_its_card():
    written = {path.stem for path in (ROOT / "model_cards").glob("*.md")} - {"README"}
    assert written == {path.name for path in model_cards.SOURCES.glob("*") if path.is_dir()}
    for name in written:
        text = (ROOT / "model_cards" / f"{name}.md").read_text(encoding="utf-8")
        assert text == model_cards.card(model_cards.SOURCES / name)


def test_the_page_of_results_is_the_one_that_its_command_writes():
    assert results_page.PAGE.is_file() == bool(results_page.result_files(results_page.RUNS))
    if results_page.PAGE.is_file():
        assert results_page.PAGE.read_text(encoding="utf-8") == results_page.page(results_page.RUNS)


def test_the_gallery_shows_what_was_measured():
    found = json.loads((ROOT / gallery_picture.NUMBERS).read_text(encoding="utf-8"))["worlds"]
    asked = [json.loads(json.dumps(vars(world))) for world in gallery_picture.worlds()]
    assert [{name: world[name] for name in vars(gallery_picture.worlds()[0])} for world in found] == asked
    assert (ROOT / gallery_picture.PICTURE).stat().st_size < 200_000


def test_conclusions_beside_results_name_no_number_that_these_do_not_hold():
    for path in set(results_page.RUNS.glob("*.md")) - {results_page.RUNS / results_page.SUMMARY}:
        page = markdown(read_results(path.with_suffix(".json")))
        assert not [
            number for number in re.findall(r"\d+\.\d+", path.read_text(encoding="utf-8")) if number not in page
        ]


def test_what_holds_in_short_is_what_checkpoints_report():
    values = []
    for folder in (ROOT / "checkpoints").iterdir():
        training = json.loads((folder / "training_report.json").read_text(encoding="utf-8"))
        size = (folder / "adapter_model.safetensors").stat().st_size
        values += [training["peak_rss_gib"], training["seen_tokens"] / 1e6, size / 2**20]
        measured = folder / "reports" / "alignment.json"
        sections = json.loads(measured.read_text(encoding="utf-8"))["alignment"] if measured.is_file() else {}
        for section in sections.values():
            values += [section["model"][name]["mean"] for name in ("js_divergence", "coverage")]
            values.append(section["uniform"]["js_divergence"]["mean"])
    known = {f"{value:.{digits}f}" for value in values for digits in range(1, 5)}
    summary = (results_page.RUNS / results_page.SUMMARY).read_text(encoding="utf-8")
    assert set(re.findall(r"\d+\.\d+", summary)) <= known
