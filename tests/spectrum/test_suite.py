"""What a suite says of its tasks, on its card or only in its files."""

import pytest
from tiny_models import save_suite

from dataset_builder.build import BuildOptions, build
from dataset_builder.errors import UserError
from spectrum import suite as suites
from spectrum.suite import TaskInfo, suite_tasks, task_infos

EXPECTED = {
    "cards": TaskInfo("icl", held_out=False),
    "cov_weekdays_full": TaskInfo("coverage", held_out=True),
    "dist_states": TaskInfo("distribution", held_out=True),
    "flight": TaskInfo("icl", held_out=True),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "spectrum-suite"
    build(list(EXPECTED), BuildOptions(folder, max_rows=2))
    return str(folder)


def test_the_card_says_what_tasks_are_and_no_file_is_read(built, monkeypatch):
    for name in ("task_rows", "get_dataset_split_names"):
        monkeypatch.setattr(suites, name, None)
    assert task_infos(built) == EXPECTED
    assert task_infos(built, ["flight"]) == {"flight": EXPECTED["flight"]}


def test_the_files_say_it_where_the_card_is_silent(tmp_path):
    folder = str(save_suite(tmp_path / "suite"))
    assert task_infos(folder) == {
        "colors": TaskInfo("distribution", held_out=True),
        "dice": TaskInfo("distribution", held_out=True),
        "draws": TaskInfo("icl", held_out=True),
        "letters": TaskInfo("coverage", held_out=True),
    }


def test_an_unknown_task_is_named_with_the_closest_one(built):
    with pytest.raises(UserError, match=r"no task 'card'.*did you mean 'cards'"):
        task_infos(built, ["card"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nonexistent", "'/nonexistent' not found"),
        ("./some/where", "'./some/where' not found"),
        ("nowhere", "'nowhere' not found"),
        ("org/none", "'org/none' cannot be read"),
    ],
)
def test_a_suite_that_is_none(name, message, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message):
        suite_tasks(name)
