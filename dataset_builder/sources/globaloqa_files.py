"""GlobalOpinionQA: the files that have shares of answers by country (how they are read: ``globaloqa_questions.py``).

Upstream: https://huggingface.co/datasets/Anthropic/llm_global_opinions (arXiv 2306.16388). Licence: CC BY-NC-SA 4.0.
Two benchmarks hold shares taken from its table; their files are read where the table is not there. A raw row (made up):

    How are you?,"defaultdict(<class 'list'>, {'Kenya': [0.29, 0.71]})","['Well', 'Ill']",GAS
"""

from __future__ import annotations

from dataset_builder.task_spec import Source, SourceFile

TABLE = "globaloqa/data/global_opinions.csv"
VITAL = "vital/dataset/vital_distributional_globalopinionqa.json"
ALIGNMENT = "global_values_bda/Global_Values/data/data.json"
_REVISION = "cb2880488749218abb81802a94c2c62ebfde2f35"
_HUB = "https://huggingface.co/datasets/Anthropic/llm_global_opinions"
_GITHUB = "https://raw.githubusercontent.com"
_VITAL_COMMIT = "7e4201cb3b491d705f1124bdcb763250a4e5db42"
_ALIGNMENT_COMMIT = "36869b56b214b5ddce13dc234d62b4cbce3706cd"

# The files lie in three folders of --sources-dir, so the source itself has none and every path begins with its own.
GLOBALOQA = Source(
    name="globaloqa",
    title="GlobalOpinionQA",
    homepage=_HUB,
    license="cc-by-nc-sa-4.0",
    redistributable="yes",
    creators="Esin Durmus and others, Anthropic",
    citation="arXiv 2306.16388",
    revision=_REVISION,
    files=(SourceFile(TABLE, f"{_HUB}/resolve/{_REVISION}/data/global_opinions.csv"),),
    other_layouts=(
        (SourceFile(VITAL, f"{_GITHUB}/anudeex/VITAL/{_VITAL_COMMIT}/{VITAL.partition('/')[2]}"),),
        (
            SourceFile(
                ALIGNMENT,
                f"{_GITHUB}/nicolemeister/benchmarking-distributional-alignment/{_ALIGNMENT_COMMIT}/"
                + ALIGNMENT.partition("/")[2],
                "1bde7f5612a57f3f15b0b2dc1b54cb501b3073b6383d5b5db980e1d7641d246d",
            ),
        ),
    ),
)
