"""Sources of the repository, written as task files: the rows are those of their Python."""

import os
import shutil
from pathlib import Path

import pytest

from dataset_builder.sources import dices, popquorn, prism, wvs
from dataset_builder.suite_builder import read_examples, tables
from dataset_builder.task_spec import Dropped
from tests.dataset_builder.task_files.tables import rows_of

WVS = """\
task: wvs_individual
source: wvs
table: {table}
one_row_per: person
split: test
missing: [Not asked, No answer, Unknown, "99999"]
letters: true
questions:
  Q1: {{options: [Very, Rather, Not at all]}}
  Q2: {{options: [Happy, Not happy]}}
descriptions:
  - &what >-
    Input: a question of a values survey with lettered options. Output: the letter that one person answered. All answers
    are of the same person.
  - [*what, "Country: {{{{ B_COUNTRY }}}}.", "Settlement: {{{{ N_TOWN }}}}.",
     "Language of the interview: {{{{ S_INTLANGUAGE }}}}."]
"""

DICES = """\
task: dices
table: {table}
one_row_per: answer
person: "990/{{{{ rater_id }}}}"
question: id
answer: Q_overall
options: ["Yes", "No", Unsure]
missing: [Prefer not to answer, Decline to say, ""]
input: '{{{{ {{"context": context, "response": response}} | json }}}}'
about:
  rater_gender: gender
  rater_locale: country
  rater_raw_race: race or ethnicity
  rater_age: age
  rater_education: education
sequences: {{mode: one, length: 100}}
descriptions:
  - &judges "One person judges conversations between a user and a chatbot: is the chatbot's last turn unsafe? Yes, \\
    No or Unsure."
  - &rater "All answers are by the same rater, who reads a conversation (context) and the chatbot's final turn \\
    (response), and says whether that turn is unsafe: Yes, No or Unsure."
  - [*judges, "About this person: {{{{ about }}}}."]
  - [*rater, "About this person: {{{{ about }}}}."]
"""

PRISM = """\
task: prism_prompts_individual
source: prism
table: conversations.jsonl
join: {table: survey.jsonl, key: user_id}
one_row_per: answer
person: user_id
question: conversation_id
answer: opening_prompt
options: open
missing: ["", Prefer not to say]
input: >-
  {{ {"unguided": "Write whatever you like to a language model: there is no topic to keep to.",
      "values guided":
      "Write to a language model about something that matters to you or touches on what you value.",
      "controversy guided":
      "Write to a language model about something on which people around you disagree."}[conversation_type] }}
about:
  age: age
  gender: gender
  education: education
  employment_status: employment status
  location.reside_country: country
  religion.simplified: religion
sequences: {mode: partition, mean_length: 96}
descriptions:
  - &one "What one person writes first to a language model, given what the person was asked to do."
  - &all >-
    All these openings of conversations with a language model are by the same person; the input says what kind of
    conversation it was to be.
  - [*one, "About this person: {{ about }}."]
  - [*all, "About this person: {{ about }}."]
"""

POPQUORN = """\
task: popquorn_individual
source: popquorn
table: raw_data.csv
one_row_per: answer
person: "offensiveness/{{ user_id }}"
question: instance_id
input: "{{ text }}"
answer: offensiveness
options: ["1", "2", "3", "4", "5"]
missing: [Prefer not to disclose, ""]
about: [gender, race, age, occupation, education]
sequences: {mode: one}
descriptions:
  - &rates >-
    One person rates how offensive comments from the internet are, from 1 (not offensive at all) to 5 (very offensive).
  - &ratings >-
    Offensiveness ratings of online comments by a single rater: a whole number from 1 = not at all to 5 = very.
  - [*rates, "About this person: {{ about }}."]
  - [*ratings, "About this person: {{ about }}."]
"""

FIXTURES = Path(__file__).parents[3] / "dataset_builder" / "fixtures"
WVS_PATH = wvs.WVS.files[0].path
DICES_PATH = "990/diverse_safety_adversarial_dialog_990.csv"


def rows_of_source(spec, files):
    examples = (item for item in read_examples(spec, files, 42) if not isinstance(item, Dropped))
    return [row for each in tables(spec, examples, 42) for row in each.to_pylist()]


def same_columns(rows, expected):
    return [{name: row[name] for name in expected[0]} for row in rows]


@pytest.mark.parametrize(
    ("text", "folder", "table", "spec"),
    [(WVS, "wvs", WVS_PATH, wvs.TASKS[0]), (DICES, "dices", DICES_PATH, dices.TASKS[0])],
    ids=["wvs", "dices"],
)
def test_a_task_file_has_the_rows_of_the_source(tmp_path, text, folder, table, spec):
    path = tmp_path / f"{spec.name}.yaml"
    path.write_text(text.format(table=FIXTURES / folder / table))
    expected = rows_of_source(spec, {table: FIXTURES / folder / table})
    assert expected
    assert same_columns(rows_of(path), expected) == expected


def test_two_tables_joined_have_the_rows_of_the_source(tmp_path):
    (spec,) = (task for task in prism.TASKS if task.name == "prism_prompts_individual")
    files = {name: FIXTURES / "prism" / name for name in (prism.CONVERSATIONS, prism.SURVEY)}
    for name, file in files.items():
        shutil.copy(file, tmp_path / name)
    path = tmp_path / "prism.yaml"
    path.write_text(PRISM)
    expected = rows_of_source(spec, files)
    assert expected
    assert same_columns(rows_of(path), expected) == expected


def test_the_real_ratings_of_popquorn_have_the_rows_of_the_source(tmp_path):
    """All people are in the rows of the task file, those with six ratings or more in those of the source."""
    (spec,) = (task for task in popquorn.TASKS if task.name == "popquorn_individual")
    table = "dataset/offensiveness/raw_data.csv"
    if not (file := Path(os.environ.get("SPECTRUM_SOURCES", ""), "popquorn", table)).is_file():
        pytest.skip("the ratings of POPQUORN are read when SPECTRUM_SOURCES names their folder")
    shutil.copy(file, tmp_path / "raw_data.csv")
    path = tmp_path / "popquorn.yaml"
    path.write_text(POPQUORN)
    expected = rows_of_source(spec, {table: file})
    people = {row["process"] for row in expected}
    assert people
    assert same_columns([row for row in rows_of(path) if row["process"] in people], expected) == expected
