import json

import pytest

from dataset_builder.sources.bare import TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TASK = {task.name: task for task in TASKS}
ROPE, CUT = "Ida cuts 12 m of rope into 4 parts. How long is one?", "12 / 4 = 3. It is 3 m long."
CAFE, TEAS = "A café sells 5 teas at $2 each. What does it take in?", "5 * 2 = 10\n#### 10"
LUNCH, PRIZE = "Subject: lunch\n\nThe room is booked for noon.", "Subject: a prize\n\nYou won a café. Reply at once!"
MINUTES = "minutes\nThey are on the drive."
ELM, RIVER = (
    "The Elm Bridge is in Sampleton. Sampleton lies on the Ost.",
    "On which river is the town of the Elm Bridge?",
)
TEA, HELP = "Forty made-up patients drank tea; 20 slept better.", "Did tea help half of them?"


def read(name, files_of, split):
    return split(TASK[name].read(files_of(TASK[name].source)))


def as_json(**fields):
    return json.dumps(fields, ensure_ascii=False)


def test_problems_keep_repeated_rows_and_drop_incomplete_ones(fixture_files, split):
    processes, dropped = read("bare_gsm8k", fixture_files, split)
    table = [(ROPE, CUT), (CAFE, TEAS), (ROPE, CUT)]
    assert {process: example.draws for process, example in processes.items()} == {
        "question_answer": tuple(Draw(None, as_json(question=q, answer=a)) for q, a in table),
        "answer_from_question": tuple(Draw(q, a) for q, a in table),
        "question_from_answer": tuple(Draw(a, q) for q, a in table),
        "question": tuple(Draw(None, q) for q, _ in table),
    }
    assert dropped == {"row with an empty field": 1}


def test_emails_nested_or_not_with_a_flag_in_words(fixture_files, split):
    processes, dropped = read("bare_enron", fixture_files, split)
    table = [("False", LUNCH), ("True", PRIZE), ("False", MINUTES)]
    assert {process: example.draws for process, example in processes.items()} == {
        "spam_email": tuple(Draw(None, as_json(spam=spam, email=email)) for spam, email in table),
        "spam_from_email": tuple(Draw(email, spam) for spam, email in table),
        "email_from_spam": tuple(Draw(spam, email) for spam, email in table),
        "email": tuple(Draw(None, email) for _, email in table),
    }
    assert dropped == {"row with an empty field": 1}


@pytest.mark.parametrize(
    ("name", "first_row"), [("bare_hotpot", (ELM, RIVER, "the Ost")), ("pubmed", (TEA, HELP, "yes"))]
)
def test_reading(fixture_files, split, name, first_row):
    context, question, answer = first_row
    processes, _ = read(name, fixture_files, split)
    assert {process: example.draws[0] for process, example in processes.items()} == {
        "context_question_answer": Draw(None, as_json(context=context, question=question, answer=answer)),
        "answer_from_context_question": Draw(as_json(context=context, question=question), answer),
        "question_from_context_answer": Draw(as_json(context=context, answer=answer), question),
        "context": Draw(None, context),
    }
    assert {len(example.draws) for example in processes.values()} == {2}


def test_programming(fixture_files, split):
    processes, _ = read("bare_lcb", fixture_files, split)
    assert processes["answer_from_question"].draws == (
        Draw("Return the largest of the numbers.\nInput: [3, 9, 2]", "9"),
        Draw('Reverse the text "né".', '"én"'),
    )


def test_newsgroups(fixture_files, split):
    processes, dropped = read("newsgroups", fixture_files, split)
    table = [("rec.example.kites", "Which tail for a light wind?"), ("sci.example.tea", "Does café water matter?")]
    assert {process: example.draws for process, example in processes.items()} == {
        "newsgroup_message": tuple(Draw(None, as_json(newsgroup=n, message=m)) for n, m in table),
        "newsgroup_from_message": tuple(Draw(m, n) for n, m in table),
        "message_from_newsgroup": tuple(Draw(n, m) for n, m in table),
        "message": tuple(Draw(None, m) for _, m in table),
    }
    assert dropped == {"row with an empty field": 1}


@pytest.mark.parametrize("name", TASK)
def test_four_variants_are_described_and_each_row_is_used_once(fixture_files, split, name):
    processes, _ = read(name, fixture_files, split)
    assert len(processes) == 4
    texts = [text for example in processes.values() for text in example.descriptions]
    assert len(set(texts)) == len(texts) == 12
    assert all("made up" in text.lower() or "synthetic" in text.lower() for text in texts)
    assert (TASK[name].sequences.mode, TASK[name].sequences.length.mean) == ("partition", 32)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("bare_gsm8k", '{"question": "Why?", ', "row 5: "),
        ("bare_gsm8k", '{"question": "Why?"}', "row 5: there is no 'answer'"),
        ("bare_gsm8k", '{"question": "Why?", "answer": 3}', "row 5: field 'answer' holds 3"),
        ("bare_enron", '{"spam": "yes", "email": "Hello."}', "row 5: field 'spam' holds 'yes'"),
        ("bare_enron", '{"spam": true, "email": {"email": 7}}', "row 5: "),
        ("bare_enron", '{"spam": true}', "row 5: there is no 'email'"),
        ("bare_hotpot", '{"question": "Why?", "answer": "So."}', "row 4: there is no 'context'"),
        ("bare_lcb", '["Why?", "So."]', "row 3: it is not a JSON object"),
        ("newsgroups", '{"newsgroup": ["a"], "message": "b"}', "row 4: field 'newsgroup' holds"),
        ("pubmed", '{"context": "C.", "question": "é", "answer": "a"}'.encode("latin-1"), "row 3: "),
    ],
)
def test_a_damaged_line_is_named(damaged_files, name, line, message):
    [(path, local)] = damaged_files(TASK[name].source).items()
    with local.open("ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(UserError, match=local.name) as error:
        list(TASK[name].read({path: local}))
    assert message in str(error.value)


@pytest.mark.parametrize("name", TASK)
def test_an_empty_file_is_named(damaged_files, name):
    [(path, local)] = damaged_files(TASK[name].source).items()
    local.write_text("")
    with pytest.raises(UserError, match=local.name):
        list(TASK[name].read({path: local}))


@pytest.mark.parametrize("name", TASK)
def test_real_rows(real_files, split, name):
    processes, _ = read(name, real_files, split)
    assert len(processes) == 4
    assert all(len(example.draws) > 400 for example in processes.values())
