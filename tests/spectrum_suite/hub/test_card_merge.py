import pytest
import yaml

from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import BEGIN, END, Ours, merge_card

pytestmark = pytest.mark.hub

CARD = """---
license: mit
tags:
- ours
configs:
- config_name: coinflip
  data_files: coinflip/train-*.parquet
---

# Suite

Ten coins.
"""
OURS = Ours(
    {"license", "license_name"},
    {"tags": lambda tag: False, "configs": lambda entry: entry["config_name"] in {"coinflip", "gone"}},
)


def metadata(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_a_first_card_is_ours_between_the_comments():
    card = merge_card(CARD, None, OURS)
    assert list(metadata(card).items()) == list(metadata(CARD).items())  # in the same order
    assert card.split("---\n", 2)[2] == f"\n{BEGIN}\n\n# Suite\n\nTen coins.\n\n{END}\n"


def test_merging_again_changes_nothing():
    card = merge_card(CARD, None, OURS)
    assert merge_card(CARD, card, OURS) == card


def test_what_people_wrote_stays_and_our_part_is_new():
    first = merge_card(CARD, None, OURS)
    edited = first.replace(BEGIN, f"Read this first: a < b, \\1.\n\n{BEGIN}").replace("Ten coins", "Nine coins")
    edited += "\n## Who uses it\n\nWe do.\n"
    second = merge_card(CARD.replace("Ten", "Eleven"), edited, OURS)
    assert second == edited.replace("Nine", "Eleven")


def test_metadata_of_others_stays_and_ours_is_replaced_or_removed():
    remote = """---
viewer: false
license: other
license_name: one-per-source
tags: [theirs, ours]
configs:
- config_name: gone
  data_files: gone/train-*.parquet
- config_name: theirs
  data_files: theirs.csv
---
text
"""
    found = metadata(merge_card(CARD, remote, OURS))
    assert found["viewer"] is False
    assert found["license"] == "mit"
    assert "license_name" not in found
    assert found["tags"] == ["ours", "theirs"]
    assert [entry["config_name"] for entry in found["configs"]] == ["coinflip", "theirs"]


def test_a_card_without_our_part_is_kept_below_it():
    card = merge_card(CARD, "---\nlicense: mit\n---\n\n# By hand\n", OURS)
    assert card.endswith(f"{END}\n\n# By hand\n")


@pytest.mark.parametrize("lost", [BEGIN, END])
def test_a_lost_comment_is_refused(lost):
    card = merge_card(CARD, None, OURS).replace(lost, "")
    with pytest.raises(UserError, match="has lost one of the two comments") as caught:
        merge_card(CARD, card, OURS)
    assert lost in str(caught.value)


@pytest.mark.parametrize("remote", ["---\ntags: [\n---\n", "---\n- a\n---\ntext\n"])
def test_metadata_that_does_not_read_is_refused(remote):
    with pytest.raises(UserError, match="metadata of the card on the Hub is not valid"):
        merge_card(CARD, remote, OURS)
