"""`spectrum-suite push` and `push_to_hub.py`: whole or not at all, and verified from a clean cache."""

from __future__ import annotations

import logging
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.parser import Parser, as_called, parse_pairs

# What takes seconds to import is imported where it is used: help comes at once.
if TYPE_CHECKING:
    from spectrum_suite.hub.model import ModelOptions
    from spectrum_suite.hub.push_plan import Plan, Publication, Remote

logger = logging.getLogger(__name__)

ABOUT = """\
Publish a dataset, a metric, a model and more on a Hub, in one commit, and verify it from a clean cache.

The built suite, all tasks that may be redistributed, in one commit:

    python push_to_hub.py dataset spectrum-suite --repo_id ORG/spectrum-suite

A metric, as a Space that `evaluate.load` reads:

    python push_to_hub.py metric metrics/spectrum_alignment --repo_id ORG/spectrum_alignment

An adapter of train_sft.py, with its evaluation; or merged into its base model:

    python push_to_hub.py model outputs/quickstart/adapter --repo_id ORG/urns --dataset ORG/spectrum-suite
    python push_to_hub.py model outputs/quickstart/adapter --repo_id ORG/urns-merged --merge

The three-rule adapter, which `generate(custom_generate=...)` runs:

    python push_to_hub.py rule-adapter --repo_id ORG/rule-adapter

The playground, as a Space with two models from the Hub:

    python push_to_hub.py space demo --repo_id ORG/playground --tuned ORG/urns

A dry run, which sends nothing:

    python push_to_hub.py dataset spectrum-suite --repo_id ORG/spectrum-suite --dry_run

The token is that of HF_TOKEN or 'hf auth login'. Interrupted? The same command resumes.
"""

MAIN = "main"
_TERMINATED = 143


def main(words: Sequence[str], program: str = "push_to_hub.py") -> None:
    """Publish what the words of a command line say; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error(), told_in_a_line():
        signal.signal(signal.SIGTERM, end)
        configure_logging()
        run(parser(program).parse_args(words))


def run(arguments: Namespace) -> None:
    """Check the arguments, look at what is to be published, then show it, or push and verify it."""
    check(arguments)
    set_time_limits()
    if arguments.kind == "model" and arguments.card_only:
        write_card(arguments)
        return
    with ExitStack() as arguments.scratch:
        publish(arguments.prepare(arguments), arguments)


def set_time_limits() -> None:
    """Give up on a Hub that does not answer."""
    from spectrum_suite.hub import connection  # noqa: PLC0415

    connection.set_time_limits()


def get_token() -> str | None:
    """The user's token.

    Raises:
        UserError: It cannot be one: no request could carry it.
    """
    import huggingface_hub  # noqa: PLC0415

    token = huggingface_hub.get_token()
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError("the token has characters in it that no token has: copy it again, with nothing around it")
    return token


def publish(publication: Publication, arguments: Namespace) -> None:
    """Show a publication, or push it."""
    from huggingface_hub import constants  # noqa: PLC0415

    from spectrum_suite.hub.publish import PushOptions, preview, push  # noqa: PLC0415
    from spectrum_suite.hub.verify import verify  # noqa: PLC0415

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
    lines = verify(publication, published, token)
    logger.info("verified from a clean cache: %d checks, the last '%s'", len(lines), lines[-1])


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
    for option in ("repo_id", "dataset", "base_model", "base", "tuned"):
        name = getattr(arguments, option, None)
        if name is not None:
            check_name(name, f"--{option}")
    if not arguments.revision:
        raise UserError("--revision is empty: name a branch, or leave it out")
    if arguments.create_pr and arguments.revision != MAIN:
        raise UserError("--create_pr opens a pull request to main: leave --revision out")


def check_name(name: str, option: str) -> None:
    """Refuse what is not a name on the Hub.

    Raises:
        UserError: It is not, or it is an embedded model that does not exist.
    """
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415
    from huggingface_hub.utils import validate_repo_id  # noqa: PLC0415

    kind, _, embedded = name.partition(":")
    if kind == "embedded" and option in ("--base", "--tuned"):
        check_embedded(embedded)
        return
    if not name.strip():
        raise UserError(f"{option} is empty: use ORG/NAME")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(f"repository name {name!r} is not valid: use ORG/NAME") from error
    if name.count("/") != 1:
        raise UserError(f"repository name {name!r} has no owner: use ORG/NAME")


def check_embedded(name: str) -> None:
    """Refuse an embedded model that does not exist."""
    from spectrum_suite.embedded_model import EMBEDDED_MODELS  # noqa: PLC0415
    from spectrum_suite.errors import did_you_mean  # noqa: PLC0415

    if name not in EMBEDDED_MODELS:
        raise UserError(f"embedded model {name!r} not found{did_you_mean(name, EMBEDDED_MODELS)}")


def prepare_dataset(arguments: Namespace) -> Publication:
    """What is published of a suite."""
    from spectrum_suite.hub.dataset import dataset_publication  # noqa: PLC0415

    return dataset_publication(
        arguments.path,
        arguments.repo_id,
        include_unlicensed=arguments.include_unlicensed,
        allow_failed=arguments.allow_failed,
    )


def prepare_metric(arguments: Namespace) -> Publication:
    """What is published of a metric."""
    from spectrum_suite.hub.metric import metric_publication  # noqa: PLC0415

    return metric_publication(arguments.path, arguments.repo_id)


def prepare_model(arguments: Namespace) -> Publication:
    """What is published of a model."""
    from spectrum_suite.hub.model import model_publication  # noqa: PLC0415

    scratch = Path(arguments.scratch.enter_context(TemporaryDirectory(prefix="spectrum-merge-")))
    return model_publication(arguments.path, arguments.repo_id, model_options(arguments), scratch)


def prepare_space(arguments: Namespace) -> Publication:
    """What is published of the playground."""
    from spectrum_suite.hub.space import space_publication  # noqa: PLC0415

    return space_publication(arguments.path, arguments.repo_id, base=arguments.base, tuned=arguments.tuned)


def prepare_rule_adapter(arguments: Namespace) -> Publication:
    """What is published of the three-rule adapter."""
    from spectrum_suite.hub.rule_adapter_repo import rule_adapter_publication  # noqa: PLC0415

    return rule_adapter_publication(arguments.repo_id)


def write_card(arguments: Namespace) -> None:
    """Write the card that a model would be published with."""
    path = arguments.card_only
    if path.is_dir():
        raise UserError(f"--card_only {str(path)!r} is a folder: name the file that the card is written to")
    from spectrum_suite.hub.model import model_card  # noqa: PLC0415

    card = model_card(arguments.path, arguments.repo_id, model_options(arguments))
    path.parent.mkdir(parents=True, exist_ok=True)
    card.save(path)
    logger.info("card: %s", path)


def model_options(arguments: Namespace) -> ModelOptions:
    """How a model is published."""
    from spectrum_suite.hub.model import ModelOptions  # noqa: PLC0415

    return ModelOptions(
        reports=tuple(arguments.report),
        without_report=arguments.without_report,
        merge=arguments.merge,
        adapter_scale=arguments.adapter_scale,
        suite=arguments.suite,
        dataset=arguments.dataset,
        base_model=arguments.base_model,
        terms_of_data=parse_pairs("--terms_of_data", arguments.terms_of_data, "dolly='Databricks Dolly, CC BY-SA 3.0'"),
        license_name=arguments.license,
        license_link=arguments.license_link,
        decisions=arguments.decisions,
    )


def parser(program: str = "push_to_hub.py") -> Parser:
    """The command line."""
    command = Parser(prog=program, description=as_called(ABOUT, program))
    kinds = command.add_subparsers(dest="kind", required=True, metavar="dataset|metric|model|space|rule-adapter")
    dataset = _with_folder(_kind(kinds.add_parser, "dataset", "a built suite", prepare_dataset))
    dataset.add_argument(
        "--include_unlicensed",
        action="store_true",
        help="also publish tasks whose source does not say whether it may be redistributed",
    )
    dataset.add_argument(
        "--allow_failed", action="store_true", help="publish a suite without the tasks that failed to build"
    )
    dataset.add_argument("--remove_tasks", action="store_true", help="remove tasks that the suite no longer has")
    _with_folder(_kind(kinds.add_parser, "metric", "a metric of metrics/", prepare_metric))
    space = _with_folder(_kind(kinds.add_parser, "space", "the playground of demo/", prepare_space))
    space.add_argument("--base", metavar="ORG/NAME", help="its base model (default: that of the tuned one)")
    space.add_argument(
        "--tuned",
        metavar="ORG/NAME",
        help="its tuned model or adapter; the Space's variable SPECTRUM_TUNED overrides it",
    )
    _kind(kinds.add_parser, "rule-adapter", "the code of the three-rule adapter", prepare_rule_adapter)
    model = _with_folder(_kind(kinds.add_parser, "model", "an adapter of train_sft.py", prepare_model))
    add = model.add_argument
    add("--merge", action="store_true", help="publish the base model with the adapter merged into it")
    add(
        "--adapter_scale",
        type=float,
        default=1.0,
        metavar="S",
        help="with --merge: scale of the adapter's update: 0 would be the base, 1 (default) is the full adapter",
    )
    add(
        "--report",
        type=Path,
        nargs="+",
        default=[],
        help="report.json of an evaluation (default: the one in the model's folder)",
    )
    add("--without_report", action="store_true", help="publish a model without an evaluation")
    add(
        "--decisions",
        type=Path,
        metavar="DIR",
        help="folder of 'decide --trained_on', for the results on typed-decisions that the Hub shows",
    )
    add("--suite", type=Path, help="the suite that was trained on (default: the folder in the training report)")
    add("--dataset", metavar="ORG/NAME", help="that suite on the Hub")
    add("--base_model", metavar="ORG/NAME", help="the base model on the Hub, if a local folder was tuned")
    add("--license", help="the base model's licence, by the Hub's identifier; known for embedded models")
    add("--license_link", help="link to its terms")
    add(
        "--terms_of_data",
        nargs="+",
        default=[],
        metavar="NAME=TERMS",
        help="source and terms of the --data that was trained on, for the card",
    )
    add("--card_only", type=Path, metavar="FILE", help="only write the card, to this file")
    return command


def _kind(add: Callable[..., Parser], name: str, what: str, prepare: Callable[[Namespace], Publication]) -> Parser:
    """The options that all have."""
    command = add(name, help=what)
    command.set_defaults(prepare=prepare)
    command.add_config()
    command.add_argument("--repo_id", required=True, metavar="ORG/NAME", help="the repository; created if missing")
    command.add_argument("--private", action="store_true", help="make a new repository private")
    command.add_argument("--revision", default=MAIN, help="the branch; created from main if missing")
    command.add_argument("--create_pr", action="store_true", help="open a pull request instead of writing to main")
    command.add_argument("--dry_run", action="store_true", help="show every file, its size and action; send nothing")
    command.add_argument("--message", help="the commit message")
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="also replace and delete files that no earlier push created or that have changed since; each is listed",
    )
    return command


def _with_folder(command: Parser) -> Parser:
    command.add_argument("path", type=Path, metavar="PATH", help="the folder to publish")
    return command


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Make lines of files that cannot be read or written, and take secrets out of every line.

    Raises:
        UserError: In place of these errors.
    """
    try:
        yield
    except UserError as error:
        raise UserError(without_secrets(str(error))) from error
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileNotFoundError, FileExistsError) as error:
        raise UserError(f"{without_secrets(str(error.filename))}: {error.strerror}") from error


def without_secrets(text: str) -> str:
    """A line that may be shown."""
    from spectrum_suite.hub.secret_scan import own_tokens, redacted  # noqa: PLC0415

    return redacted(text, own_tokens())


class SecretFilter(logging.Filter):
    """Takes secrets out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record."""
        record.msg, record.args = without_secrets(record.getMessage()), ()
        return True


def end(*_: object) -> None:
    """End as if by an exit, so that what was begun is cleaned up."""
    sys.exit(_TERMINATED)


def configure_logging() -> None:
    """Write notes to the output, as they are."""
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(SecretFilter())
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("spectrum_suite").setLevel(logging.INFO)
