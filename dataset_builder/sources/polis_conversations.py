"""The 20 conversations of the Polis open data that the suite uses, and their files.

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0. A raw row: see ``polis.py``.
"""

from __future__ import annotations

from dataset_builder.task_spec import Source, SourceFile

_REVISION = "0bc2ce0f32c673f68da20b57bce15c457aa787b5"

# Conversation -> sha256 of its summary.csv and comments.csv, where known.
CONVERSATIONS: dict[str, tuple[str | None, str | None]] = {
    "15-per-hour-seattle": (
        "7d7c5cb5baf3a4e2f81e041fd53eb12eac5837abf2a9c7b98c1cb0e03a4b2921",
        "23306ea084fbecf5e924e78da03b13cd3ad289e5f9b533b658b8caa59f5c1981",
    ),
    "american-assembly.bowling-green": (None, None),
    "austria-climate.2vkxcncppn.2022-07-07": (None, None),
    "austria-climate.5twd2jsnkf.2022-08-08": (None, None),
    "austria-climate.5tzfrp5eaa.2022-07-07": (None, None),
    "austria-climate.7z7ejpbmv5.2022-08-08": (None, None),
    "austria-climate.9xnndurbfm.2022-07-07": (None, None),
    "bg2050-volunteers": (None, None),
    "brexit-consensus": (
        "1ace30cbb65cca8f090e95e06dae15c4c24bd1328f6bc803108b4facc03c7ebf",
        "f9a341a6acadd8277458ed1ec1280508450dcc53f23cfdad9baf92a538bbd74c",
    ),
    "canadian-electoral-reform": (
        "75d5bf666fec281eb57a256d3179180b39e4da93d3d87b21b67afcf984d00333",
        "f3fca647a6b13e218a454f06a9f8c985a0a7b63d64daf277b6f0916cf6d54a5d",
    ),
    "football-concussions": (
        "d61aaf54a79d4572e18a1e40c258366752167b1a83a8df4b762ce20dbb65b71d",
        "80e4e937e6a308263bdf57eb608b3f6c9c3d1a936819dd554d9d647f63ced291",
    ),
    "london.youth.policing": (
        "1b635595cd0ba41f147064f9f09bc6c136aab497cb01425d76e36b96c98ae8e4",
        "61bdfdc160b0ff59f28d2823d9ccdd3472823df151ba9963f0035f723f7dcba7",
    ),
    "march-on.operation-marchin-orders": (None, None),
    "scoop-hivemind.affordable-housing": (None, None),
    "scoop-hivemind.biodiversity": (None, None),
    "scoop-hivemind.freshwater": (None, None),
    "scoop-hivemind.taxes": (None, None),
    "scoop-hivemind.ubi": (
        "8a17c635bc6685625ba8e59fc14eb5abf15e51dc33b040eef42bae05a17fe313",
        "f47dcf4fde68bd9da3fdff0981e62b6ec5d2673e8e82144fefd4c82ce8953a8e",
    ),
    "ssis.land-bank-farmland.2rumnecbeh.2021-08-01": (None, None),
    "vtaiwan.uberx": (
        "7ea950e1f02a20be471a89628bf90fdd54a32edb3e5578195283a6d8934eb688",
        "719de1220b72e1e2e323109a528f2685ce6e2eea006f7d5fa02c607eccbfa2d8",
    ),
}


def _file(path: str, sha256: str | None = None) -> SourceFile:
    return SourceFile(path, f"https://raw.githubusercontent.com/compdemocracy/openData/{_REVISION}/{path}", sha256)


_CASE_STUDIES = (
    "2014-seattle-15-per-hour", "2018-kentucky", "2022-Austria-Klimarat", "2017-brexit-consensus",
    "2016-canadian-electoral-reform", "2015-football-concussions", "2022-london-youth-policing", "2018-march-on",
    "2017-scoop-hivemind-affordable-housing", "2019-scoop-hivemind-biodiversity", "2017-scoop-hivemind-freshwater",
    "2018-scoop-hivemind-taxes", "2017-scoop-hivemind-ubi", "2021-san-juan-island", "2015-vtaiwan-uberx",
)  # fmt: skip
_ATTRIBUTION = (  # the wording that upstream's README asks for
    "Data was gathered using the Polis software (compdemocracy.org/polis) and is sub-licensed under CC BY 4.0 with "
    "Attribution to The Computational Democracy Project. The data and more information about how the data was "
    "collected can be found at the following link(s): "
    + ", ".join(f"https://compdemocracy.org/case-studies/{name}" for name in _CASE_STUDIES)
)

POLIS = Source(
    name="polis",
    title="Polis open data: online town-hall conversations",
    homepage="https://github.com/compdemocracy/openData",
    license="cc-by-4.0",
    redistributable="yes",
    creators="The Computational Democracy Project",
    attribution=_ATTRIBUTION,
    citation="The Computational Democracy Project, Polis open data, https://github.com/compdemocracy/openData",
    folder="polis",
    revision=_REVISION,
    files=tuple(
        file
        for name, (summary, comments) in CONVERSATIONS.items()
        for file in (
            _file(f"{name}/summary.csv", summary),
            _file(f"{name}/comments.csv", comments),
            _file(f"{name}/votes.csv"),
        )
    ),
    divisible=True,
)
