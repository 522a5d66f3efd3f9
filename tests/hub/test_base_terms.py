"""The licence of a base model on a Hub, and the files that go with it."""

import pytest
from huggingface_hub import HfApi

from spectrum_suite.hub.terms import terms_of
from tests.loopback_hub.hub_storage import put

pytestmark = pytest.mark.hub

BASE = "org/base-4bit"
CARD = "---\nlicense: {}\nlicense_name: own\nlicense_link: LICENSE\n---\n"


def base_with(here, card, **files):
    HfApi(token=here.write_token).create_repo(BASE)
    repository = here.repository("model", BASE)
    contents = {"README.md": card.encode(), **files}
    puts = [put(name, repository.objects.add(content)) for name, content in contents.items()]
    repository.commit("main", puts, title="x", description="", author="ada", parent=None)
    return repository


def test_a_quantized_base_passes_its_licence_on(here, tmp_path):
    base_with(here, CARD.format("other"), LICENSE=b"the terms", **{"NOTICE.txt": b"the notice", "notes.txt": b"x"})
    found = terms_of(BASE, BASE, tmp_path)
    assert (found.license_name, found.title, found.link) == ("other", "own", "LICENSE")
    assert {file.name: file.source.read_bytes() for file in found.files} == {
        "LICENSE": b"the terms", "NOTICE.txt": b"the notice",
    }  # fmt: skip


def test_a_quantized_gemma_is_gemma(here, tmp_path):
    base_with(here, CARD.format("gemma"))
    found = terms_of(BASE, BASE, tmp_path)
    assert found.license_name == "gemma"
    assert [file.name for file in found.files] == ["NOTICE"]


def test_a_gated_base_tells_its_licence_all_the_same(here, tmp_path):
    base_with(here, CARD.format("gemma"), LICENSE=b"the terms").gated = True
    assert terms_of(BASE, BASE, tmp_path).license_name == "gemma"


def test_a_base_that_cannot_be_asked_has_the_terms_of_its_page(here, tmp_path):
    found = terms_of("org/nowhere", "org/nowhere", tmp_path)
    assert (found.license_name, found.link) == ("other", "LICENSE.md")
    assert b"https://huggingface.co/org/nowhere" in found.files[0].source


def test_what_the_user_says_counts(here, tmp_path):
    base_with(here, CARD.format("gemma"))
    found = terms_of(BASE, BASE, tmp_path, license_name="mit", license_link="https://example.org/mit")
    assert (found.license_name, found.link, found.files) == ("mit", "https://example.org/mit", ())
