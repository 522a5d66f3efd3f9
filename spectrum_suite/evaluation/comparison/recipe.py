"""A recipe of runs: which models are measured on what, so that one command sets them side by side.

title: Gemma 3 270M
suite: spectrum-suite
build: python -m dataset_builder build --tasks synthetic --output spectrum-suite    # with --train_missing
settings: {seed: 42}                    # of every evaluation; names are those of EvaluationSettings
measure:                                # desideratum -> its settings
  alignment: {tasks: [dist_urn, dist_states], limit: 100}
  steerability: {tasks: [all], limit: 20, max_length: 384}
choose:                                 # training tasks, on which a run with several formats finds its best one
  steerability: {tasks: [polis_vote], limit: 10}
runs:
  - {name: base, group: base, model: "embedded:gemma-3-270m", formats: [colon, chat]}
  - name: spectrum
    group: spectrum
    model: outputs/spectrum/{seed}
    seeds: [1, 2, 3]
    train: python train_sft.py --config recipes/spectrum.yaml --seed {seed} --output_dir outputs/spectrum/{seed}
one_table: {title: Do I need to tune?, measures: [js_divergence, yield, loss]}    # of all runs, before the others
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import KINDS, ON_DATA
from spectrum_suite.evaluation.comparison.measures import MEASURES
from spectrum_suite.evaluation.measured_tasks import tasks_of
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.shipped import shipped
from spectrum_suite.suite import task_infos
from spectrum_suite.yaml_entries import Entries, Kind, read_entries, unknown

GROUPS = (
    "base", "instruction-tuned", "spectrum", "ablation", "response-tuned", "single-task", "rules", "markers",
)  # fmt: skip
"""What a run is an example of."""

ABLATIONS = (
    "description_dropout", "all_tokens", "last_output", "first_output", "permutation", "trained_embeddings",
)  # fmt: skip
"""What an ablation leaves out or does otherwise."""

MEASURED = (*KINDS, *ON_DATA)
"""The desiderata that runs are compared on."""

CRITERIA = {
    "steerability": "the mean loss of an output",
    "alignment": "the mean divergence, with all that is not an answer as one more answer",
}
"""Desideratum by which a format can be chosen -> its score on training tasks, lower is better. A model that hardly ever
gives one of the answers has a divergence, too, of what little it gives them: so the rest counts."""

LABELLED = "+label"
"""After a format's name: each task's own label is written in place of ``Output``."""

_KINDS: Mapping[str, Kind] = {
    "title": str, "suite": str | None, "measure": dict, "runs": list, "settings": dict | None, "choose": dict | None,
    "build": str | list | None, "optional": list | None, "one_table": dict,
}  # fmt: skip
_RUN_KINDS: Mapping[str, Kind] = {
    "name": str, "group": str, "model": str, "formats": list, "seeds": list, "train": str | None,
    "against": str | None, "ablates": str | None, "measure": list, "settings": dict | None,
}  # fmt: skip
_SEED = "{seed}"
_OWN = {"model", "output", "desiderata", "text_format", "task_labels", "compare", "suite"}
"""Settings that a recipe gives in a place of their own."""


@dataclass(frozen=True)
class Run:
    """One way to make a model, measured once or, with several seeds, several times.

    Attributes:
        name: Its name on the page.
        group: One of :data:`GROUPS`.
        model: A path, a Hub id or an embedded model; ``{seed}`` in it, in ``train`` and in ``settings`` stands
            for each of the seeds.
        formats: How it may be asked; of several, the best on training tasks is taken.
        seeds: Of its trainings; none for a model that is there once.
        train: The command that trains it; it is on the page, and ``--train_missing`` runs it.
        against: An earlier run that this one is compared with, item by item; for an ablation its counterpart, the run
            that does everything as the method says.
        ablates: What an ablation leaves out, one of :data:`ABLATIONS`.
        measure: The desiderata that it is measured on; all of the recipe where none is named.
        settings: What is set otherwise for this run alone.
    """

    name: str
    group: str
    model: str
    formats: tuple[str, ...] = ("auto",)
    seeds: tuple[int, ...] = ()
    train: str | None = None
    against: str | None = None
    ablates: str | None = None
    measure: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def models(self) -> dict[int | None, str]:
        """Seed -> the model that was trained with it; None for the only one."""
        return {seed: self.model.replace(_SEED, str(seed)) for seed in self.seeds} or {None: self.model}

    def settings_of(self, seed: int | None) -> dict[str, Any]:
        """What is set otherwise for the model of a seed."""
        return {
            name: type(value)(str(value).replace(_SEED, str(seed))) if isinstance(value, str | Path) else value
            for name, value in self.settings.items()
        }

    @property
    def before(self) -> str | None:
        """The run that this one is set against before and after tuning; None for an ablation."""
        return None if self.ablates else self.against


@dataclass(frozen=True)
class OneTable:
    """A table of all runs.

    Attributes:
        title: What it answers.
        measures: Its columns, of :data:`spectrum_suite.evaluation.comparison.measures.MEASURES`.
    """

    title: str
    measures: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """Runs of one base model, and what they are measured on.

    Attributes:
        path: The file.
        title: What the page is called.
        suite: The suite; None where all is measured on instruction data.
        settings: Of every evaluation.
        measure: Desideratum -> settings of its evaluation.
        choose: The same, of the evaluations by which formats are chosen.
        runs: The runs.
        build: The commands that build the suite or annotate data, for ``--train_missing``.
        optional: Tasks that are measured only where the suite has them.
        one_table: The title and the measures of a table that answers the question of the recipe, if it has one.
    """

    path: Path
    title: str
    suite: str | None
    settings: Mapping[str, Any]
    measure: Mapping[str, Mapping[str, Any]]
    choose: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    build: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    one_table: OneTable | None = None

    def measured(self, run: Run) -> tuple[str, ...]:
        """The desiderata that a run is measured on."""
        return tuple(name for name in self.measure if name in (run.measure or self.measure))

    def evaluation(
        self,
        desideratum: str,
        run: Run,
        model: str,
        text_format: str,
        output: Path,
        *,
        seed: int | None = None,
        choosing: bool = False,
        compare: Path | None = None,
    ) -> EvaluationSettings:
        """The settings of one evaluation of a run's model, which may be compared with an earlier report."""
        part = (self.choose if choosing else self.measure)[desideratum]
        name, labelled = text_format.removesuffix(LABELLED), text_format.endswith(LABELLED)
        return EvaluationSettings(
            model=model,
            suite=self.suite,
            output=output,
            desiderata=(desideratum,),
            text_format=name,
            task_labels=labelled,
            compare=compare,
            **{**self.settings, **part, **run.settings_of(seed)},
        )

    def criterion(self, desideratum: str) -> str:
        """The desideratum whose training tasks choose the format: its own, or the first that has any."""
        return desideratum if desideratum in self.choose else next(iter(self.choose))

    def without_missing_tasks(self) -> Recipe:
        """The same recipe without those of its optional tasks that the suite does not have."""
        if not self.optional:
            return self
        missing = set(self.optional) - task_infos(self.suite, ["all"]).keys()
        measure = {
            desideratum: part | {"tasks": tuple(task for task in part["tasks"] if task not in missing)}
            if "tasks" in part
            else part
            for desideratum, part in self.measure.items()
        }
        return replace(self, measure=measure)


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        UserError: There is no such file, or something in it is missing, unknown or does not fit.
    """
    path = Path(shipped(path))
    content = read_entries(path, "recipe", "see recipes/results for some")
    content.check(_KINDS, needed=("title", "measure", "runs"))
    recipe = Recipe(
        path=path,
        title=content["title"],
        suite=content.get("suite"),
        settings=_settings(content.get("settings")),
        measure=_parts(content["measure"], MEASURED),
        choose=_parts(content.get("choose"), CRITERIA),
        runs=tuple(_run(content.at("runs"), run) for run in content["runs"]),
        build=_several(content.get("build")),
        optional=tuple(content.get("optional") or ()),
        one_table=_one_table(content["one_table"]) if "one_table" in content else None,
    )
    _check_runs(f"recipe {str(path)!r}", recipe)
    return recipe


def check_tasks(recipe: Recipe) -> None:
    """Refuse tasks that are not there, and formats chosen on tasks that are held out.

    Raises:
        UserError: One of both.
    """
    measured: set[str] = set()
    if recipe.suite is None and {*recipe.measure, *recipe.choose} & KINDS.keys():
        raise UserError(f"recipe {str(recipe.path)!r}: tasks are those of a suite: give its 'suite'")
    for desideratum, part in recipe.measure.items():
        if desideratum in KINDS:
            measured |= set(tasks_of(recipe.suite, part.get("tasks", ("all",)), [desideratum])[desideratum])
        elif not part.get("data"):
            raise UserError(
                f"recipe {str(recipe.path)!r}: {desideratum} is measured on instruction data: give its 'data'"
            )
    for desideratum, part in recipe.choose.items():
        tasks = part.get("tasks", ())
        if not tasks or "all" in tasks:
            raise UserError(f"recipe {str(recipe.path)!r}, choose: name the training tasks of {desideratum}")
        for task in tasks_of(recipe.suite, tasks, [desideratum])[desideratum]:
            if task in measured or (desideratum == "steerability" and task_infos(recipe.suite, [task])[task].held_out):
                raise UserError(
                    f"recipe {str(recipe.path)!r}: {task!r} is held out, so no format may be chosen on it: name others"
                )


def _run(place: str, content: Any) -> Run:
    if not isinstance(content, Entries):
        raise UserError(f"{place}: {content!r} is not a run: give its name, group and model")
    content.check(_RUN_KINDS, needed=("name", "group", "model"))
    where = f"{content.place}: run {content['name']!r}"
    run = Run(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
        | {"settings": _settings(content.get("settings"))}
    )
    _check_known(where, "group", run.group, GROUPS)
    for text_format in run.formats:
        _check_known(where, "format", text_format.removesuffix(LABELLED), ("auto", *ALL_FORMATS))
    if run.ablates is not None:
        _check_known(where, "ablation", run.ablates, ABLATIONS)
    if (run.group == "ablation") != (run.ablates is not None):
        raise UserError(f"{where}: an ablation, and nothing else, says what it 'ablates'")
    if bool(run.seeds) != (_SEED in run.model):
        raise UserError(f"{where}: 'seeds' go with a {_SEED} in its model {run.model!r}")
    return run


def _several(commands: str | list[str] | None) -> tuple[str, ...]:
    """One command, or a list of them."""
    return (commands,) if isinstance(commands, str) else tuple(commands or ())


def _one_table(content: Entries) -> OneTable:
    content.check({"title": str, "measures": list}, needed=("title", "measures"))
    for name in content["measures"]:
        _check_known(content.at("measures"), "measure", name, MEASURES)
    return OneTable(content["title"], tuple(content["measures"]))


def _check_runs(where: str, recipe: Recipe) -> None:
    names = [run.name for run in recipe.runs]
    for run in recipe.runs:
        for desideratum in run.measure:
            _check_known(f"{where}, run {run.name!r}", "desideratum that is measured", desideratum, recipe.measure)
        if names.count(run.name) > 1:
            raise UserError(f"{where} has two runs {run.name!r}: give each a name of its own")
        if len(run.formats) > 1 and not recipe.choose:
            raise UserError(
                f"{where}, run {run.name!r} has several formats: say in 'choose' on which tasks it is asked"
            )
        if run.ablates and run.against is None:
            raise UserError(f"{where}, run {run.name!r} is an ablation: name its counterpart in 'against'")
        if run.against is not None:
            _check_known(f"{where}, run {run.name!r}", "run", run.against, names)
        if run.before and run.before not in names[: names.index(run.name)]:
            raise UserError(f"{where}, run {run.name!r} is compared with {run.before!r}: list that run before it")
        other = next((other for other in recipe.runs if other.name == run.before), run)
        if not_there := set(recipe.measured(run)) - set(recipe.measured(other)):
            raise UserError(
                f"{where}, run {run.name!r} is compared with {other.name!r}, which is not measured on "
                f"{', '.join(sorted(not_there))}: measure both on the same"
            )


def _parts(content: Entries | None, known: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    if content is None:
        return {}
    content.check(dict.fromkeys(known, dict | None))
    return {name: _settings(part) for name, part in content.items()}


def _settings(content: Entries | None) -> dict[str, Any]:
    """Settings of an evaluation, each of the type that it has there."""
    if content is None:
        return {}
    hints = {name: hint for name, hint in get_type_hints(EvaluationSettings).items() if name not in _OWN}
    content.check({name: _kind(hint) for name, hint in hints.items()})
    return {name: _setting(hints[name], value) for name, value in content.items()}


def _kind(hint: Any) -> Kind:
    """What YAML has for a value of that type."""
    types = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = [get_origin(each) or each for each in types]
    return reduce(or_, [{tuple: list, Mapping: dict, Path: str}.get(kind, kind) for kind in kinds])


def _setting(hint: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if isinstance(value, str) and Path in get_args(hint) else value


def _check_known(where: str, what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UserError(f"{where}: {unknown(name, known, what)}")
