"""What people are asked about, and the scales on which they answer: for ``scale_ratings`` and ``scale_polls``.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    Question("How often do you eat {thing}?", ("never", "rarely", "sometimes", "often"), "fruits")

Kept out on purpose, because tasks that ask about them are held out: books, films, personality, politics of countries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


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
