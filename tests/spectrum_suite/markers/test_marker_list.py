import random

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import FORMATS, get_format
from spectrum_suite.markers.marker_list import (
    chat_template,
    mark_completion,
    mark_prompt,
    parse,
    render,
    split_completion,
)
from spectrum_suite.markers.taxonomy import TAXONOMY, Category, Taxonomy

OPEN_TAXONOMY = Taxonomy((*TAXONOMY.categories, Category("note", "text"), Category("title", "text")))
PIECES = [
    "<", ">", "&", "</", "/>", "\n", "\r", "\r\n", "\t", " ", "  ", "\u2028", "\x85", "\x0b", "\x00", "\\n", "'", '"',
    "{{", "%}", "{#",
    "&lt;", "&amp;", "&#10;", "&amp;lt;", "<MARKER_LIST>", "</MARKER_LIST>", "</note>", "<end_of_turn>", "<|im_end|>",
    "a", "Zürich", "ß", "汉字", "שלום", "فارسی", "🙂", "e\u0301", "\ud7ff", "\U0010ffff", "1", "-0.5", "None",
]  # fmt: skip
DESCRIPTION = {"role": "description", "content": "Capitals of <Europe>."}
INPUT, OUTPUT = {"role": "input", "content": "France & co"}, {"role": "output", "content": "Paris"}
PROMPTS = {
    "input": [DESCRIPTION, INPUT],
    "description": [DESCRIPTION],
    "output": [DESCRIPTION, INPUT, OUTPUT],
}
MARKERS = {"quality": 0.25, "length_tokens": 50, "lang": "French"}
LIST = (
    "<MARKER_LIST> <quality> 0.25 </quality> <length_tokens> 50 </length_tokens> <lang> French </lang> </MARKER_LIST>"
)


def random_value(category, rng):
    if category.kind == "choice":
        return rng.choice(category.values)
    if category.kind == "integer":
        return rng.choice([0, 7, rng.randrange(10**30)])
    if category.kind == "number":
        return rng.choice([0.1, -1.5, 1e-300, 1e22, 3, rng.gauss(0, 1e5)])
    return "".join(rng.choices(PIECES, k=rng.randrange(6)))


def random_markers(rng):
    """Any valid markers, in any order."""
    chosen = rng.sample(OPEN_TAXONOMY.categories, rng.randrange(len(OPEN_TAXONOMY.categories) + 1))
    return {category.name: random_value(category, rng) for category in chosen}


def test_the_list_is_that_written_by_hand():
    assert render(MARKERS) == LIST
    assert mark_completion(MARKERS, "Paris") == LIST + "\nParis"
    written = render({"note": "a <b> & c\nd"})
    assert written == "<MARKER_LIST> <note> a &lt;b&gt; &amp; c&#10;d </note> </MARKER_LIST>"


def test_rendering_and_parsing_are_inverse():
    rng = random.Random(7)
    for _ in range(3000):
        markers, text = random_markers(rng), "".join(rng.choices(PIECES, k=rng.randrange(8)))
        parsed = parse(render(markers), OPEN_TAXONOMY)
        assert list(parsed.items()) == list(markers.items())
        completion = split_completion(mark_completion(markers, text), OPEN_TAXONOMY)
        assert (completion.text, completion.markers, completion.problems) == (text, markers, ())


def test_a_list_is_one_line_with_no_angle_brackets_but_its_own():
    rng = random.Random(8)
    for _ in range(500):
        markers = random_markers(rng)
        written = render(markers)
        assert written.count("<") == written.count(">") == 2 + 2 * len(markers)
        assert not set(written) & set("\n\r\t")


@pytest.mark.parametrize(
    ("written", "text", "markers", "problems"),
    [
        ("Paris", "Paris", {}, ["there is no list"]),
        ("", "", {}, ["there is no list"]),
        (LIST, "", MARKERS, []),
        ("\n " + LIST + "\nParis", "Paris", MARKERS, []),
        (LIST + "\n\n  x = 1", "\n  x = 1", MARKERS, []),
        (LIST + LIST, LIST, MARKERS, []),
        ("<MARKER_LIST> </MARKER_LIST>\nParis", "Paris", {}, []),
        ("<MARKER_LIST>Paris", "Paris", {}, ["the list does not end"]),
        ("<MARKER_LIST> <lang> French </lang> <task> Ope", "<task> Ope", {"lang": "French"}, ["the list does not end"]),
        (
            "<MARKER_LIST> <lang> French </lang> what <task> x </tsk> </MARKER_LIST>\nParis",
            "Paris",
            {"lang": "French"},
            ["'what <task> x </tsk>' is not a marker"],
        ),
        (
            "<MARKER_LIST> <lang> French </lang> <lang> Dutch </lang> </MARKER_LIST>\nParis",
            "Paris",
            {"lang": "French"},
            ["'lang' is there twice"],
        ),
    ],
)
def test_a_garbled_list_is_reported_and_the_text_is_kept(written, text, markers, problems):
    completion = split_completion(written)
    assert (completion.text, completion.markers, list(completion.problems)) == (text, markers, problems)


def test_markers_that_are_not_valid_are_left_out_and_named():
    completion = split_completion("<MARKER_LIST> <lang> Klingon </lang> <mood> 3 </mood> </MARKER_LIST>\nhello")
    assert (completion.text, completion.markers) == ("hello", {})
    assert "'lang' is 'Klingon'" in completion.problems[0]
    assert "no marker 'mood', did you mean" not in completion.problems[0]
    assert "no marker 'mood'" in completion.problems[1]


def test_whatever_is_written_nothing_is_raised():
    rng = random.Random(9)
    whole = mark_completion({"note": "x", **MARKERS}, "text")
    for _ in range(3000):
        start, end = sorted(rng.choices(range(len(whole) + 1), k=2))
        completion = split_completion(whole[:start] + "".join(rng.choices(PIECES, k=3)) + whole[end:], OPEN_TAXONOMY)
        assert OPEN_TAXONOMY.check(completion.markers) is not None
    for cut in range(len(whole)):
        assert split_completion(whole[:cut], OPEN_TAXONOMY).problems or cut >= whole.index("\n")


@pytest.mark.parametrize("text", ["Paris", LIST + "\nParis", LIST.replace("French", "Klingon")])
def test_only_a_list_is_parsed(text):
    with pytest.raises(UserError, match="list of markers"):
        parse(text)


def test_the_list_ends_an_input_or_is_one():
    assert mark_prompt(PROMPTS["input"], MARKERS) == [
        DESCRIPTION, {"role": "input", "content": f"France & co {LIST}"}
    ]  # fmt: skip
    for messages in (PROMPTS["description"], PROMPTS["output"], []):
        assert mark_prompt(messages, MARKERS) == [*messages, {"role": "input", "content": LIST}]
    assert mark_prompt(PROMPTS["input"], {}) == PROMPTS["input"]


def apply(tokenizer, template, messages, **options):
    return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_the_template_renders_what_we_render(tokenizer, name):
    text_format = get_format(name, tokenizer)
    template, rng = chat_template(text_format.chat_template()), random.Random(10)
    for messages in PROMPTS.values():
        for markers in [MARKERS, {}, *(random_markers(rng) for _ in range(20))]:
            expected = text_format.prompt(mark_prompt(messages, markers))
            assert apply(tokenizer, template, messages, markers=markers, add_generation_prompt=True) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_without_markers_a_template_renders_as_before(tokenizer, name):
    before = get_format(name, tokenizer).chat_template()
    for messages in PROMPTS.values():
        for prompt in (True, False):
            expected = apply(tokenizer, before, messages, add_generation_prompt=prompt)
            assert apply(tokenizer, chat_template(before), messages, add_generation_prompt=prompt) == expected


def test_a_saved_tokenizer_takes_markers_and_needs_none_of_our_code(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of("llama3")
    text_format = get_format("spectrum", tokenizer)
    tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    saved.chat_template = chat_template(text_format.chat_template())
    saved.save_pretrained(tmp_path)
    ids = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(
        PROMPTS["input"], markers=MARKERS, add_generation_prompt=True, return_dict=False
    )
    prompt = text_format.prompt(mark_prompt(PROMPTS["input"], MARKERS))
    assert ids == tokenizer(prompt, add_special_tokens=False).input_ids


def test_another_template_takes_markers_too(tokenizer_of):
    theirs = "{%- for message in messages -%}{{ message.role ~ ': ' ~ message.content ~ '\n' }}{%- endfor -%}"
    chat = [{"role": "user", "content": "Hello"}]
    rendered = apply(
        tokenizer_of("llama3"), chat_template(theirs), chat, markers={"lang": "French"}, add_generation_prompt=True
    )
    assert rendered == "user: Hello <MARKER_LIST> <lang> French </lang> </MARKER_LIST>\n"


def test_markers_without_a_generation_prompt_are_refused(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    template = chat_template(get_format("spectrum", tokenizer).chat_template())
    with pytest.raises(TemplateError, match="add_generation_prompt=True"):
        apply(tokenizer, template, PROMPTS["input"], markers=MARKERS)
