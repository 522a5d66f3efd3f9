import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.match_answers import CUT, EMPTY, OTHER, REFUSED, SEVERAL, match_answers, matcher

COLOURS = ["red", "dark blue", "green"]
LISTED = [{"role": "input", "content": "Which one?\nA. red\nB. dark blue\nC. green\nName one."}]
LETTERED = [{"role": "input", "content": "How likely is rain?\nA. very likely\nB. unlikely"}]


@pytest.mark.parametrize(
    "text",
    [
        "dark blue", " dark blue\n", "Dark  Blue", "**dark blue**", '"dark blue".', "`dark blue`",
        "```\ndark blue\n```", "DARK BLUE!", "« dark blue »", "- dark blue", "Answer: dark blue", "(dark blue)",
        "**Answer:** dark blue", "ｄａｒｋ ｂｌｕｅ",
    ],
)  # fmt: skip
def test_a_whole_answer_is_its_option(text):
    assert matcher(COLOURS)(text) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("blue", OTHER), ("dark blue, I think", OTHER), ("red or green", OTHER), ("reddish", OTHER), ("B", OTHER),
        ("not red", OTHER), ("rot", OTHER), ("I can't choose a colour.", REFUSED), ("I’m sorry, but no.", REFUSED),
        ("As an AI, I have no favourite", REFUSED), ("...", OTHER), ("?", OTHER), ("red?", OTHER),
    ],
)  # fmt: skip
def test_anything_else_is_none_of_them(text, reason):
    assert matcher(COLOURS)(text) == reason


@pytest.mark.parametrize("text", ["B", "b.", "(B)", "Option B", "B. dark blue", "**B. Dark blue**", "Answer: B", "B:"])
def test_a_label_of_the_prompt_is_its_option(text):
    assert matcher(COLOURS, LISTED)(text) == 1


@pytest.mark.parametrize("text", ["B", "unlikely", "B. unlikely", "Option B", "b"])
def test_the_text_of_a_label_is_its_option(text):
    assert matcher(["A", "B"], LETTERED)(text) == 1


def test_labels_count_only_in_a_prompt_that_has_them():
    bullets = [{"role": "input", "content": "Which one?\n- red\n- dark blue\n- green"}]
    assert matcher(COLOURS, bullets)("B") == OTHER
    assert matcher(COLOURS, bullets)("- green") == 2


def test_what_tells_options_apart_is_kept():
    match = matcher(["a", "A", "a.", "*"])
    assert [match(text) for text in ("a", "A", "a.", "*")] == [0, 1, 2, 3]
    assert match('"A"') == 1
    assert match('"a"') == SEVERAL  # of "a" and "a.", which are the same text without what stands around it


def test_numbers_keep_their_signs():
    match = matcher(["-1", "1", "1.5", "10"])
    assert [match(text) for text in ("-1", "1.", "1.5", "10!", "- 1", "+1", "1,5")] == [0, 1, 2, 3, 1, OTHER, OTHER]


def test_equal_options_are_refused():
    with pytest.raises(UserError, match="same text"):
        matcher(["red", "red "])


def test_answers_are_counted_with_reasons():
    answers = [
        Answer("red"), Answer("Green."), Answer(""), Answer("red", ended=False), Answer("red", refused=True),
        Answer("red and green"), Answer("green", reasoning=12), Answer("I cannot say."),
    ]  # fmt: skip
    found = match_answers(answers, COLOURS, [{"role": "description", "content": "A colour."}])
    assert found.choices == (0, 2, None, None, None, None, 2, None)
    assert found.others == {EMPTY: 1, CUT: 1, REFUSED: 2, OTHER: 1}
    assert found.reasoning == 12
