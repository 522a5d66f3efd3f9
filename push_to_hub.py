"""Publish a dataset, a metric, a model and more on a Hub: whole or not at all, and loaded back as a stranger would.

The built suite, all tasks that may be passed on, in one commit:

    python push_to_hub.py dataset spectrum-suite --repo-id ORG/spectrum-suite

A metric, as a Space that `evaluate.load` reads:

    python push_to_hub.py metric metrics/spectrum_alignment --repo-id ORG/spectrum_alignment

An adapter that train_sft.py left, with its evaluation; or merged into its base model:

    python push_to_hub.py model outputs/quickstart/adapter --repo-id ORG/urns --dataset ORG/spectrum-suite
    python push_to_hub.py model outputs/quickstart/adapter --repo-id ORG/urns-merged --merge

The three-rule adapter, which `generate(custom_generate=...)` runs:

    python push_to_hub.py rule-adapter --repo-id ORG/rule-adapter

The playground, as a Space with two models of the Hub:

    python push_to_hub.py space demo --repo-id ORG/playground --tuned ORG/urns

What would be sent, and nothing sent:

    python push_to_hub.py dataset spectrum-suite --repo-id ORG/spectrum-suite --dry-run

A token comes from HF_TOKEN or 'hf auth login'. Interrupted? The same command does what is left.
"""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import constants, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from dataset_builder.errors import UserError, exit_on_user_error
from spectrum.hub.answers import set_time_limits
from spectrum.hub.dataset import dataset_publication
from spectrum.hub.metric import metric_publication
from spectrum.hub.model_options import ModelOptions
from spectrum.hub.plan import Plan, Publication, Remote
from spectrum.hub.publish import PushOptions, preview, push
from spectrum.hub.remote import MAIN
from spectrum.hub.space import space_publication
from spectrum.hub.verify import load_back

logger = logging.getLogger("push_to_hub")


def main(arguments: Namespace) -> None:
    """Check the arguments, look at what is to be published, then show it or push it and load it back."""
    check(arguments)
    if arguments.kind == "model" and arguments.card_only:
        write_card(arguments)
        return
    set_time_limits()
    with ExitStack() as arguments.scratch:
        publish(arguments.prepare(arguments), arguments)


def publish(publication: Publication, arguments: Namespace) -> None:
    """Show a publication, or push it."""
    options = PushOptions(
        private=arguments.private,
        revision=arguments.revision,
        create_pr=arguments.create_pr,
        message=arguments.message,
        overwrite=arguments.overwrite,
        remove_tasks=getattr(arguments, "remove_tasks", False),
    )
    for note in publication.notes:
        logger.info("%s", note)
    token = get_token()
    if arguments.dry_run:
        show(publication, *preview(publication, options, token))
        return
    if not token:
        raise UserError("no token: log in with 'hf auth login', or set HF_TOKEN")
    published = push(publication, options, token)
    for note in published.notes:
        logger.info("%s", note)
    done = "published" if published.changed else "nothing to change"
    where = published.pull_request or f"{constants.ENDPOINT}, commit {published.commit[:8]}"
    logger.info("%s: %s at %s", publication.repository, done, where)
    lines = load_back(publication, published, token)
    logger.info("loaded back from the Hub in a clean cache: %d checks, the last '%s'", len(lines), lines[-1])


def show(publication: Publication, remote: Remote, plan: Plan) -> None:
    """Every file, its size and what would happen to it."""
    there = f"at commit {remote.commit[:8]}" if remote.commit else "new"
    logger.info("%s (%s)", publication.repository, there)
    for change in plan.changes:
        logger.info("%s", change)
    counts = ", ".join(
        f"{len(plan.names(action))} to {action}" for action in ("add", "update", "replace", "delete", "keep")
    )
    logger.info("%s; %s bytes to send in one commit; nothing was sent", counts, f"{plan.upload_bytes:,}")


def check(arguments: Namespace) -> None:
    """Refuse what can be seen to be wrong before anything is read."""
    names = [arguments.repo_id, *(getattr(arguments, option, None) for option in ("dataset", "base", "tuned"))]
    for name in names:
        if not name or name.startswith("embedded:"):
            continue
        try:
            validate_repo_id(name)
        except HFValidationError as error:
            raise UserError(f"repository name {name!r} is not valid: use ORG/NAME") from error
        if name.count("/") != 1:
            raise UserError(f"repository name {name!r} has no owner: use ORG/NAME")
    if arguments.create_pr and arguments.revision != MAIN:
        raise UserError("--create-pr opens a pull request to main: leave --revision out")


def prepare_dataset(arguments: Namespace) -> Publication:
    """What is published of a suite."""
    return dataset_publication(
        arguments.path,
        arguments.repo_id,
        include_unlicensed=arguments.include_unlicensed,
        allow_failed=arguments.allow_failed,
    )


def prepare_metric(arguments: Namespace) -> Publication:
    """What is published of a metric."""
    return metric_publication(arguments.path, arguments.repo_id)


def prepare_model(arguments: Namespace) -> Publication:
    """What is published of a model."""
    from spectrum.hub.model import model_publication  # noqa: PLC0415 - it needs `torch`, which takes seconds

    scratch = Path(arguments.scratch.enter_context(TemporaryDirectory(prefix="spectrum-merge-")))
    return model_publication(arguments.path, arguments.repo_id, model_options(arguments), scratch)


def prepare_space(arguments: Namespace) -> Publication:
    """What is published of the playground."""
    return space_publication(arguments.path, arguments.repo_id, base=arguments.base, tuned=arguments.tuned)


def prepare_rule_adapter(arguments: Namespace) -> Publication:
    """What is published of the three-rule adapter."""
    from spectrum.hub.rule_adapter_repo import rule_adapter_publication  # noqa: PLC0415

    return rule_adapter_publication(arguments.repo_id)


def write_card(arguments: Namespace) -> None:
    """Write the card that a model would be published with."""
    from spectrum.hub.model import model_card  # noqa: PLC0415

    arguments.card_only.parent.mkdir(parents=True, exist_ok=True)
    model_card(arguments.path, arguments.repo_id, model_options(arguments)).save(arguments.card_only)
    logger.info("card: %s", arguments.card_only)


def model_options(arguments: Namespace) -> ModelOptions:
    """How a model is published."""
    return ModelOptions(
        reports=tuple(arguments.report),
        without_report=arguments.without_report,
        merge=arguments.merge,
        suite=arguments.suite,
        dataset=arguments.dataset,
        base_model=arguments.base_model,
        license_name=arguments.license,
        license_link=arguments.license_link,
    )


def parser() -> ArgumentParser:
    """The command line."""
    command = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    kinds = command.add_subparsers(dest="kind", required=True, metavar="dataset|metric|model|space|rule-adapter")
    dataset = _with_folder(_kind(kinds.add_parser, "dataset", "a built suite", prepare_dataset))
    dataset.add_argument(
        "--include-unlicensed",
        action="store_true",
        help="publish tasks whose source does not say whether it may be passed on, too",
    )
    dataset.add_argument(
        "--allow-failed", action="store_true", help="publish the others when some tasks failed to build"
    )
    dataset.add_argument("--remove-tasks", action="store_true", help="remove tasks on the Hub that the suite lacks")
    _with_folder(_kind(kinds.add_parser, "metric", "a metric of metrics/", prepare_metric))
    space = _with_folder(_kind(kinds.add_parser, "space", "the playground of demo/", prepare_space))
    space.add_argument("--base", metavar="ORG/NAME", help="its base model (default: what the tuned one is made from)")
    space.add_argument("--tuned", metavar="ORG/NAME", help="its tuned model or adapter; SPECTRUM_TUNED changes it")
    _kind(kinds.add_parser, "rule-adapter", "the code of the three-rule adapter", prepare_rule_adapter)
    model = _with_folder(_kind(kinds.add_parser, "model", "an adapter of train_sft.py", prepare_model))
    add = model.add_argument
    add("--merge", action="store_true", help="publish the base model with the adapter merged into it")
    add("--report", type=Path, nargs="+", default=[], help="report.json or summary.json (default: where they are left)")
    add("--without-report", action="store_true", help="publish a model that nobody has measured")
    add("--suite", type=Path, help="the suite that was trained on (default: the folder in the training report)")
    add("--dataset", metavar="ORG/NAME", help="that suite on the Hub")
    add("--base-model", metavar="ORG/NAME", help="the base model on the Hub, if a folder was tuned")
    add("--license", help="the base model's licence as the Hub calls it; known for embedded models")
    add("--license-link", help="where its terms are")
    add("--card-only", type=Path, metavar="FILE", help="write the card there, and do nothing else")
    return command


def _kind(
    add: Callable[..., ArgumentParser], name: str, what: str, prepare: Callable[[Namespace], Publication]
) -> ArgumentParser:
    """The options that all have."""
    command = add(name, help=what)
    command.set_defaults(prepare=prepare)
    command.add_argument("--repo-id", required=True, metavar="ORG/NAME", help="the repository, made if it is not there")
    command.add_argument("--private", action="store_true", help="make a new repository private")
    command.add_argument("--revision", default=MAIN, help="the branch, made from main if it is not there")
    command.add_argument("--create-pr", action="store_true", help="open a pull request instead of writing to main")
    command.add_argument("--dry-run", action="store_true", help="show every file, size and action, and send nothing")
    command.add_argument("--message", help="the summary of the commit")
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace and delete files that no earlier push made, or that were changed since; each is named",
    )
    return command


def _with_folder(command: ArgumentParser) -> ArgumentParser:
    command.add_argument("path", type=Path, metavar="PATH", help="its folder")
    return command


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    for name in ("push_to_hub", "spectrum"):
        logging.getLogger(name).setLevel(logging.INFO)
    with exit_on_user_error():
        main(parser().parse_args())
