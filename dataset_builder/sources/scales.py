"""Made-up answers on scales of two to seven levels whose shares no description tells; only examples do.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. Surveys put either end of a scale first and
code it as they like; here all of that is drawn. Before the first example every level is as likely as any other, but few
people refuse to answer. Raw rows, of a survey and of a poll:

    description "Answers of people who are asked about places and services. Answer with the number."
    input "How would you rate the ferry?\\n1: excellent\\n2: good\\n3: fair\\n4: poor\\n5: very poor", output "2"

    description "Each output is the answer of another visitor. Answer with the letter."
    input "The ferry\\nKind: services\\nNote: It was in the papers.\\nDo you trust it?\\nA. Never\\nB. Mostly", output "B"

The questions leave out what held-out tasks ask about: books, films, personality, politics of countries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dataset_builder.sources.shared.synthetic import N_DRAWS, SYNTHETIC, as_draws, pick, process_id
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec


class Question(NamedTuple):
    """What is asked about a ``{thing}`` of some kind, and the levels of the answer from one end to the other."""

    text: str
    levels: tuple[str, ...]
    kind: str


_THINGS = """
dishes|lentil soup,cheese pizza,fried rice,apple pie,vegetable curry,smoked fish,potato salad,rye bread,cold noodles,bean stew
hobbies|knitting,chess,gardening,birdwatching,pottery,juggling,stamp collecting,baking bread,running,playing the violin
places|the harbor,a night market,the botanical garden,a steam railway,the old castle,an ice rink,a sculpture park,the public pool
services|the bus line,the night train,the tax office,the dentist's,the bike rental,the ferry,the repair shop,the town library
plans|a new cycle path,a car-free centre,a higher parking fee,longer opening hours,a second playground,fewer street lights,a larger dog park
worries|road noise,rising rents,air quality,lost luggage,empty shops,heat waves,broken lifts,litter in parks,long queues
gadgets|a robot vacuum,a folding bike,noise-cancelling headphones,an electric kettle,a smart watch,a sewing machine,a solar charger
habits|cooking at home,drinking coffee,taking naps,walking to work,watching the news,singing in the shower,writing letters
skills|drawing,mental arithmetic,swimming,remembering names,parallel parking,telling jokes,reading maps,speaking in public
sounds|church bells,rain on a roof,a busy street,a brass band,seagulls,a ticking clock,a barking dog,wind chimes
"""
THINGS = {kind: tuple(names.split(",")) for kind, names in (line.split("|") for line in _THINGS.strip().splitlines())}
"""A kind of thing -> some of it."""

_QUESTIONS = """
How much do you like {thing}?|not at all,a little,quite a bit,very much|dishes,hobbies,sounds,places
Would you try {thing}?|no,maybe,yes|dishes,hobbies,gadgets
How often do you think of {thing}?|never,rarely,sometimes,often,always|dishes,places,worries,habits
How likely are you to buy {thing} this year?|certainly not,probably not,perhaps,probably,certainly|gadgets,dishes
How would you rate {thing}?|very poor,poor,fair,good,excellent|services,places,dishes,sounds
How satisfied are you with {thing}?|very dissatisfied,rather dissatisfied,neither,rather satisfied,very satisfied|services,places
Are you for or against {thing}?|strongly against,against,neutral,for,strongly for|plans
The town should spend money on {thing}.|disagree completely,disagree,slightly disagree,undecided,slightly agree,agree,agree completely|plans
Is {thing} a problem where you live?|no problem,a minor problem,a serious problem|worries
How worried are you about {thing}?|not worried,slightly worried,worried,very worried|worries
How important is {thing} to you?|unimportant,of little importance,important,essential|habits,hobbies,plans,places
How good are you at {thing}?|hopeless,below average,average,above average,brilliant|skills
How hard is {thing}?|very easy,easy,moderate,hard,very hard,nearly impossible|skills,hobbies
Do you enjoy {thing}?|yes,no|sounds,habits,hobbies,skills,dishes
How many times did you choose {thing} last month?|not once,once,twice,three or more times|dishes,services,habits
Has your opinion of {thing} changed?|got much worse,got worse,stayed the same,got better,got much better|services,places,plans
How pleasant is {thing}?|painful,unpleasant,indifferent,pleasant,delightful|sounds,habits
Do you trust {thing}?|never,seldom,mostly,entirely|services,gadgets
"""


def _questions() -> Iterator[Question]:
    for line in _QUESTIONS.strip().splitlines():
        text, levels, kinds = line.split("|")
        for kind in kinds.split(","):
            yield Question(text, tuple(levels.split(",")), kind)


QUESTIONS = tuple(_questions())

CODINGS = ("numbers", "numbers", "from zero", "letters", "letters", "words")
"""How a survey codes its answers; a duplicate is twice as frequent."""

LINES = (
    "{code}. {level}",
    "{code}: {level}",
    "{code}) {level}",
    "({code}) {level}",
    "{code} - {level}",
    "{code} = {level}",
)
"""Lines of options below a question."""

NON_ANSWERS = ("don't know", "no answer", "refused", "no opinion", "can't say", "prefer not to say")
"""What may be the last option of every question of a survey; few choose it."""

_SHARE_WITH_NON_ANSWER = 0.8  # every question of OpinionQA's waves has one


class Asked(NamedTuple):
    """A question, the lines that list its options, and their codes.

    Attributes:
        question: Its words.
        options: The lines.
        answers: The code of each level, from the low end to the high one.
        non_answer: The code for giving no answer, where that is an option.
    """

    question: str
    options: tuple[str, ...]
    answers: tuple[str, ...]
    non_answer: str | None

    @property
    def possible(self) -> tuple[str, ...]:
        """All that may be answered, not answering included."""
        return self.answers if self.non_answer is None else (*self.answers, self.non_answer)

    @property
    def text(self) -> str:
        """The question as a survey prints it."""
        return "\n".join((self.question, *self.options))


class Survey(NamedTuple):
    """The way in which all questions of a survey are printed.

    Attributes:
        coding: How levels are coded: one of :data:`CODINGS`.
        line: What an option looks like.
        rising: Whether the low end of every scale comes first.
        capital: Whether options begin with a capital letter.
        non_answer: The last option of every question, or None.
    """

    coding: str
    line: str
    rising: bool
    capital: bool = False
    non_answer: str | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Survey:
        """Any way."""
        coding, line, non_answer = (pick(rng, choices) for choices in (CODINGS, LINES, NON_ANSWERS))
        rising, capital = (bool(rng.random() < 0.5) for _ in range(2))  # noqa: PLR2004
        return cls(coding, line, rising, capital, non_answer if rng.random() < _SHARE_WITH_NON_ANSWER else None)

    def ask(self, question: Question, thing: str) -> Asked:
        """The question about a thing, with its levels listed and coded."""
        levels = question.levels if self.rising else question.levels[::-1]
        listed = [*levels, self.non_answer] if self.non_answer else [*levels]
        if self.capital:
            listed = [level[0].upper() + level[1:] for level in listed]
        coded = codes(self.coding, len(listed))
        lines = (
            listed if coded is None else [self.line.format(code=c, level=n) for c, n in zip(coded, listed, strict=True)]
        )
        given = tuple(listed if coded is None else coded)
        answers = given[: len(levels)]
        return Asked(
            question.text.format(thing=thing),
            tuple(lines),
            answers if self.rising else answers[::-1],
            given[-1] if self.non_answer else None,
        )


def codes(coding: str, size: int) -> tuple[str, ...] | None:
    """The code of each of so many options, in the order in which they are listed; None for the words themselves."""
    if coding == "words":
        return None
    if coding == "letters":
        return tuple("ABCDEFGH"[:size])
    start = 0 if coding == "from zero" else 1
    return tuple(str(code) for code in range(start, start + size))


SHARE_OF_NON_ANSWERS = 0.04
"""How many choose to give no answer, where that is an option."""

_ONE_PERSON = (
    "One person fills in a questionnaire.", "All answers come from the same person.", "A single respondent's answers.",
    "The same person rates one thing after another.", "{name}, {age}, answers some questions.",
)  # fmt: skip
_MANY_PEOPLE = (
    "A random person answers each question.", "Every question is put to somebody else.", "Answers from a survey.",
    "A random {who} is asked and answers.", "The answer of one {who}, picked at random.",
    "Each output is what a different {who} answered.", "Place: {where}. One inhabitant answers a question.",
)  # fmt: skip
_REQUESTS = {
    "numbers": ("The answer is a number.", "Outputs are the numbers of the options.", "Answer with the number.", ""),
    "letters": ("The answer is a letter.", "Each output is the letter of an option.", "Answer with the letter.", ""),
    "words": ("The answer is one of the options.", "Outputs are options, word for word.", "Answer in these words.", ""),
}
_WHO = ("commuter", "pensioner", "student", "nurse", "tourist", "shopper", "farmer", "parent", "club member", "visitor")
_WHERE = ("Northfield", "Old Haven", "Lake Town", "Stonebridge", "the valley", "the islands", "the suburbs", "Eastport")
_NAMES = ("Ada", "Bruno", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ivo", "June", "Kofi", "Lena", "Mateo")


def people(rng: np.random.Generator, *, one: bool = False) -> str:
    """Who answers: one person, or a different one each time."""
    words = {
        "name": pick(rng, _NAMES), "age": rng.integers(18, 90), "who": pick(rng, _WHO), "where": pick(rng, _WHERE)
    }  # fmt: skip
    return pick(rng, _ONE_PERSON if one else _MANY_PEOPLE).format(**words)


def request(rng: np.random.Generator, survey: Survey) -> str:
    """In which form the answer is wanted; now and then nothing is said of it."""
    return pick(rng, _REQUESTS["numbers" if survey.coding == "from zero" else survey.coding])


_CONCENTRATION = 20.0  # of the Dirichlet distribution of shares: they stay within a few hundredths of even ones

_NOTES = (
    "It was in the papers last week.", "Most people here know it, though few say so.", "It has been there for years.",
    "A committee spoke about it at length and came to no conclusion.", "It costs more than it did a year ago.",
    "Nobody remembers who began it.", "Some find it useful; others would rather have something else in its place.",
    "It began as a joke among neighbours, and by the end of the summer it had a waiting list and a song of its own.",
    "Visitors come for it from far away.", "It is loud in the morning and quiet in the afternoon.",
    "A report of forty pages weighs what speaks for it against what speaks against it, and leaves the choice open.",
    "Children like to draw it.", "There was a time when everybody had one.",
    "It needs patience, good shoes and some luck.",
    "The story goes that two sisters quarrelled over it for thirty years before they found out that they meant the "
    "same.",
)  # fmt: skip


def scale_poll(rng: np.random.Generator, index: int) -> Example:
    """A question about a thing, put to many people, with or without a word on the thing."""
    survey, question = Survey.draw(rng), pick(rng, QUESTIONS)
    thing = pick(rng, THINGS[question.kind])
    told = rng.random() < 0.5  # noqa: PLR2004
    asked = survey.ask(question, "it" if told else thing)
    text = asked.text
    if told:
        text = f"{thing[0].upper()}{thing[1:]}\nKind: {question.kind}\nNote: {pick(rng, _NOTES)}\n{text}"
    description = f"{people(rng)} {request(rng, survey)}".strip()
    if rng.random() < 0.3:  # noqa: PLR2004
        description += f" The options: {', '.join(asked.options)}."
    draws = tuple(Draw(text, answer) for answer in _answers(rng, asked.answers, asked.non_answer))
    return Example(process_id(index), (description,), draws, options=(asked.possible,))


def _answers(rng: np.random.Generator, answers: tuple[str, ...], non_answer: str | None) -> list[str]:
    """As many answers as a process has draws, in numbers as near as can be to their shares, in random order."""
    none = SHARE_OF_NON_ANSWERS if non_answer else 0.0
    shares = [*rng.dirichlet(np.full(len(answers), _CONCENTRATION)) * (1 - none), none]
    ends = np.round(np.cumsum(shares) * N_DRAWS).astype(int)
    counts = np.diff(ends, prepend=0).tolist()
    given = [answer for answer, count in zip([*answers, non_answer], counts, strict=True) for _ in range(count)]
    return rng.permutation(given).tolist()


_QUESTIONS_OF_A_ROW = 8
_CONCENTRATIONS = (1.0, 3.0, 10.0)  # of the Dirichlet distributions that shares come from: flat to nearly even

_ONE_QUESTION = (
    "Different people answer one question: {question}", "{question}\nEach output is the answer of another person.",
    "A poll asked: {question}", "How people replied to: {question}", "Replies of passers-by. {question}",
)  # fmt: skip


def scale_rating(rng: np.random.Generator, index: int) -> Example:
    """One question to many people, or one person or many of them on several questions, or on one about many things."""
    survey = Survey.draw(rng)
    wanted = request(rng, survey)
    first, who = pick(rng, QUESTIONS), rng.choice(["one", "many", "one question"], p=[0.35, 0.4, 0.25])
    things = rng.permutation(THINGS[first.kind]).tolist()
    if who == "one question":
        asked = survey.ask(first, things[0])
        shares = _shares(rng, len(asked.answers))
        outputs = [_answer(rng, asked, shares) for _ in range(N_DRAWS)]
        description = pick(rng, _ONE_QUESTION).format(question=asked.text)
        texts = (_and(description, wanted),)
        return Example(process_id(index), texts, as_draws(outputs), options=(asked.possible,))
    description = people(rng, one=who == "one")
    if rng.random() < 0.4:  # noqa: PLR2004
        asked = [survey.ask(first, thing) for thing in things]
        description = f"{description} {first.text.format(thing='this')} {'; '.join(asked[0].options)}."
        inputs = things
    else:
        chosen = rng.choice(len(QUESTIONS), size=_QUESTIONS_OF_A_ROW, replace=False)
        asked = [survey.ask(QUESTIONS[n], pick(rng, THINGS[QUESTIONS[n].kind])) for n in chosen]
        inputs = [each.text for each in asked]
    high = rng.random() if who == "one" else None  # how far up one person's answers tend to be
    draws = tuple(
        Draw(given, _answer(rng, each, _shares(rng, len(each.answers), high)))
        for given, each in zip(inputs, asked, strict=True)
    )
    possible = tuple(each.possible for each in asked)
    return Example(process_id(index), (_and(description, wanted),), draws, options=possible)


def _answer(rng: np.random.Generator, asked: Asked, shares: np.ndarray) -> str:
    """An answer with these shares of the levels; now and then none, where that is an option."""
    if asked.non_answer and rng.random() < SHARE_OF_NON_ANSWERS:
        return asked.non_answer
    return str(rng.choice(asked.answers, p=shares))


def _shares(rng: np.random.Generator, size: int, high: float | None = None) -> np.ndarray:
    """Shares of so many levels: those of a person who tends ``high``, from 0 to 1, or any; on average they are even."""
    if high is not None:
        from scipy import stats  # noqa: PLC0415 - takes a second, which every command would wait

        return stats.binom.pmf(np.arange(size), size - 1, high)
    return rng.dirichlet(np.full(size, pick(rng, _CONCENTRATIONS)))


def _and(description: str, request: str) -> str:
    return f"{description}{chr(10) if chr(10) in description else ' '}{request}".strip()


TASKS = [
    TaskSpec(
        name="scale_polls",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Made-up polls on scales of two to seven levels, by people of whom nothing is known.",
        process="one question about one thing, put to many people",
        inputs=("question",),
        outputs=("answer",),
        sequences=Sequences("one"),
        generate=scale_poll,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
    TaskSpec(
        name="scale_ratings",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Made-up answers on scales of two to seven levels whose shares are not told.",
        process="one question put to many people, one person asked many questions, or many people asked one each",
        inputs=("question",),
        outputs=("answer",),
        sequences=Sequences("one"),
        generate=scale_rating,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
]
