import json
import shutil
from pathlib import PurePosixPath

import pytest

from dataset_builder.sources.globaloqa import GLOBALOQA, TASKS, whole_percents
from dataset_builder.task_spec import Draw, Target
from spectrum_suite.errors import UserError

TASK = {task.name: task for task in TASKS}
COUNTRIES, TARGETS = TASK["globaloqa"].read, TASK["dist_global_oqa"].read
TABLE = "globaloqa/data/global_opinions.csv"
VITAL = "vital/dataset/vital_distributional_globalopinionqa.json"
ALIGNMENT = "global_values_bda/Global_Values/data/data.json"
RAIN = Draw('{"question": "Do you like rain?", "options": ["Yes", "No"]}', '[{"Yes": 29}, {"No": 71}]')
CAFE = '{"question": "Which café is best?\\nPick one.", "options": ["The old one", "Tom\'s", "Missing; Unknown"]}'


@pytest.fixture
def table(fixture_files, tmp_path):
    """A copy of the table's fixture rows, which a test may damage."""
    [(name, path)] = fixture_files(GLOBALOQA).items()
    return {name: shutil.copy(path, tmp_path / "global_opinions.csv")}


@pytest.fixture
def write_json(tmp_path):
    def write(name, value):
        path = tmp_path / PurePosixPath(name).name
        path.write_text(json.dumps(value), encoding="utf-8")
        return {name: path}

    return write


def vital_item(**changes):
    item = {
        "question": "Question: Do you like rain?\nOptions: A. Yes B. No\nAnswer:",
        "options": ["Yes", "No"],
        "attribute": "Kenya",
        "gold_distribution": [0.29, 0.71],
        "pred_distribution": None,
        "id": 27,
    }
    return item | changes


def alignment_item(**changes):
    return {"Kenya": [0.29, 0.71], "MC_options": "['Yes', 'No']", "countries": ["Kenya"]} | changes


def test_a_process_is_a_country_and_29_percent_is_29(fixture_files, split):
    countries, dropped = split(COUNTRIES(fixture_files(GLOBALOQA)))
    assert list(countries) == ["Kenya", "China (Non-national sample)", "Brazil"]
    assert countries["Kenya"].draws == (
        RAIN,
        Draw(CAFE, '[{"The old one": 34}, {"Tom\'s": 33}, {"Missing; Unknown": 33}]'),
    )
    # Shares of 0.5 and 0.49 are 50.51 and 49.49 percent of their sum.
    assert countries["China (Non-national sample)"].draws == (Draw(RAIN.input, '[{"Yes": 51}, {"No": 49}]'),)
    assert countries["Brazil"].draws == (
        Draw(
            '{"question": "How many cups a day?", "options": ["1", "2", "More"]}',
            '[{"1": 17}, {"2": 33}, {"More": 50}]',
        ),
    )
    assert dropped == {
        "question without text": 1,
        "shares of a country that are all zero": 1,
        "shares of a country that do not match the options": 1,
    }
    assert (TASK["globaloqa"].sequences.mode, TASK["globaloqa"].sequences.count) == ("several", 2)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.29, 0.71], [29, 71]),
        ([0.57, 0.43], [57, 43]),
        ([1 / 3, 1 / 3, 1 / 3], [34, 33, 33]),
        ([0.005, 0.995], [1, 99]),
        ([0.004, 0.996], [0, 100]),
        ([0.166, 0.167, 0.667], [16, 17, 67]),
        ([1.0, 0.0], [100, 0]),
    ],
)
def test_percentages_are_rounded_by_the_largest_remainder(shares, expected):
    assert whole_percents(shares) == expected


def test_every_whole_percentage_stays_as_it_is():
    for percent in range(101):
        assert whole_percents([percent / 100, (100 - percent) / 100]) == [percent, 100 - percent]


def test_the_country_is_named_and_no_placeholder_is_left(fixture_files, split):
    countries, _ = split(COUNTRIES(fixture_files(GLOBALOQA)))
    for country, example in countries.items():
        named = [country in text for text in example.descriptions]
        assert named == [True, True, False]
        assert not any("{" in text or "percent" not in text for text in example.descriptions)
    targets, _ = split(TARGETS(fixture_files(GLOBALOQA)))
    for process, example in targets.items():
        assert example.descriptions[0].startswith(f"Country: {process.partition('/')[2]}. A random person")


def test_targets_are_the_shares_over_letters(fixture_files, split):
    targets, _ = split(TARGETS(fixture_files(GLOBALOQA)))
    assert list(targets) == ["1/Kenya", "1/China (Non-national sample)", "2/Kenya", "4/Brazil"]
    assert targets["1/Kenya"].target == Target("Do you like rain?\nA. Yes\nB. No", ("A", "B"), (0.29, 0.71))
    assert targets["1/China (Non-national sample)"].target.probabilities == (0.5 / 0.99, 0.49 / 0.99)
    assert targets["2/Kenya"].target.options == ("A", "B", "C")
    assert targets["2/Kenya"].groups == (("country", "Kenya"),)
    assert targets["4/Brazil"].target.input == "How many cups a day?\nA. 1\nB. 2\nC. More"
    assert TASK["dist_global_oqa"].output_label == "Response (letter)"


@pytest.mark.parametrize(
    ("n", "reason"), [(1, "question with one option"), (27, "question with more options than letters")]
)
def test_questions_that_letters_do_not_fit_have_no_target(write_json, split, n, reason):
    options = [str(i) for i in range(n)]
    files = write_json(VITAL, [vital_item(options=options, gold_distribution=[1 / n] * n)])
    targets, dropped = split(TARGETS(files))
    assert not targets
    assert dropped == {reason: 1}
    assert list(split(COUNTRIES(files))[0]) == ["Kenya"]


def test_the_derived_files_give_the_same_draws_and_targets(write_json, split):
    for files, number in (
        (write_json(VITAL, [vital_item()]), 27),
        (write_json(ALIGNMENT, {"Do you like rain?": alignment_item()}), 1),
    ):
        countries, _ = split(COUNTRIES(files))
        assert countries["Kenya"].draws == (RAIN,)
        targets, _ = split(TARGETS(files))
        assert targets[f"{number}/Kenya"].target.probabilities == (0.29, 0.71)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"defaultdict(<class 'list'>, {'Kenya': [1.0", b"dict({'Kenya': [1.0", "row 3: column 'selections' holds"),
        (b"[0.29, 0.71]", b"[0.29, 'many']", "row 1: [0.29, 'many'] are not shares"),
        (b"[0.29, 0.71]", b"[0.29, -0.71]", "row 1: [0.29, -0.71] are not shares"),
        (b"[1, 2, 'More']", b"__import__('os')", "row 4: \"__import__('os')\" is not a Python literal"),
        (b"selections", b"shares", "lacks a column it should have"),
        (b"Do you like", b"Do \xffou like", "is not valid CSV"),
        (b",GAS", b",GAS,1", "row 1: it has 5 fields"),
    ],
)
def test_a_damaged_table_is_named_with_its_row(table, old, new, message):
    content = table[TABLE].read_bytes()
    assert old in content
    table[TABLE].write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=r"global_opinions\.csv") as error:
        list(COUNTRIES(table))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "is not valid CSV"), (35, "holds no row"), (100, "ends inside a quoted field")],
)
def test_a_table_that_was_cut_off_is_named(table, size, message):
    table[TABLE].write_bytes(table[TABLE].read_bytes()[:size])
    with pytest.raises(UserError, match=r"global_opinions\.csv") as error:
        list(TARGETS(table))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (VITAL, {}, "row 1: the file is not a JSON list but dict"),
        (VITAL, [vital_item(), vital_item()], "row 2: the id 27"),
        (VITAL, [vital_item(question="Do you like rain?")], "row 1: the prompt 'Do you like rain?'"),
        (VITAL, [vital_item(attribute=None)], "row 1: None is not a country"),
        (VITAL, [vital_item(gold_distribution=None)], "row 1: None are not shares"),
        (VITAL, [{"question": "Question: Why?\nOptions: A. No\nAnswer:"}], "row 1: there is no 'id'"),
        (ALIGNMENT, [], "row 1: the file is not a JSON dict but list"),
        (ALIGNMENT, {"Why?": alignment_item(countries=["Peru"])}, "row 1: there is no 'Peru'"),
        (ALIGNMENT, {"Why?": alignment_item(MC_options="['Yes'")}, "row 1: \"['Yes'\" is not a Python literal"),
    ],
)
def test_a_damaged_derived_file_is_named_with_its_item(write_json, name, value, message):
    with pytest.raises(UserError, match=PurePosixPath(name).name) as error:
        list(COUNTRIES(write_json(name, value)))
    assert message in str(error.value)


def test_real_rows_of_vital(real_files, split):
    files = real_files(GLOBALOQA)
    if list(files) != [VITAL]:
        pytest.skip("SPECTRUM_SOURCES has another file of globaloqa")
    items = json.loads(files[VITAL].read_text(encoding="utf-8"))
    targets, dropped = split(TARGETS(files))
    assert not dropped
    assert len(targets) == len(items)
    for item in items:
        target = targets[f"{item['id']}/{item['attribute']}"].target
        assert target.probabilities == pytest.approx(item["gold_distribution"], abs=1e-9)
        question, _, options = target.input.rpartition("\nA. ")
        assert item["question"].startswith(f"Question: {question}")
        assert len(options.splitlines()) == len(item["options"])
    check_countries(files, split, rows=len(items))


def test_real_rows_of_the_alignment_benchmark(real_files, split):
    name, path = next(iter(real_files(GLOBALOQA).items()))
    root = path.parents[len(PurePosixPath(name).parts) - 1]
    if not (root / ALIGNMENT).is_file():
        pytest.skip("SPECTRUM_SOURCES has no file of the alignment benchmark")
    files = {ALIGNMENT: root / ALIGNMENT}
    items = json.loads(files[ALIGNMENT].read_text(encoding="utf-8"))
    targets, dropped = split(TARGETS(files))
    assert not dropped
    assert len(targets) == sum(len(item["countries"]) for item in items.values()) == 302
    check_countries(files, split, rows=302)


def check_countries(files, split, rows):
    countries, _ = split(COUNTRIES(files))
    draws = [draw for country in countries.values() for draw in country.draws]
    assert len(draws) == rows
    for draw in draws:
        options, answer = json.loads(draw.input)["options"], json.loads(draw.output)
        assert [next(iter(share)) for share in answer] == options
        assert sum(sum(share.values()) for share in answer) == 100
