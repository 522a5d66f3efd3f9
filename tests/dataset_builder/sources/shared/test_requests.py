"""The coverage tasks whose valid answers are a table: cars, gerunds, colours, elements."""

import csv

import pytest

from dataset_builder.sources import color_names, periodic_table, us_car_models, verb_forms
from dataset_builder.sources.color_names import COLOR_NAMES
from dataset_builder.sources.periodic_table import PERIODIC_TABLE
from dataset_builder.sources.us_car_models import US_CAR_MODELS
from dataset_builder.sources.verb_forms import VERB_FORMS
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.coverage.validators import n_valid, validate

MODULES = (us_car_models, verb_forms, color_names, periodic_table)
TASK = {task.name: task for module in MODULES for task in module.TASKS}


@pytest.fixture
def request_of(split):
    """The one request of a task, and its dropped rows."""

    def read(name, files):
        examples, dropped = split(TASK[name].read(files))
        assert list(examples) == [name]
        return examples[name], dropped

    return read


@pytest.mark.parametrize(
    ("name", "valid", "dropped"),
    [
        (
            "cov_car_make_model",
            (
                "Albatros\tCourier", "Albatros\tLX", "Škorpion Motors\te-Volt", "ALBATROS\tlx", "QUILL\tQUILL7",
                "Škorpion Motors\te-Volt S", "QUILL\tNib, Long Bed",
            ),
            {"row without make or model": 2},
        ),
        ("cov_car_brand", ("Albatros", "Škorpion Motors", "ALBATROS", "QUILL"), {"row without make": 1}),
        (
            "cov_claude_gerunds",
            ("blorping", "snow's-nesting", "Zürichizing"),
            {"verb without an -ing form": 1, "-ing form that does not end in -ing": 1},
        ),
        (
            "cov_color_normal_ex",
            ("Red", "Blue", "Green", "Drowsy Lighthouse", "Captain’s Café", "Salt, Then Pepper"),
            {"colour without a name": 1},
        ),
        (
            "cov_color_interesting_ex",
            ("Red", "Blue", "Green", "Drowsy Lighthouse", "Captain’s Café", "Salt, Then Pepper"),
            {"colour without a name": 1},
        ),
        ("cov_element_symbols", ("He", "Al", "K", "Fe", "Cu", "I", "Xe", "Qz", "Xy"), {}),
        (
            "cov_element_names",
            ("Helium", "Aluminum", "Potassium", "Iron", "Copper", "Iodine", "Xenon", "Quartzium", "Xylörium"),
            {},
        ),
    ],
)  # fmt: skip
def test_the_valid_items_travel_with_the_request(fixture_files, request_of, name, valid, dropped):
    request, found_dropped = request_of(name, fixture_files(TASK[name].source))
    assert request.valid == valid
    assert found_dropped == dropped


@pytest.mark.parametrize(
    ("name", "description", "examples", "max_new_tokens"),
    [
        (
            "cov_car_make_model",
            "Each output is the make and model of a car.",
            "Toyota Camry|Ford Mustang|Honda Civic",
            16,
        ),
        ("cov_car_brand", "Each output is a car brand.", "Toyota|Volvo|Jeep", 8),
        ("cov_claude_gerunds", "Give an English gerund.", "knitting|wandering|schmoozing", 10),
        ("cov_color_normal_ex", "Give the name of a colour.", "Red|Blue|Green", 8),
        (
            "cov_color_interesting_ex",
            "Give the name of a colour.",
            "Electric Pickle|Moonlit Mauve|Ghost Whisperer",
            8,
        ),
        ("cov_element_symbols", "Each output is the symbol of a chemical element.", "Fe|K|Xe", 5),
        ("cov_element_names", "Each output is the name of a chemical element.", "Helium|Copper|Iodine", 15),
    ],
)
def test_what_is_asked(fixture_files, name, description, examples, max_new_tokens):
    *_, request = TASK[name].read(fixture_files(TASK[name].source))
    assert request.descriptions == (description,)
    assert [draw.output for draw in request.draws] == examples.split("|")
    assert TASK[name].max_new_tokens == max_new_tokens


def test_the_first_verb_below_the_notice_is_kept(fixture_files, request_of):
    request, _ = request_of("cov_claude_gerunds", fixture_files(VERB_FORMS))
    assert request.valid[0] == "blorping"


@pytest.mark.parametrize(
    ("name", "file", "change", "message"),
    [
        ("cov_car_brand", "1993.csv", ("make,", "brand,"), "1993.csv' lacks a column"),
        ("cov_car_brand", "1993.csv", ("1993,ALB", "1992,ALB"), "1993.csv', row 2: it is of year 1992"),
        ("cov_car_brand", "1993.csv", ("1993,ALB", "soon,ALB"), "1993.csv', row 2: column 'year' holds 'soon'"),
        ("cov_car_make_model", "1993.csv", ("1993,ALB", ",ALB"), "1993.csv', row 2: it is of year None"),
        ("cov_car_make_model", "1994.csv", ('"Nib, Long Bed"', "Nib, Long Bed"), "1994.csv', row 2: it has 5 fields"),
        ("cov_car_make_model", "1994.csv", (',""\n', ""), "1994.csv', row 2: it has 3 fields"),
        (
            "cov_claude_gerunds",
            "word_forms/en-verbs.txt",
            ("blorped,,,,,,,,,,,,\n", "blor\n"),
            "verbs.txt', row 5: it has",
        ),
        ("cov_claude_gerunds", "word_forms/en-verbs.txt", ("blorps,", "blorps"), "verbs.txt', row 5: it has 23 fields"),
        ("cov_claude_gerunds", "word_forms/en-verbs.txt", ("thole,", "thole,,"), "verbs.txt', row 7: it has 25 fields"),
        (
            "cov_color_normal_ex",
            "src/colornames.csv",
            ("#2030e1", "2030e1"),
            "names.csv', row 2: column 'hex' holds '2030",
        ),
        ("cov_color_normal_ex", "src/colornames.csv", ("#2030e1", ""), "names.csv', row 2: column 'hex' holds None"),
        ("cov_color_normal_ex", "src/colornames.csv", ("name,hex", "colour,hex"), "colornames.csv' lacks a column"),
        ("cov_color_normal_ex", "src/colornames.csv", ("e9,x\n", ""), "names.csv', row 7: it has 2 fields"),
        ("cov_element_names", "data.csv", (" symbol", "symbol"), "data.csv' lacks a column"),
        ("cov_element_names", "data.csv", ("2, Al", "two, Al"), "data.csv', row 2: column 'atomicNumber' holds 'two'"),
        ("cov_element_names", "data.csv", ("2, Al", "1, Al"), "data.csv', row 2: it has element 1"),
        ("cov_element_symbols", "data.csv", (" Al ", " 13 "), "data.csv', row 2: an element needs a symbol"),
        ("cov_element_symbols", "data.csv", (" Aluminum", " "), "data.csv', row 2: an element needs a symbol"),
        ("cov_element_symbols", "data.csv", (',"-1, 9",gas', ""), "data.csv', row 9: it has 18 fields"),
    ],
)
def test_a_damaged_row_is_named(damaged_files, name, file, change, message):
    files = damaged_files(TASK[name].source)
    text = files[file].read_bytes().decode()
    assert change[0] in text
    files[file].write_bytes(text.replace(*change, 1).encode())
    with pytest.raises(UserError) as error:
        list(TASK[name].read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"\n\n", lambda data: data.replace(b"o", b"\xff")])
@pytest.mark.parametrize("name", sorted(TASK))
def test_a_file_that_is_empty_or_no_text_is_named(damaged_files, name, damage):
    files = damaged_files(TASK[name].source)
    path = list(files.values())[-1]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=path.name):
        list(TASK[name].read(files))


def test_a_table_without_any_valid_item_is_named(damaged_files):
    files = damaged_files(VERB_FORMS)
    [path] = files.values()
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith(";")))
    with pytest.raises(UserError, match=r"en-verbs\.txt.*gives a valid item"):
        list(TASK["cov_claude_gerunds"].read(files))


def test_the_files_are_pinned():
    assert [file.path for file in US_CAR_MODELS.files] == [f"{year}.csv" for year in range(1992, 2027)]
    for source in (US_CAR_MODELS, VERB_FORMS, COLOR_NAMES, PERIODIC_TABLE):
        for file in source.files:
            repository = source.homepage.removeprefix("https://github.com/")
            assert file.url == f"https://raw.githubusercontent.com/{repository}/{source.revision}/{file.path}"
            assert len(file.sha256) == 64
            assert len(source.revision) == 40


@pytest.mark.parametrize(
    ("name", "n_items", "dropped"),
    [
        ("cov_car_make_model", (1459, 1456), {}),
        ("cov_car_brand", (66, 66), {}),
        (
            "cov_claude_gerunds",
            (8464, 8462),
            {"verb without an -ing form": 20, "-ing form that does not end in -ing": 3},
        ),
        ("cov_color_interesting_ex", (31914, 31914), {}),
        ("cov_element_symbols", (118, 118), {}),
        ("cov_element_names", (118, 118), {}),
    ],
)
def test_real_tables(real_files, request_of, name, n_items, dropped):
    task = TASK[name]
    request, found_dropped = request_of(name, real_files(task.source))
    assert (len(request.valid), n_valid(task.validator, request.valid)) == n_items
    assert found_dropped == dropped


@pytest.mark.parametrize("name", sorted(TASK))
def test_the_examples_are_valid_by_the_real_tables(real_files, request_of, name):
    request, _ = request_of(name, real_files(TASK[name].source))
    assert [validate(TASK[name].validator, draw.output, request.valid) for draw in request.draws] == [True] * 3


def test_every_real_car_is_valid_and_the_csv_module_reads_the_same(real_files, request_of):
    files = real_files(US_CAR_MODELS)
    request, _ = request_of("cov_car_make_model", files)
    rows = []
    for path in files.values():
        with path.open(encoding="utf-8", newline="") as file:
            rows += [(row["make"], row["model"]) for row in csv.DictReader(file)]
    assert len(rows) == 11543
    assert set(request.valid) == {f"{make}\t{model}" for make, model in rows}
    assert all(
        validate("contains_make_and_model", f"a {make} {model}.", request.valid) for make, model in dict.fromkeys(rows)
    )


def test_the_first_real_verb_is_kept(real_files, request_of):
    request, _ = request_of("cov_claude_gerunds", real_files(VERB_FORMS))
    assert request.valid[:2] == ("convoluting", "fawning")
    assert "inspanning" in request.valid[-1:]
