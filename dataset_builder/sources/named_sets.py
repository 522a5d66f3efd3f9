"""Well-known finite sets, from which every member is named with the same probability; the members are not listed.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    description "Name a planet of the solar system, uniformly at random.", output "Saturn"

Sets that held-out tasks draw from are kept out: U.S. states, weekdays, elements, car brands, numbers.
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import N_DRAWS, SYNTHETIC, pick, process_id, training_target
from dataset_builder.task_spec import Draw, Example, Sequences, Target, TaskSpec

_SETS = """
planet of the solar system|Mercury,Venus,Earth,Mars,Jupiter,Saturn,Uranus,Neptune
month of the year|January,February,March,April,May,June,July,August,September,October,November,December
season|spring,summer,autumn,winter
continent|Africa,Antarctica,Asia,Europe,North America,South America,Australia
ocean|Arctic,Atlantic,Indian,Pacific,Southern
sign of the zodiac|Aries,Taurus,Gemini,Cancer,Leo,Virgo,Libra,Scorpio,Sagittarius,Capricorn,Aquarius,Pisces
animal of the Chinese zodiac|Rat,Ox,Tiger,Rabbit,Dragon,Snake,Horse,Goat,Monkey,Rooster,Dog,Pig
Canadian province|Alberta,British Columbia,Manitoba,New Brunswick,Newfoundland and Labrador,Nova Scotia,Ontario,Prince Edward Island,Quebec,Saskatchewan
state of Germany|Baden-Wurttemberg,Bavaria,Berlin,Brandenburg,Bremen,Hamburg,Hesse,Lower Saxony,Mecklenburg-Vorpommern,North Rhine-Westphalia,Rhineland-Palatinate,Saarland,Saxony,Saxony-Anhalt,Schleswig-Holstein,Thuringia
state of Austria|Burgenland,Carinthia,Lower Austria,Salzburg,Styria,Tyrol,Upper Austria,Vienna,Vorarlberg
state of Australia|New South Wales,Queensland,South Australia,Tasmania,Victoria,Western Australia
region of Italy|Abruzzo,Basilicata,Calabria,Campania,Emilia-Romagna,Friuli Venezia Giulia,Lazio,Liguria,Lombardy,Marche,Molise,Piedmont,Apulia,Sardinia,Sicily,Tuscany,Umbria,Aosta Valley,Veneto
province of the Netherlands|Drenthe,Flevoland,Friesland,Gelderland,Groningen,Limburg,North Brabant,North Holland,Overijssel,South Holland,Utrecht,Zeeland
member state of the European Union|Austria,Belgium,Bulgaria,Croatia,Cyprus,Czechia,Denmark,Estonia,Finland,France,Germany,Greece,Hungary,Ireland,Italy,Latvia,Lithuania,Luxembourg,Malta,Netherlands,Poland,Portugal,Romania,Slovakia,Slovenia,Spain,Sweden
country of South America|Argentina,Bolivia,Brazil,Chile,Colombia,Ecuador,Guyana,Paraguay,Peru,Suriname,Uruguay,Venezuela
country of Central America|Belize,Costa Rica,El Salvador,Guatemala,Honduras,Nicaragua,Panama
country of Southeast Asia|Brunei,Cambodia,East Timor,Indonesia,Laos,Malaysia,Myanmar,Philippines,Singapore,Thailand,Vietnam
country of the G7|Canada,France,Germany,Italy,Japan,United Kingdom,United States
country of the United Kingdom|England,Northern Ireland,Scotland,Wales
Nordic country|Denmark,Finland,Iceland,Norway,Sweden
state of India|Andhra Pradesh,Arunachal Pradesh,Assam,Bihar,Chhattisgarh,Goa,Gujarat,Haryana,Himachal Pradesh,Jharkhand,Karnataka,Kerala,Madhya Pradesh,Maharashtra,Manipur,Meghalaya,Mizoram,Nagaland,Odisha,Punjab,Rajasthan,Sikkim,Tamil Nadu,Telangana,Tripura,Uttar Pradesh,Uttarakhand,West Bengal
state of Brazil|Acre,Alagoas,Amapa,Amazonas,Bahia,Ceara,Espirito Santo,Goias,Maranhao,Mato Grosso,Mato Grosso do Sul,Minas Gerais,Para,Paraiba,Parana,Pernambuco,Piaui,Rio de Janeiro,Rio Grande do Norte,Rio Grande do Sul,Rondonia,Roraima,Santa Catarina,Sao Paulo,Sergipe,Tocantins
state of Mexico|Aguascalientes,Baja California,Campeche,Chiapas,Chihuahua,Coahuila,Colima,Durango,Guanajuato,Guerrero,Hidalgo,Jalisco,Michoacan,Morelos,Nayarit,Nuevo Leon,Oaxaca,Puebla,Queretaro,Quintana Roo,San Luis Potosi,Sinaloa,Sonora,Tabasco,Tamaulipas,Tlaxcala,Veracruz,Yucatan,Zacatecas
Greek letter|alpha,beta,gamma,delta,epsilon,zeta,eta,theta,iota,kappa,lambda,mu,nu,xi,omicron,pi,rho,sigma,tau,upsilon,phi,chi,psi,omega
word of the NATO alphabet|Alfa,Bravo,Charlie,Delta,Echo,Foxtrot,Golf,Hotel,India,Juliett,Kilo,Lima,Mike,November,Oscar,Papa,Quebec,Romeo,Sierra,Tango,Uniform,Victor,Whiskey,X-ray,Yankee,Zulu
letter of the English alphabet|A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z
vowel|a,e,i,o,u
chess piece|king,queen,rook,bishop,knight,pawn
suit of cards|clubs,diamonds,hearts,spades
point of the compass|north,northeast,east,southeast,south,southwest,west,northwest
dwarf of Snow White|Doc,Grumpy,Happy,Sleepy,Bashful,Sneezy,Dopey
Beatle|John,Paul,George,Ringo
deadly sin|pride,greed,lust,envy,gluttony,wrath,sloth
human sense|sight,hearing,smell,taste,touch
base unit of the SI|second,metre,kilogram,ampere,kelvin,mole,candela
finger of a hand|thumb,index finger,middle finger,ring finger,little finger
Olympian god|Zeus,Hera,Poseidon,Demeter,Athena,Apollo,Artemis,Ares,Aphrodite,Hephaestus,Hermes,Dionysus
Galilean moon of Jupiter|Io,Europa,Ganymede,Callisto
side of a coin|heads,tails
era of geology|Paleozoic,Mesozoic,Cenozoic
emirate of the UAE|Abu Dhabi,Ajman,Dubai,Fujairah,Ras Al Khaimah,Sharjah,Umm Al Quwain
novel by Jane Austen|Sense and Sensibility,Pride and Prejudice,Mansfield Park,Emma,Northanger Abbey,Persuasion
Platonic solid|tetrahedron,cube,octahedron,dodecahedron,icosahedron
taste|sweet,sour,salty,bitter,umami
blood group|A,B,AB,O
"""
SETS = {kind: tuple(names.split(",")) for kind, names in (line.split("|") for line in _SETS.strip().splitlines())}
"""What a member is called -> all members."""

REQUESTS = (
    "Name a random {kind}.", "Pick a {kind} uniformly at random.", "Give one {kind}, each equally likely.",
    "Choose a {kind} at random and answer with its name.", "Name one {kind} by chance.", "Say any {kind}.",
    "Select a {kind} with equal probability. Answer with the name only.", "A random {kind}, please.",
    "Draw one of all {count}: which {kind}?", "Pick one of the {count} possibilities: {kind}.",
)  # fmt: skip
DESCRIPTIONS = (
    "Each output names a {kind}, all {count} equally likely.", "Outputs are drawn uniformly: {kind}.",
    "A uniform draw from every {kind}.", *REQUESTS,
)  # fmt: skip
_FAIR = (
    "Every possible answer is equally likely.", "Answers are drawn uniformly at random from all that fit.",
    "A fair generator answers each request: no answer is favored.", "Answer each request at random, without bias.",
)  # fmt: skip


def named_set(rng: np.random.Generator, index: int) -> Example:
    """Uniform draws: from one described set, from one set asked for without a description, or from a set per draw."""
    kinds = rng.permutation(list(SETS)).tolist()
    kind, case = kinds[0], rng.random()
    if case < 0.4:  # noqa: PLR2004
        outputs = rng.choice(SETS[kind], size=N_DRAWS).tolist()
        described = (say(rng, DESCRIPTIONS, kind),)
        return Example(process_id(index), described, tuple(Draw(None, o) for o in outputs), options=(SETS[kind],))
    if case < 0.6:  # noqa: PLR2004
        request = say(rng, REQUESTS, kind)
        outputs = rng.choice(SETS[kind], size=N_DRAWS).tolist()
        return Example(process_id(index), (), tuple(Draw(request, o) for o in outputs), options=(SETS[kind],))
    chosen = kinds[: rng.integers(2, 6, endpoint=True)]
    draws = tuple(Draw(say(rng, REQUESTS, kind), str(rng.choice(SETS[kind]))) for kind in chosen)
    described = (_FAIR[rng.integers(len(_FAIR))],) if case < 0.85 else ()  # noqa: PLR2004
    return Example(process_id(index), described, draws, options=tuple(SETS[kind] for kind in chosen))


def known_set(rng: np.random.Generator, index: int) -> Example:
    """A well-known set, of which each member is as likely; described, or asked for."""
    kind = pick(rng, tuple(SETS))
    members = SETS[kind]
    asked = bool(rng.random() < 0.4)  # noqa: PLR2004
    text = say(rng, REQUESTS if asked else DESCRIPTIONS, kind)
    target = Target(text if asked else None, members, (1 / len(members),) * len(members))
    return Example(process_id(index), () if asked else (text,), target=target)


def say(rng: np.random.Generator, patterns: tuple[str, ...], kind: str) -> str:
    """One of the patterns, filled in for a set."""
    text = patterns[rng.integers(len(patterns))].format(kind=kind, count=len(SETS[kind]))
    return text.replace(" a O", " an O").replace(" a a", " an a").replace(" a o", " an o").replace(" a e", " an e")


TASKS = [
    TaskSpec(
        name="named_sets",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Members of well-known finite sets, each named with the same probability.",
        process="one set, or one fair generator asked for a different set in each draw",
        inputs=("request",),
        outputs=("name",),
        sequences=Sequences("one"),
        generate=named_set,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
    training_target("named_sets", known_set, 400, "Well-known sets, each member as likely.", "one set"),
]
