"""Sources of the repository, written as task files: the rows are those of their Python."""

from pathlib import Path

import pytest

from dataset_builder.sources import dices, wvs
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

FIXTURES = Path(__file__).parents[3] / "dataset_builder" / "fixtures"
WVS_PATH = wvs.WVS.files[0].path
DICES_PATH = "990/diverse_safety_adversarial_dialog_990.csv"


@pytest.mark.parametrize(
    ("text", "folder", "table", "spec"),
    [(WVS, "wvs", WVS_PATH, wvs.TASKS[0]), (DICES, "dices", DICES_PATH, dices.TASKS[0])],
    ids=["wvs", "dices"],
)
def test_a_task_file_has_the_rows_of_the_source(tmp_path, text, folder, table, spec):
    path = tmp_path / f"{spec.name}.yaml"
    path.write_text(text.format(table=FIXTURES / folder / table))
    examples = (item for item in read_examples(spec, {table: FIXTURES / folder / table}, 42))
    kept = (item for item in examples if not isinstance(item, Dropped))
    expected = [row for each in tables(spec, kept, 42) for row in each.to_pylist()]
    assert expected
    assert [{name: row[name] for name in expected[0]} for row in rows_of(path)] == expected
