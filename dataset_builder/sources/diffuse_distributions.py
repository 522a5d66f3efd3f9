"""Sets from which language models are asked to draw at random: countries, dates, fruits, numbers, made-up people.

Upstream: https://github.com/y0mingzhang/diffuse-distributions (arXiv 2404.10859). Licence: MIT. A raw file (made up):

    {"request": "Name a colour at random. Output only the colour between two curly braces, like this: {colour}.",
     "response": [""], "targets": ["{Red}", "{Green}", "{Blue}"]}

The whole files: 28, of which ``ficticious-people/ficticious-people.json`` has no targets; no target comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_REVISION = "7170ab056d790fb3f209a3f5cca2dffe59266996"
_REPOSITORY = "y0mingzhang/diffuse-distributions"
_SHA256 = {
    "baby-names/train.json": "923c3343fc4627addfc2c85675f53fec12236633b09362dd880e322b70a38017",
    "continent-countries/africa.json": "bc694cce7ae59d119a882b1a14ecbc51d09729f23d36981af948c9d424ef1c9b",
    "continent-countries/asia.json": "28055deb0679d99072bade4594b6a97f536d84a54577ebc5fd1be82e80c6a80a",
    "continent-countries/europe.json": "c02b68b6fcf1cb83410c15b6f47e60645959f4d77bdb2341e3baec04f37d5080",
    "continent-countries/north-america.json": "968b34b19eeaf48a8d3fe3ef5835de67ec5846727409415def8bad967b4e3678",
    "continent-countries/oceania.json": "98a1c9cf40b76ff804ce410874e427adcc97413cf8ff9b8181f9b0cce1c6ec76",
    "continent-countries/south-america.json": "3808a138ae81f5c883322e493ec3558dba6cfdde9c77f129f9de5df8a838843c",
    "day-date/day-0.json": "187b1630d6013dae9491888d05509c9612ce5d552ff4c6cedd2d4f485813b4c6",
    "day-date/day-1.json": "a47b04b29dedda8b75c7111e36e4689005549419e45c986b07bcfd832465f6fb",
    "day-date/december-0.json": "ccd52270fd2c4375fbef98c971ae02bdfc94e5117e58edce1ce87872b3f3bec5",
    "day-date/december-1.json": "faab2b11a4b7e23198015e294c57998026c128c39b35b927a6b0474c0e6ba5b6",
    "day-date/june-0.json": "c011483b8117d28ef0e2296f58eb6c212392a49fcd88a331b5a6becc43d78a29",
    "day-date/june-1.json": "07964358547aa628afcc0bf3872b44edef5822e6f936bc238c415782e7ad19ed",
    "ficticious-people/ficticious-people-train.json": "259ddeced42663085eebce74881b045e2cd22c80c83d989ab45f5fcebd3b486e",  # noqa: E501
    "ficticious-people/ficticious-people.json": "0422d034aa762018b2ad3bf0c48fbe3a41ad6ac170a6a30512eda43f9a6a25e4",
    "fruits/fruit-0.json": "c10c19e6b90b973e571003981fd4a072c74009368bda1e81c81115007462f294",
    "fruits/fruit-1.json": "c887c0e1793d3a124c798715725bdb05756c55d7237649db2a09e391cf06b43b",
    "numbers/even-0.json": "c3285d814a72c0f8a20df401be479a07144b1c4cf84b648bd7ba0952e01d5444",
    "numbers/even-1.json": "b47e8cc4d7060fa3cd1e84d596b950be1eb4a4a05d512f30a2ce010dcd9d0d5b",
    "numbers/odd-0.json": "1fafe0c7db57364fe56a1f26651759059b565e5a06bce363caa440a7d36ca1f9",
    "numbers/odd-1.json": "6fe13ee770c6fb22b23515a962cb3c0c3c53f2f483a37b224a717dadfc0c6c4b",
    "numbers/prime-0.json": "c17cac24826a25906a2ad5f5c4fdec85f4ed29cccf20303f3af536bcc13d193b",
    "numbers/prime-1.json": "3c93749b3e04657560a43bc375d86930e033b2a8b1cda41d5abf6ed1d3f57caa",
    "numbers/rng-0.json": "2991b35518df2f87e5f52d8736c5a8e6931b40cdb89d8c39e2a6d9a8a0c9a9de",
    "numbers/rng-1.json": "7e9f0e671a917599b46ed0601e1685983f935214af4cd781123fd31f8baab9ba",
    "occupations/occupations-0.json": "0d5a2c3bf25733a739917268e2e9ab9a4915db3e57c039d7082218b91f8e1b50",
    "occupations/occupations-1.json": "393f425b04a8d94d732893b4f5a5acd8de1d9265b0f47030350ecc9ef205dc25",
    "occupations/occupations-2.json": "91bf1dc75e4868327826798dee6982d7bc1368c8d438cf8388fcc21abd7c2294",
}

DIFFUSE_DISTRIBUTIONS = Source(
    name="diffuse_distributions",
    title="Forcing Diffuse Distributions: prompts with target lists",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2024 Yiming Zhang",),
    citation="arXiv 2404.10859",
    folder="diffuse_distributions",
    revision=_REVISION,
    files=tuple(
        SourceFile(
            f"prompts/{path}", f"https://raw.githubusercontent.com/{_REPOSITORY}/{_REVISION}/prompts/{path}", sha256
        )
        for path, sha256 in _SHA256.items()
    ),
    divisible=True,
)

_FIRST_SENTENCE = re.compile(r".+?\.(?=\s|$)", re.DOTALL)
_MARKS = str.maketrans({"{": "", "}": "", "\u200b": "", "\n": " "})


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per file with targets, in the order of the paths."""
    for name, path in raw.matching(raw_files, "prompts/*.json"):
        with raw.at_row(path, 1):
            request, targets = _fields(raw.read_json(path))
        items = [target.translate(_MARKS).strip() for target in targets]
        draws = tuple(Draw(None, item) for item in dict.fromkeys(items) if item)
        if len(draws) < len(items):
            yield Dropped("target that is blank or repeated", len(items) - len(draws))
        if draws:
            yield Example(name.removeprefix("prompts/").removesuffix(".json"), _descriptions(path, request), draws)
        else:
            yield Dropped("file without targets")


def _fields(content: object) -> tuple[str, list[str]]:
    if not isinstance(content, dict):
        raise TypeError(f"it is not a JSON object but {type(content).__name__}")
    request, targets = content["request"], content["targets"]
    if not isinstance(request, str) or not isinstance(targets, list):
        raise TypeError("'request' is not text or 'targets' is not a list")
    if not all(isinstance(target, str) for target in targets):
        raise TypeError(f"'targets' holds something that is not text: {targets!r}")
    return request, targets


def _descriptions(path: Path, request: str) -> tuple[str, ...]:
    if not (sentence := _FIRST_SENTENCE.match(request.strip())):
        raise raw.bad_row(path, 1, f"the request {request!r} has no whole sentence")
    return (
        f"{sentence[0]} No answer comes twice: draws are without replacement.",
        f"{sentence[0]} (Drawn without replacement.)",
    )


TASKS = [
    TaskSpec(
        name="diffuse_distribution",
        kind="icl",
        split="train",
        source=DIFFUSE_DISTRIBUTIONS,
        group="text_collections",
        summary="Members of a finite set, drawn evenly and without replacement.",
        process="one request with its set of answers",
        outputs=("item",),
        sequences=Sequences("several", count=10),
        read=read,
        quirks="The lines of a made-up person's data are joined by spaces; the release joins them without any.",
    )
]
