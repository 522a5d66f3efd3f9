import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.markers.taxonomy import TAXONOMY, Category, Taxonomy, load_taxonomy


def test_there_are_13_categories_with_as_many_values_as_the_paper_has():
    counts = {name: len(TAXONOMY[name].values) for name in TAXONOMY.names}
    assert counts == {
        "quality": 0, "quality_bucket": 4, "length_tokens": 0, "length_sentences": 0, "length_paragraphs": 0,
        "length_bucket": 3, "task": 14, "domain": 11, "code_type": 17, "format": 8, "source": 4, "style": 3, "lang": 23,
    }  # fmt: skip


def test_markers_are_checked_and_put_in_order():
    given = {"lang": "French", "style": None, "quality": 0.5, "length_tokens": 0, "quality_bucket": 4}
    checked = TAXONOMY.check(given)
    assert list(checked.items()) == [("quality", 0.5), ("quality_bucket", 4), ("length_tokens", 0), ("lang", "French")]


@pytest.mark.parametrize(
    ("markers", "message"),
    [
        ({"langage": "French"}, "no marker 'langage', did you mean 'lang'"),
        ({"lang": "french"}, "'lang' is 'french', did you mean 'French'"),
        ({"quality_bucket": 5}, "give one of 1, 2, 3, 4"),
        ({"quality_bucket": "1"}, "give one of 1, 2, 3, 4"),
        ({"quality_bucket": True}, "give one of 1, 2, 3, 4"),
        ({"length_tokens": -1}, "give a whole number, 0 or more"),
        ({"length_tokens": 1.5}, "give a whole number, 0 or more"),
        ({"quality": float("nan")}, "give a finite number"),
        ({"quality": "good"}, "give a finite number"),
    ],
)
def test_a_marker_that_is_not_valid_is_named(markers, message):
    with pytest.raises(UserError, match=message):
        TAXONOMY.check(markers)


def test_values_are_read_as_what_they_are():
    assert (TAXONOMY["quality_bucket"].read("3"), TAXONOMY["quality"].read("1")) == (3, 1.0)
    assert Category("note", "text").read("12") == "12"
    with pytest.raises(UserError, match="'length_tokens' is 'many'"):
        TAXONOMY["length_tokens"].read("many")


def test_a_users_categories_come_behind_ours(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "audience:\n  about: who reads it\n  values: {children: up to 12 years, adults: others}\n"
        "reading_age: {kind: integer}\n"
        "style: {values: [Plain, Ornate]}\n"
    )
    taxonomy = load_taxonomy(file)
    assert taxonomy.names == (*TAXONOMY.names, "audience", "reading_age")
    assert taxonomy["audience"].meanings == {"children": "up to 12 years", "adults": "others"}
    assert taxonomy["style"].values == ("Plain", "Ornate")
    assert taxonomy.check({"reading_age": 9, "audience": "children"}) == {"audience": "children", "reading_age": 9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not hold names with values"),
        ("- a\n- b\n", "does not hold names with values: give each category by its name"),
        ("a: [", "not YAML"),
        ("Audience: {values: [x]}", "a name has lower case letters"),
        ("3: {values: [x]}", "give it a name"),
        ("audience: [x]", "give it a name, and values or a kind"),
        ("audience: {}", "is of kind None: give it values, or one of the kinds choice, integer, number, text"),
        ("audience: {kind: choice}", "a choice has values"),
        ("audience: {kind: text, values: [x]}", "a choice has values, and nothing else has"),
        ("audience: {value: [x]}", r"own\.yaml:1: no entry 'value', did you mean 'values'"),
        ("audience: {values: x}", "'values' is 'x': give a list or names with values"),
        ("audience: {values: [yes, no]}", "put 'yes' and 'no' in quotes"),
        ("audience: {values: [1, x]}", "all text or all whole numbers"),
        ("audience: {values: [x, x]}", "has a value twice"),
        ("audience: {values: [x], about: 3}", "'about' is 3: give text"),
    ],
)
def test_a_file_of_categories_that_is_not_well_formed_is_refused(tmp_path, text, message):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_taxonomy(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"own\.yaml' cannot be read \(No such file"):
        load_taxonomy(tmp_path / "own.yaml")


def test_two_categories_of_one_name_are_refused():
    with pytest.raises(UserError, match="'tone' occurs twice"):
        Taxonomy((Category("tone", "text"), Category("tone", "integer")))
