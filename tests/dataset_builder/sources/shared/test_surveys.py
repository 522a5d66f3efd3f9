import pytest

from dataset_builder.sources.shared.surveys import lettered, literal, text_list


def test_options_get_letters():
    assert lettered("How often?", ("Often", "Never")) == "How often?\nA. Often\nB. Never"
    assert lettered("Which?", [str(i) for i in range(26)]).endswith("\nY. 24\nZ. 25")
    with pytest.raises(ValueError, match="27 options"):
        lettered("Which?", ["x"] * 27)


def test_lists_in_text_are_read_without_running_code(tmp_path):
    assert literal(' ["a", 1] ') == ["a", 1]
    assert text_list([" a ", 1, 2.5]) == ("a", "1", "2.5")
    target = tmp_path / "made"
    for text in (f"open({str(target)!r}, 'w')", "['a'", "", None, "(" * 10_000):
        with pytest.raises(ValueError, match="not a Python literal"):
            literal(text)
    assert not target.exists()


@pytest.mark.parametrize("value", ["Often", ["a", None], ["a", " "], {"a": 1}, [["a"]]])
def test_what_is_no_list_of_texts_is_refused(value):
    with pytest.raises(ValueError, match=r"is not a list of texts|has an empty item"):
        text_list(value)
