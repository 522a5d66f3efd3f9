import numpy as np

from tests.dataset_builder.task_files.tables import PER_ANSWER, read_all, rows_of, written

QUESTIONS = [f"Question {number}?" for number in range(10)]
PEOPLE = [f"p{number}" for number in range(20)]


def survey(people=PEOPLE):
    lines = ["who,age,country,question,answer"]
    rng = np.random.default_rng(1)
    for person in people:
        lines += [f"{person},18-29,Chile,{question},{rng.choice(['Never', 'Often'])}" for question in QUESTIONS]
    return "\n".join(lines) + "\n"


TASK = PER_ANSWER.format(kind="[icl, distribution]") + "hold_out: {people: 0.2, questions: 0.3}\n"


def parts(path, kind=""):
    return {
        name: read_all(path, f"{kind}food{name}")[0] for name in ("", "_new_people", "_new_questions")
    }  # fmt: skip


def test_held_out_people_and_questions_are_in_no_training_row(tmp_path):
    found = parts(written(tmp_path, TASK, survey()))
    people = {name: {example.process for example in examples} for name, examples in found.items()}
    questions = {
        name: {draw.input for example in examples for draw in example.draws} for name, examples in found.items()
    }
    assert len(people["_new_people"]) == 4
    assert len(questions["_new_questions"]) == 3
    assert people[""] == set(PEOPLE) - people["_new_people"]
    assert people["_new_questions"] == set(PEOPLE)
    assert questions[""] == questions["_new_people"] == set(QUESTIONS) - questions["_new_questions"]


def test_shares_are_of_the_people_of_the_part(tmp_path):
    found = parts(written(tmp_path, TASK, survey()), "dist_")
    responses = {name: {example.target.n_responses for example in examples} for name, examples in found.items()}
    assert responses == {"": {16}, "_new_people": {4}, "_new_questions": {20}}
    asked = {name: {example.target.input for example in examples} for name, examples in found.items()}
    assert asked[""] == asked["_new_people"]
    assert not asked[""] & asked["_new_questions"]


def test_both_kinds_hold_out_the_same(tmp_path):
    path = written(tmp_path, TASK, survey())
    questions = {draw.input for example in parts(path)["_new_questions"] for draw in example.draws}
    assert questions == {example.target.input for example in parts(path, "dist_")["_new_questions"]}


def test_the_order_of_rows_does_not_change_who_is_held_out(tmp_path):
    first = {example.process for example in parts(written(tmp_path, TASK, survey()))["_new_people"]}
    again = {example.process for example in parts(written(tmp_path, TASK, survey(PEOPLE[::-1])))["_new_people"]}
    assert first == again


def test_rows_are_the_same_for_the_same_seed(tmp_path):
    path = written(tmp_path, TASK, survey())
    assert rows_of(path) == rows_of(path)
    assert rows_of(path) != rows_of(path, seed=7)


def test_a_small_share_holds_out_two(tmp_path):
    task = TASK.replace("questions: 0.3", "questions: 0.01")
    found = parts(written(tmp_path, task, survey()))
    assert {len(example.draws) for example in found["_new_questions"]} == {2}


def test_a_question_is_held_out_in_a_table_of_shares(tmp_path):
    rows = "".join(f"Question {number}?,0.5,0.5\n" for number in range(10))
    task = (
        "table: food.csv\none_row_per: question\nquestion: question\noptions: [Never, Often]\n"
        "hold_out: {questions: 0.3}\n"
    )
    path = written(tmp_path, task, f"question,Never,Often\n{rows}")
    train, test = read_all(path, "dist_food")[0], read_all(path, "dist_food_new_questions")[0]
    assert (len(train), len(test)) == (7, 3)
    assert not {example.process for example in train} & {example.process for example in test}
