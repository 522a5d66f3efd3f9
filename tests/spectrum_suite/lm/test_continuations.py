"""Continuations are asked about in the way that takes fewer tokens."""

from types import SimpleNamespace

from spectrum_suite.lm.continuations import FOLLOWERS, NODE_TOKENS, ContinuationLM, nodes_and_paths

PROMPT = tuple(range(100))


def test_options_of_a_token_are_one_question():
    assert nodes_and_paths([(PROMPT, (token,)) for token in (9, 7, 8, 9)]) == ([(PROMPT, (7, 8, 9))], [])


def test_each_beginning_is_asked_about_once_also_where_prompts_share_it():
    start = (1,) * 100
    wanted = [(start, (5, 6)), (start, (5, 7)), ((*start, 5), (8,)), (start, (9,))]
    assert nodes_and_paths(wanted) == ([(start, (5, 9)), ((*start, 5), (6, 7, 8))], [])


def test_many_followers_are_asked_about_in_parts():
    wanted = [(PROMPT, (token,)) for token in range(2 * FOLLOWERS + 1)]
    (first, second, third), paths = nodes_and_paths(wanted)
    assert paths == []
    assert [node[0] for node in (first, second, third)] == [PROMPT] * 3
    assert [*first[1], *second[1], *third[1]] == list(range(2 * FOLLOWERS + 1))
    assert max(len(node[1]) for node in (first, second, third)) == FOLLOWERS


def test_prompts_with_the_same_options_follow_one_another():
    wanted = [
        ((place,) * 50, (token,)) for place, tokens in ((1, (7, 8)), (2, (5, 6)), (3, (7, 8))) for token in tokens
    ]
    nodes, _ = nodes_and_paths(wanted)
    assert nodes == [((2,) * 50, (5, 6)), ((1,) * 50, (7, 8)), ((3,) * 50, (7, 8))]


def test_what_would_take_more_tokens_node_by_node_is_asked_about_whole():
    long = (PROMPT, tuple(range(200, 240)))
    short = ((3,) * 50, (1,))
    assert nodes_and_paths([long, short, long]) == ([((3,) * 50, (1,))], [long])


def test_the_ways_meet_where_they_take_as_many_tokens():
    prompt = (1,) * (2 * NODE_TOKENS - 2)
    assert nodes_and_paths([(prompt, (1, 2))]) == ([(prompt, (1,)), ((*prompt, 1), (2,))], [])
    assert nodes_and_paths([(prompt[1:], (1, 2))]) == ([], [(prompt[1:], (1, 2))])


def scored(wanted, untold):
    """The numbers of a model that does not tell ``untold`` tokens of a node, and the paths it is asked about."""
    asked = []

    def answers(nodes, paths):
        asked.append(paths)
        after = [[None if token in untold else -float(token) for token in ids] for _, ids in nodes]
        return after, [[-float(token) for token in ids] for _, ids in paths]

    model = SimpleNamespace(takes_nodes=lambda: True, asked=answers)
    return ContinuationLM.scored(model, wanted), [path for paths in asked for path in paths]


def test_a_token_that_is_not_told_is_asked_about_once_for_all_options_that_have_it():
    wanted = [(PROMPT, (5, token)) for token in range(6, 16)]
    found, paths = scored(wanted, {5})
    assert paths == [(PROMPT, (5,))]
    assert found == {(PROMPT, ids): [-float(token) for token in ids] for _, ids in wanted}


def test_an_option_of_which_nothing_is_told_is_asked_about_whole():
    wanted = [(PROMPT, (5, 6, 7)), (PROMPT, (8,)), (PROMPT, (9, 5))]
    found, paths = scored(wanted, {5, 6, 7})
    assert paths == [(PROMPT, (5, 6, 7)), (PROMPT, (9, 5))]
    assert found == {(PROMPT, ids): [-float(token) for token in ids] for _, ids in wanted}
