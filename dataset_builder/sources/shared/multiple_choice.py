"""What tasks of multiple choice share: labelled choices in one prompt, the label of the right one as the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, TaskSpec
from spectrum_suite.seeding import generator

LETTERS = ("A", "B", "C", "D")


def draw(
    parts: Sequence[str | None],
    choices: Sequence[str | None],
    answer: str | int | None,
    *,
    names: Sequence[str | int] = LETTERS,
    labels: Sequence[str] = LETTERS,
) -> Draw | Dropped:
    """One question with its choices, one a line, such as ``B. a boat``.

    Args:
        parts: The lines above the choices.
        choices: The choices in the order shown.
        answer: The right choice, by its name.
        names: What the upstream calls the choices.
        labels: What they are called in the prompt and the answer.

    Raises:
        ValueError: There are more or fewer choices than names, or the answer is not one of them.
    """
    if len(choices) != len(names):
        raise ValueError(f"it has {len(choices)} choices instead of {len(names)}")
    if answer not in names:
        raise ValueError(f"the answer {answer!r} is not one of {', '.join(map(str, names))}")
    texts = [str.strip(text or "") for text in (*parts, *choices)]
    if not all(texts):
        return Dropped("question or choice is empty")
    shown = zip(labels, texts[len(parts) :], strict=False)
    lines = (*texts[: len(parts)], *(f"{label}. {choice}" for label, choice in shown))
    return Draw("\n".join(lines), labels[names.index(answer)])


def shuffled_draw(
    parts: Sequence[str | None], right: str | None, wrong: Sequence[str | None], *key: str
) -> Draw | Dropped:
    """A :func:`draw` with the choices in a random order that depends on ``key`` alone: the task and the question."""
    choices = (right, *wrong)
    order = generator(*key).permutation(len(choices)).tolist()
    return draw(parts, [choices[index] for index in order], 0, names=order)


def one_process(process: str, description: str, items: Iterable[Draw | Dropped]) -> Iterator[Example | Dropped]:
    """All draws as one process; the dropped ones come first."""
    draws = []
    for item in items:
        if isinstance(item, Dropped):
            yield item
        else:
            draws.append(item)
    if draws:
        yield Example(process, (description,), tuple(draws))


def task(
    name: str,
    source: Source,
    read: Callable[[RawFiles], Iterator[Example | Dropped]],
    summary: str,
    sequences: Sequences,
    *,
    options: tuple[str, ...] = LETTERS,
    domain: str = "Unspecified",
    version: str = "1.0.0",
    quirks: str = "",
) -> TaskSpec:
    """The held-out task of a source of multiple choice questions; they are all one process."""
    return TaskSpec(
        name=name,
        kind="icl",
        split="test",
        source=source,
        group="capability",
        summary=summary,
        process="the whole split",
        inputs=("prompt",),
        outputs=("answer_letter",),
        sequences=sequences,
        options=options,
        read=read,
        domain=domain,
        version=version,
        quirks=quirks,
    )
