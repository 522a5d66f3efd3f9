import json

import polars as pl
import pytest

from dataset_builder.sources.chatbotarena import CHATBOTARENA, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

FILE = "data/train-00000-of-00001-cced8514c7ed782a.parquet"
PROMPTS, PREFERENCES, ASSISTANT = TASKS
DROPPED = {"conversation without a prompt or a reply": 1, "row of a person with fewer than 4": 3}


def test_judges_with_four_usable_conversations_stay(fixture_files, split):
    judges, dropped = split(PROMPTS.read(fixture_files(CHATBOTARENA)))
    assert list(judges) == ["arena_user_11", "arena_user_12"]
    assert judges["arena_user_11"].draws == tuple(Draw(None, f"Tell me fact {n}.") for n in range(5))
    assert judges["arena_user_12"].draws[3] == Draw(None, "Dime 3")
    assert dropped == DROPPED


def test_the_four_verdicts(fixture_files, split):
    judges, dropped = split(PREFERENCES.read(fixture_files(CHATBOTARENA)))
    assert [draw.output for draw in judges["arena_user_11"].draws] == ["a", "b", "tie", "bothbad", "a"]
    assert {draw.output for draw in judges["arena_user_12"].draws} == {"tie"}
    assert json.loads(judges["arena_user_11"].draws[1].input) == {
        "opening_prompt": "Tell me fact 1.",
        "model_a_response": "Fact 1 of A.",
        "model_b_response": "Fact “1” of B.",
    }
    assert set(PREFERENCES.options) == {"a", "b", "tie", "bothbad"}
    assert dropped == DROPPED


def test_a_chatbot_replies_on_side_a_then_on_side_b(fixture_files, split):
    models, dropped = split(ASSISTANT.read(fixture_files(CHATBOTARENA)))
    assert list(models) == ["alpaca-13b", "koala-13b", "vicuna-7b"]
    assert models["alpaca-13b"].draws == (
        *(Draw(f"Tell me fact {n}.", f"Fact {n} of A.") for n in (0, 2, 4)),
        *(Draw(f"Tell me fact {n}.", f"Fact “{n}” of B.") for n in (1, 3)),
    )
    assert [draw.output for draw in models["koala-13b"].draws[:3]] == ["Fact 1 of A.", "Fact 3 of A.", "Hecho 0"]
    assert dropped == DROPPED


def test_half_of_the_descriptions_name_the_chatbot_and_none_a_judge(fixture_files, split):
    files = fixture_files(CHATBOTARENA)
    for name, model in split(ASSISTANT.read(files))[0].items():
        assert [name in text for text in model.descriptions] == [False, False, True, True]
    for task in TASKS:
        for example in split(task.read(files))[0].values():
            assert not any("arena_user" in text for text in example.descriptions)
            assert not any("arena_user" in text for draw in example.draws for text in draw if text)


def test_all_three_are_held_out():
    assert {task.split for task in TASKS} == {"test"}
    assert {task.name for task in TASKS} == {
        "chatbotarena_prompts",
        "chatbotarena_individual_prefs",
        "chatbotarena_assistant",
    }


def test_at_most_1000_judges(damaged_files, split):
    files = damaged_files(CHATBOTARENA)
    rows = pl.read_parquet(files[FILE]).head(4).join(pl.DataFrame({"n": range(1003)}), how="cross")
    own = pl.format("user_{}", "n"), pl.format("{}-{}", "question_id", "n")
    rows.with_columns(judge=own[0], question_id=own[1]).write_parquet(files[FILE])
    judges, dropped = split(PROMPTS.read(files))
    assert len(judges) == 1000
    assert dropped == {"row of a person beyond the 1000 kept": 12}
    assert split(PREFERENCES.read(files))[0].keys() == judges.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"winner": pl.lit("both")}, "row 1: column 'winner' holds 'both', which is not one of"),
        ({"judge": pl.lit("")}, "row 1: column 'judge', 'model_a' or 'model_b' is empty"),
        ({"conversation_a": pl.lit("Hi")}, "conversation_a"),
    ],
)
def test_a_damaged_row_is_named(damaged_files, change, message):
    files = damaged_files(CHATBOTARENA)
    pl.read_parquet(files[FILE]).with_columns(**change).write_parquet(files[FILE])
    for task in TASKS:
        with pytest.raises(UserError, match=r"cced8514c7ed782a\.parquet") as error:
            list(task.read(files))
        assert message in str(error.value)


def test_only_a_row_that_is_the_same_in_all_columns_is_a_copy(damaged_files, fixture_files, split):
    files = damaged_files(CHATBOTARENA)
    table = pl.read_parquet(files[FILE])
    before, _ = split(PROMPTS.read(fixture_files(CHATBOTARENA)))
    table.with_columns(question_id=pl.lit("q")).write_parquet(files[FILE])
    assert split(PROMPTS.read(files))[0] == before
    pl.concat([table, table.head(1)]).write_parquet(files[FILE])
    judges, dropped = split(PROMPTS.read(files))
    assert judges == before
    assert dropped["row that is a copy of an earlier one"] == 1


def test_an_unreadable_file_is_named(damaged_files):
    files = damaged_files(CHATBOTARENA)
    whole = files[FILE].read_bytes()
    table = pl.read_parquet(files[FILE])
    for content in (b"", whole[: len(whole) // 2], b"PAR1 no"):
        files[FILE].write_bytes(content)
        with pytest.raises(UserError, match=r"cced8514c7ed782a\.parquet"):
            list(PROMPTS.read(files))
    for frame in (table.drop("judge"), table.clear()):
        frame.write_parquet(files[FILE])
        with pytest.raises(UserError, match=r"cced8514c7ed782a\.parquet"):
            list(PROMPTS.read(files))


def test_a_conversation_that_is_not_there_is_dropped(damaged_files, split):
    files = damaged_files(CHATBOTARENA)
    table = pl.read_parquet(files[FILE])
    first = pl.col("question_id") == "q0"
    table.with_columns(conversation_b=pl.when(~first).then("conversation_b")).write_parquet(files[FILE])
    judges, dropped = split(PROMPTS.read(files))
    assert len(judges["arena_user_11"].draws) == 4
    assert dropped["conversation without a prompt or a reply"] == 2


def test_real_rows(real_files, split):
    judges, _ = split(PROMPTS.read(real_files(CHATBOTARENA)))
    assert len(judges) == 1000
