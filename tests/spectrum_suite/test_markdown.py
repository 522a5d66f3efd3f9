"""Tables in Markdown."""

from spectrum_suite.markdown import markdown_table


def test_a_table():
    assert markdown_table(["what", "n"], [["coins", 3], ["urns", "-"]], "lr") == (
        "| what | n |\n|---|--:|\n| coins | 3 |\n| urns | - |"
    )
    assert markdown_table(["a", "b"], []) == "| a | b |\n|---|---|"
