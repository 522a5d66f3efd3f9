from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.respond import Response
from spectrum_suite.markers.marked import MarkedResponse, strip_markers, takes_markers
from spectrum_suite.markers.marker_list import chat_template, mark_completion

MARKERS = {"length_tokens": 4, "lang": "French"}


def test_the_list_is_beside_the_text_and_not_in_it(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    (found,) = strip_markers([Response(mark_completion(MARKERS, "Bonjour."), 40, ended=True)], tokenizer)
    n_tokens = len(tokenizer.encode("Bonjour.", add_special_tokens=False))
    assert found == MarkedResponse("Bonjour.", MARKERS, (), n_tokens, ended=True)


def test_a_list_that_is_missing_or_garbled_is_reported(tokenizer_of):
    written = ["Bonjour.", "<MARKER_LIST> <lang> French", mark_completion({"lang": "Klingon"}, "nuqneH"), ""]
    found = strip_markers([Response(text, 9, ended=False) for text in written], tokenizer_of("llama3"))
    assert [each.problems[0] for each in found[:2]] == ["there is no list", "the list does not end"]
    assert "'Klingon'" in found[2].problems[0]
    assert [each.text for each in found] == ["Bonjour.", "<lang> French", "nuqneH", ""]
    assert (found[3].tokens, found[3].ended) == (0, False)


def test_a_tokenizer_says_whether_its_model_knows_markers(tokenizer_of):
    tokenizer = tokenizer_of("chatml")
    plain = get_format("chat", tokenizer).chat_template()
    kept = tokenizer.chat_template
    try:
        tokenizer.chat_template = plain
        assert not takes_markers(tokenizer)
        tokenizer.chat_template = chat_template(plain)
        assert takes_markers(tokenizer)
    finally:
        tokenizer.chat_template = kept
