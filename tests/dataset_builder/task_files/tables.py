"""A made-up survey in its three shapes, and what is read of it."""

from dataset_builder.suite_builder import read_examples, tables
from dataset_builder.task_files.specs import task_specs
from dataset_builder.task_spec import Dropped, Noted

PER_ANSWER = """\
title: What people eat
licence: cc-by-4.0
kind: {kind}
table: food.csv
one_row_per: answer
person: who
question: question
answer: answer
about: [age, country]
description: [One person answers questions on food., "The person is {{{{ age }}}} years old."]
options: [Never, Sometimes, Often]
"""

PER_PERSON = """\
title: What people eat
kind: {kind}
table: food.csv
one_row_per: person
person: who
about: [age]
questions:
  fruit: How often do you eat fruit?
  meat: {{text: "How often do you eat meat?", ordered: true}}
options: {{1: Never, 2: Sometimes, 3: Often}}
"""

PER_QUESTION = """\
title: What people eat
table: food.csv
one_row_per: question
question: question
options: [Never, Sometimes, Often]
"""

ANSWERS = """\
who,age,country,question,answer
ann,18-29,Chile,Fruit?,Often
bob,,Ghana,Fruit?,Never
ann,18-29,Chile,Meat?,Never
bob,,Ghana,Meat?,Sometimes
cy,50+,Ghana,Fruit?,Often
cy,50+,Ghana,Meat?,Often
"""


def written(folder, task, table, name="food.csv", encoding="utf-8"):
    """The path of a task file, beside its table."""
    content = table if isinstance(table, bytes) else table.encode(encoding)
    (folder / name).write_bytes(content)
    path = folder / "food.yaml"
    path.write_text(task, encoding="utf-8")
    return path


def read_all(path, task=None):
    """(examples, dropped and converted rows) of one of the tasks of a file, by default the first."""
    specs = task_specs(path)
    spec = next(each for each in specs if each.name == task) if task else specs[0]
    files = {file.path: spec.source.root / file.path for file in spec.source.files}
    items = list(read_examples(spec, files, 42))
    noted = {
        (item.reason, item.rows, item.first, isinstance(item, Noted)) for item in items if isinstance(item, Dropped)
    }
    return [item for item in items if not isinstance(item, Dropped)], noted


def rows_of(path, task=None, seed=42):
    """The rows of one of the tasks of a file."""
    specs = task_specs(path)
    spec = next(each for each in specs if each.name == task) if task else specs[0]
    files = {file.path: spec.source.root / file.path for file in spec.source.files}
    examples = (item for item in read_examples(spec, files, seed) if not isinstance(item, Dropped))
    return [row for table in tables(spec, examples, seed) for row in table.to_pylist()]
