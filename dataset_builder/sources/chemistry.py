"""Chemistry tables: solubility in water of compounds (ESOL), and yields of the oxidative coupling of methane (OCM).

Upstream: https://github.com/ur-whitelab/BO-ICL (arXiv 2304.05341). Licence: MIT, by a badge. Raw rows (made up):

    Compound ID,measured log(solubility:mol/L),...,SMILES,SELFIES,InChI,IUPAC
    Examplol,-1.5,...,CCO,[C][C][O],InChI=1S/example,examplol
    ...,C2_yield,...,prompt
    ...,4.5,...," To make the catalyst Xy/SiO2 ..."

The whole files: 927 rows of ESOL, where 11 compounds come twice, 8 of them with another measured value (14 by their
InChI, 10 with another value); 1,016 experiments, no two of which are described alike.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import one_process
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_REVISION = "43d38efca6fd91116c7550625ffb7859b6185b54"
_ESOL_PATH = "paper/dataset/data/esol_iupac.csv"
_OCM_PATH = "paper/dataset/data/train_data_num_feats.csv"


def _files(path: str) -> tuple[SourceFile]:
    return (SourceFile(path, f"https://raw.githubusercontent.com/ur-whitelab/BO-ICL/{_REVISION}/{path}"),)


CHEMISTRY_ESOL = Source(
    name="chemistry_esol",
    title="ESOL aqueous solubility with IUPAC names",
    homepage="https://github.com/ur-whitelab/BO-ICL",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) the authors of BO-ICL; its README says MIT, a licence file it has not",),
    citation="arXiv 2304.05341",
    folder="chemistry",
    revision=_REVISION,
    files=_files(_ESOL_PATH),
)
CHEMISTRY_OCM = dataclasses.replace(
    CHEMISTRY_ESOL, name="chemistry_ocm", title="Oxidative coupling of methane experiments", files=_files(_OCM_PATH)
)

_NOTATIONS, _SOLUBILITY = ("SMILES", "SELFIES", "InChI", "IUPAC"), "measured log(solubility:mol/L)"
_PROMPT, _YIELD = "prompt", "C2_yield"


def read_esol(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The table of compounds as one process, in upstream order."""
    description = (
        "Each input is a chemical compound as SMILES, SELFIES and InChI and by its IUPAC name, as far as they are "
        "known. The output is its measured solubility in water: the logarithm to base 10 of mol/L."
    )
    return one_process("esol", description, _items(raw_files[_ESOL_PATH], _NOTATIONS, _SOLUBILITY))


def read_ocm(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The table of experiments as one process, in upstream order."""
    description = (
        "Chemistry experiments: each input tells how a catalyst for the oxidative coupling of methane was made and how "
        "the reaction was run. The output is the yield of C2 products in percent."
    )
    return one_process("ocm", description, _items(raw_files[_OCM_PATH], (_PROMPT,), _YIELD))


def _items(path: Path, inputs: tuple[str, ...], output: str) -> Iterator[Draw | Dropped]:
    table = raw.read_csv(path, {**dict.fromkeys(inputs, pl.String), output: pl.Float64})
    for row, (*texts, value) in enumerate(table.iter_rows(), start=1):
        given = {name: text.strip() for name, text in zip(inputs, texts, strict=True) if text and text.strip()}
        if value is not None and not math.isfinite(value):
            raise raw.bad_row(path, row, f"column {output!r} holds {value}, which is not a measured value")
        if value is None or not given:
            yield Dropped("input or measured value is empty")
        else:
            text = json.dumps(given, ensure_ascii=False) if len(inputs) > 1 else given[inputs[0]]
            yield Draw(text, str(value))


def _task(source: Source, name: str, summary: str, **fields: Any) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="icl",
        split="test",
        source=source,
        group="capability",
        summary=summary,
        process="the whole table",
        domain="Sciences",
        **fields,
    )


TASKS = [
    _task(
        CHEMISTRY_ESOL,
        "chemistry_esol",
        "The measured solubility of a compound from its notations.",
        inputs=_NOTATIONS,
        outputs=(_SOLUBILITY,),
        sequences=Sequences("partition", 15),
        read=read_esol,
        quirks="Each measurement is in one row, and a compound that was measured twice in two; the release cuts the "
        "table five times. A notation that the table lacks is left out.",
    ),
    _task(
        CHEMISTRY_OCM,
        "chemistry_oxidative",
        "The yield of a chemistry experiment from its conditions in prose.",
        inputs=(_PROMPT,),
        outputs=(_YIELD,),
        sequences=Sequences("partition", 10),
        read=read_ocm,
    ),
]
