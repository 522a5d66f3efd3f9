"""Draws from described distributions over named things, in many wordings: what the paper's parametric tasks lack.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. Raw rows, as draws and as a distribution:

    description "At a cafe there were 3 tea orders and 1 coffee order. Name the drink of one random order."
    output "tea"
    options tea, coffee at 3/4, 1/4

The topics leave out what held-out tasks draw from: containers of objects, U.S. states, weekdays, chemical elements, car
brands, numbers at random.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from dataset_builder.sources.shared.synthetic import N_DRAWS, SYNTHETIC, pick, process_id, training_target
from dataset_builder.task_spec import Draw, Example, Sequences, Target, TaskSpec


class Topic(NamedTuple):
    """What is named, the event in which it comes up (singular, plural), where, and the names."""

    what: str
    unit: str
    units: str
    where: str
    names: tuple[str, ...]


_TOPICS = """
drink|order|orders|at a cafe|tea,coffee,juice,water,cocoa,lemonade,milk,cider,soda,espresso
dish|order|orders|in a canteen|soup,pasta,salad,curry,pizza,risotto,stew,noodles,omelette,tacos
fruit|vote|votes|in a school survey|apple,banana,cherry,grape,mango,pear,plum,kiwi,peach,melon
pet|household|households|in a small town|dog,cat,rabbit,hamster,parrot,goldfish,turtle,ferret,none
genre|song|songs|on a radio show|jazz,rock,folk,soul,blues,pop,techno,opera,reggae,metal
genre|film|films|at a festival|comedy,drama,horror,western,thriller,romance,musical,documentary
sport|mention|mentions|in a newspaper|football,tennis,rugby,hockey,golf,cricket,boxing,rowing,skiing
instrument|pupil|pupils|at a music school|piano,violin,guitar,flute,drums,cello,harp,trumpet,clarinet
weather|day|days|in a weather diary|sun,rain,fog,snow,wind,hail,storm,drizzle,frost
color|vote|votes|in an online poll|teal,pink,red,blue,green,yellow,silver,gold,grey,white,black,orange,purple,brown
color|car|cars|in a car park|red,blue,green,yellow,white,black,orange,purple,brown,grey
color|door|doors|in our street|purple,orange,brown,white,black,yellow,green,blue,red
color|kite|kites|over the beach|orange,yellow,purple,green,red,white,blue,brown,black
color|coat|coats|at a winter fair|brown,black,white,purple,orange,green,red,yellow,blue
color|light|lights|in a long exposure|white,orange,purple,blue,red,yellow,green,brown,black
team|goal|goals|in a school league|black,brown,purple,orange,white,green,blue,yellow,red
shirt|sighting|sightings|at a station|red,blue,green,yellow,white,black,striped,pink,grey,brown
bird|sighting|sightings|by the lake|heron,swan,duck,gull,crow,robin,owl,kestrel,finch,magpie
tree|entry|entries|in a forester's log|oak,birch,pine,maple,beech,ash,willow,elm,cedar,larch
animal|sighting|sightings|on a night camera|fox,deer,badger,hare,boar,hedgehog,marten,raccoon,wolf
fish|catch|catches|at the pier|trout,salmon,perch,carp,pike,cod,bream,eel,herring
city|ticket|tickets|at a travel desk|Paris,Rome,Madrid,Vienna,Oslo,Lisbon,Prague,Athens,Berlin,Dublin,Warsaw
country|visitor|visitors|at a museum|France,Japan,Brazil,Kenya,Canada,India,Spain,Egypt,Norway,Peru,Korea
language|caller|callers|on a helpline|English,Spanish,Arabic,French,Hindi,Polish,Turkish,Korean,Greek,Swahili
browser|visit|visits|to a website|Chrome,Firefox,Safari,Edge,Opera,Brave
transport|commuter|commuters|in an office|bus,train,bike,car,tram,ferry,scooter,on foot
answer|reply|replies|to a questionnaire|yes,no,maybe,unsure,no answer
answer|ballot|ballots|at a meeting|for,against,abstain
answer|reply|replies|to a survey|Agree,Disagree,Neutral,Strongly agree,Strongly disagree
result|match|matches|of a club|win,draw,loss
grade|exam|exams|in one class|A,B,C,D,E,F
size|sale|sales|in a clothes shop|small,medium,large,extra large
name|message|messages|in a group chat|Anna,Ben,Carla,David,Emma,Felix,Grace,Hugo,Iris,Jonas,Lena,Omar,Priya,Yuki
candidate|vote|votes|in a local election|Ruiz,Okafor,Lindqvist,Chen,Moreau,Haddad,Novak,Silva,Kaya,Murphy
party|seat|seats|on a council|Greens,Liberals,Labour,Centre,Conservatives,Independents
month|birthday|birthdays|in a club|January,February,March,April,May,June,July,August,September,October,November,December
season|visit|visits|to a park|spring,summer,autumn,winter
direction|trip|trips|from a crossing|north,south,east,west
mood|entry|entries|in a diary|happy,sad,calm,tired,angry,bored,excited,anxious
symptom|patient|patients|in a clinic|cough,fever,headache,rash,nausea,fatigue,dizziness
department|call|calls|to a hospital|surgery,radiology,cardiology,pediatrics,oncology,emergency
topic|ticket|tickets|on a support desk|billing,login,refund,delivery,warranty,spam,outage
status|request|requests|to a server|ok,timeout,error,retry,denied,redirect
cause|delay|delays|on a rail line|signal,weather,staff,track,strike,power
flavor|scoop|scoops|at a kiosk|vanilla,chocolate,strawberry,lemon,pistachio,mint,caramel,coconut
bread|sale|sales|at a bakery|rye,wheat,baguette,bagel,roll,sourdough,pretzel,ciabatta
flower|delivery|deliveries|from a florist|rose,tulip,lily,daisy,orchid,iris,peony,violet,poppy
subject|lesson|lessons|in a week of school|math,history,art,music,biology,physics,geography,chemistry
job|member|members|of a choir|nurse,teacher,baker,lawyer,farmer,driver,chef,painter,student
game|evening|evenings|at a game night|chess,poker,bingo,go,darts,dominoes,charades,bridge
opening|game|games|of a chess club|Sicilian,French,Caro-Kann,Italian,English,Scandinavian,Dutch
dog|guest|guests|at a kennel|poodle,beagle,boxer,collie,terrier,husky,spaniel,pug
cheese|plate|plates|at a market stall|brie,cheddar,gouda,feta,parmesan,stilton,ricotta,manchego
material|find|finds|at a dig|bone,flint,bronze,glass,clay,iron,amber,ivory
planet|photo|photos|by a telescope|Mercury,Venus,Mars,Jupiter,Saturn,Uranus,Neptune
dance|couple|couples|in a ballroom|waltz,tango,salsa,foxtrot,rumba,swing,polka
key|piece|pieces|in a songbook|C major,G major,D minor,A minor,F major,E minor
side|toss|tosses|of a bent coin|heads,tails
face|roll|rolls|of a loaded die|1,2,3,4,5,6
rating|review|reviews|of a hotel|1,2,3,4,5
score|throw|throws|of a dart player|5,10,20,25,50,60
letter|key press|key presses|in a typing test|a,e,i,o,u,s,t,n,r,x,z,q
code|parcel|parcels|at a depot|A1,A2,B1,B2,C3,D4,X7,Z9
nonsense word|trial|trials|in a lab|blick,dax,wug,toma,zib,fep,gorp,lume,vash,kiv
creature|chapter|chapters|of a fantasy saga|dragon,elf,goblin,wizard,troll,unicorn,giant,phoenix
"""

_MIXED = """
word|line|lines|in a word list
tag|post|posts|on a forum
guess|player|players|in a guessing game
keyword|search|searches|in a catalogue
"""


def _topics() -> Iterator[Topic]:
    """One topic a line; those of the second list may take any word that is a name in the first."""
    rows = [line.split("|") for line in _TOPICS.strip().splitlines()]
    words = dict.fromkeys(name for *_, names in rows for name in names.split(",") if name.isalpha())
    for what, unit, units, where, names in rows:
        yield Topic(what, unit, units, where, tuple(names.split(",")))
    for line in _MIXED.strip().splitlines():
        yield Topic(*line.split("|"), tuple(words))


TOPICS = tuple(_topics())
"""Every topic. The mixed ones have names that nothing else tells: there only the shares say which comes up."""

Shares = tuple[list[str], list[int]]
"""Names and their counts."""


def join(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _pairs(names: list[str], values: list, pattern: str) -> list[str]:
    return [pattern.format(name=name, value=value) for name, value in zip(names, values, strict=True)]


def _percent(counts: list[int]) -> list[str]:
    shares = [100 * count / sum(counts) for count in counts]
    return [f"{share:.0f}" if share == round(share) else f"{share:.1f}" for share in shares]


def _decimals(counts: list[int]) -> list[str]:
    return [f"{count / sum(counts):.3f}".rstrip("0").rstrip(".") for count in counts]


AFTER_A_COLON: tuple[Callable[[list[str], list[int]], str], ...] = (
    lambda names, counts: join(_pairs(names, counts, "{value} {name}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name} {value}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name}: {value}")),
    lambda names, counts: join(_pairs(names, counts, "{name} ({value})")),
    lambda names, counts: "; ".join(_pairs(names, counts, "{value} x {name}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name} {value} times")),
    lambda names, counts: "\n" + "\n".join(_pairs(names, counts, "{name} | {value}")),
    lambda names, counts: "\n" + "\n".join(_pairs(names, counts, "- {value} {name}")),
    lambda names, counts: json.dumps(dict(zip(names, counts, strict=True))),
    lambda names, counts: join(_pairs(names, _percent(counts), "{value}% {name}")),
    lambda names, counts: ", ".join(_pairs(names, _percent(counts), "{name} {value}%")),
    lambda names, counts: ", ".join(_pairs(names, _percent(counts), "{name}: {value} percent")),
    lambda names, counts: join(_pairs(names, _percent(counts), "{name} ({value}%)")),
    lambda names, counts: ", ".join(_pairs(names, _decimals(counts), "P({name}) = {value}")),
    lambda names, counts: join(_pairs(names, _decimals(counts), "{name} with probability {value}")),
    lambda names, counts: json.dumps(dict(zip(names, map(float, _decimals(counts)), strict=True))),
    lambda names, counts: join([f"{c}/{sum(counts)} {n}" for n, c in zip(names, counts, strict=True)]),
    lambda names, counts: join([f"{c} in {sum(counts)} {n}" for n, c in zip(names, counts, strict=True)]),
    lambda names, counts: f"{', '.join(names)} in the ratio {':'.join(map(str, counts))}",
    lambda names, counts: f"{' to '.join(names)} as {' to '.join(map(str, counts))}",
)
"""Phrases that follow a colon or a verb."""

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def with_unit(names: list[str], counts: list[int], topic: Topic, *, words: bool = False) -> str:
    """``3 tea orders and 1 coffee order``, or ``three tea orders and one coffee order``."""
    said = [NUMBER_WORDS[count] if words and count < len(NUMBER_WORDS) else str(count) for count in counts]
    units = [topic.unit if count == 1 else topic.units for count in counts]
    return join([f"{number} {name} {unit}" for number, name, unit in zip(said, names, units, strict=True)])


def clauses(rng: np.random.Generator, names: list[str], counts: list[int]) -> str:
    """``12 chose tea and 5 chose coffee``, with one of several verbs."""
    patterns = (
        "{value} said {name}", "{value} were {name}", "{name} came up {value} times", "{name} made {value}",
        "{name} was seen {value} times", "{value} had {name}", "{value} went to {name}", "{name} got {value}",
    )  # fmt: skip
    return join(_pairs(names, counts, patterns[rng.integers(len(patterns))]))


def listing(rng: np.random.Generator, names: list[str], counts: list[int]) -> str:
    """Every occurrence by itself in random order: ``tea, coffee, tea, tea``."""
    return ", ".join(rng.permutation(np.repeat(names, counts)).tolist())


_PARTS = {
    "half": 12, "a third": 8, "two thirds": 16, "a quarter": 6, "three quarters": 18, "a sixth": 4, "five sixths": 20,
    "a twelfth": 2, "almost never": 0, "an eighth": 3,
}  # fmt: skip


def in_words(names: list[str], counts: list[int]) -> str | None:
    """``half tea, a third coffee and a sixth juice`` where each share has a word, else None."""
    total = sum(counts)
    words = {parts: word for word, parts in _PARTS.items() if parts}
    if any(24 * count % total or 24 * count // total not in words for count in counts):
        return None
    return join([f"{words[24 * count // total]} {name}" for name, count in zip(names, counts, strict=True)])


def plural(noun: str) -> str:
    """``city`` -> ``cities``, ``dish`` -> ``dishes``, ``fish`` -> ``fish``."""
    if noun in ("fish", "weather", "transport"):
        return noun
    if noun.endswith("y") and noun[-2] not in "aeo":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "sh", "ch")) else "s")


_BEFORE_A_COLON = (
    "{Units} {where} by {what}:", "{Where}, the {units} were:", "{What} of the {units} {where}:", "{Plural} {where}:",
    "How the {units} {where} split:", "The {units} {where} so far:", "Count of {units} {where}:", "Seen {where}:",
    "Log of {units} {where}:", "We asked about the {what}:", "Distribution of the {what} {where}:", "{What}:",
    "{Units}:", "Each {unit} {where} has a {what}:", "Weights of each {what}:", "The {what} is random:", "Tally:",
)  # fmt: skip
_WITH_UNIT = (
    "{Where} there were {shares}.", "There were {shares} {where}.", "{Where} we counted {shares}.", "I noted {shares}.",
    "The list {where} has {shares}.", "So far: {shares}.", "Last year brought {shares} {where}.", "They got {shares}.",
)  # fmt: skip
_OF_ALL = (
    "Of {total} {units} {where}, {shares}.", "{Where}, {shares}.", "Out of {total} {units}, {shares}.",
    "Among the {units} {where}, {shares}.", "In the last {total} {units} {where}, {shares}.",
)  # fmt: skip
_LISTED = (
    "The {units} {where}: {shares}.", "{What} of the last {total} {units}: {shares}.", "{Where}: {shares}.",
    "Record of {units} {where}, in no order: {shares}.",
)  # fmt: skip
REQUESTS = (
    "One {unit} is picked at random. Which {what} is it?", "Name the {what} of one random {unit}.",
    "Pick one {unit} at random and tell its {what}.", "What {what} does a random {unit} have?", "Which {what}?",
    "Say the {what} of the next {unit}.", "Draw one {unit} at random. Answer with the {what}.",
    "Take a {unit} at random. What is the {what}?", "Give the {what} only.", "Output one {what}.", "Sample one {what}.",
    "Choose a {unit} by chance and write its {what}.", "Simulate one {unit}: answer with the {what} and nothing else.",
    "Each output is the {what} of a {unit} drawn at random.", "Outputs are {plural} of {units} drawn with replacement.",
)  # fmt: skip
_CASES = (("lower case", str.lower), ("capitals", str.upper))


def described_shares(rng: np.random.Generator, index: int) -> Example:
    """A topic, some of its names, how often each comes up in one of many wordings, and draws."""
    description, request, names, probabilities = described(rng)
    outputs = rng.choice(names, size=N_DRAWS, p=probabilities).tolist()
    draws = tuple(Draw(request, output) for output in outputs)
    return Example(process_id(index), (description,), draws, options=(tuple(names),))


def known_shares(rng: np.random.Generator, index: int) -> Example:
    """Named things whose shares are described in everyday words, as in ``described_shares``."""
    description, request, names, probabilities = described(rng)
    target = Target(request, tuple(names), tuple(probabilities.tolist()))
    return Example(process_id(index), (description,), target=target)


def described(rng: np.random.Generator) -> tuple[str, str | None, list[str], np.ndarray]:
    """A description, what is asked of each draw (or None), the names, and their probabilities, (names,)."""
    topic = TOPICS[rng.integers(len(TOPICS))]
    names, counts = shares(rng, topic)
    description = _sentence(rng, topic, names, counts)
    request = _fill(REQUESTS[rng.integers(len(REQUESTS))], topic)
    if rng.random() < 0.15:  # noqa: PLR2004
        case, change = _CASES[rng.integers(len(_CASES))]
        request, names = f"{request} Answer in {case}.", [change(name) for name in names]
    place = rng.choice(["input", "description", "nowhere"], p=[0.4, 0.35, 0.25])
    if place == "description" or ("Answer in" in request and place == "nowhere"):
        description += ("\n" if "\n" in description else " ") + request
    return description, request if place == "input" else None, names, np.array(counts) / sum(counts)


def shares(rng: np.random.Generator, topic: Topic) -> tuple[list[str], list[int]]:
    """2 to 8 names of the topic, most often few, and a count for each: even, small, large or skewed."""
    size = min(len(topic.names), 2 + int(rng.binomial(5, 0.25)))
    names = rng.choice(topic.names, size=size, replace=False).tolist()
    kind = rng.choice(["small", "large", "skewed", "even", "hundred"], p=[0.3, 0.1, 0.35, 0.05, 0.2])
    if kind == "small":
        counts = rng.integers(1, rng.integers(1, 12, size=size, endpoint=True), endpoint=True)
    elif kind == "large":
        counts = rng.integers(1, int(10 ** rng.uniform(1.5, 4)), size=size)
    elif kind == "skewed":
        counts = 1 + np.floor(rng.dirichlet(np.full(size, 0.3)) * rng.integers(8, 40)).astype(int)
    elif kind == "even":
        counts = np.full(size, rng.integers(1, 20))
    else:
        counts = 1 + rng.multinomial(100 - size, rng.dirichlet(np.ones(size)))
    return names, counts.tolist()


def _sentence(rng: np.random.Generator, topic: Topic, names: list[str], counts: list[int]) -> str:
    """How often each name comes up, said in one of the wordings that fit the counts."""
    total = sum(counts)
    style = rng.choice(["colon", "unit", "clauses", "list", "words"], p=[0.42, 0.35, 0.13, 0.05, 0.05])
    if style == "words" and (said := in_words(names, counts)):
        return f"{topic.units.capitalize()} {topic.where}: {said}."
    if style == "list" and total <= 12:  # noqa: PLR2004
        return _fill(pick(rng, _LISTED), topic, shares=listing(rng, names, counts), total=total)
    if style == "clauses":
        return _fill(pick(rng, _OF_ALL), topic, shares=clauses(rng, names, counts), total=total)
    if style == "unit":
        words = bool(rng.random() < 0.25)  # noqa: PLR2004
        return _fill(pick(rng, _WITH_UNIT), topic, shares=with_unit(names, counts, topic, words=words))
    said = pick(rng, AFTER_A_COLON)(names, counts)
    before = _fill(pick(rng, _BEFORE_A_COLON), topic)
    return f"{before}{said}" if said.startswith("\n") else f"{before} {said}{pick(rng, ('', '.', '.'))}"


def _fill(pattern: str, topic: Topic, **more: object) -> str:
    """The pattern with the topic's words; ``{Where}`` and the like start with a capital."""
    words = {"what": topic.what, "unit": topic.unit, "units": topic.units, "where": topic.where}
    words |= {word.capitalize(): text[0].upper() + text[1:] for word, text in words.items()}
    text = pattern.format(**words, plural=plural(topic.what), Plural=plural(topic.what).capitalize(), **more)
    return re.sub(r"\b([Aa]) (?=[aeo])", r"\1n ", text)


TASKS = [
    TaskSpec(
        name="described_shares",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Draws of named things whose shares are described in everyday words, counts, percentages or odds.",
        process="one described distribution over named options",
        inputs=("request",),
        outputs=("name",),
        sequences=Sequences("one"),
        generate=described_shares,
        n_processes=20_000,
        origin="ours",
        version="1.2.0",
    ),
    training_target(
        "shares",
        known_shares,
        4000,
        "Shares of named things, described in everyday words.",
        "one described distribution",
    ),
]
