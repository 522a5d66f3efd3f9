"""The bodies of requests and answers: ``/v1/systemone``, and ``/v1/decisions`` as OpenAI has it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spectrum_suite.decisions.decide import Answered, NoProbabilitiesError, gathered
from spectrum_suite.errors import UserError
from spectrum_suite.serving.worker import Outcome
from spectrum_suite.systemone import Limits, Option, Question, check_text, read_questions, state_text

SYSTEM_ONE = Limits()
DECISIONS = Limits(questions=200)

LARGEST_BODY = 2**20
"""Bytes of a request."""

_DEEPEST = 100  # levels of JSON
_SYSTEM_ONE_FIELDS = ("model", "state", "questions", "instructions")
_WITHOUT_EFFECT = {"cache_salt", "priority", "request_id"}
_DECISIONS_FIELDS = ("model", "input", "questions")
_DECISIONS_WITHOUT_EFFECT = {"safety_identifier", "prompt_cache_key", "prompt_cache_options"}
_QUESTION_FIELDS = {"predicate": (), "choice": ("choices",), "score": ("levels",)}
_FEWEST = 2


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        model: By what name; None where it was not said.
        state: What the questions are about.
        questions: The questions.
        instructions: What holds for all of them.
        named: Of each question of ``/v1/decisions`` its name, and the values of its options.
    """

    model: str | None
    state: str
    questions: tuple[Question, ...]
    instructions: str | None = None
    named: tuple[tuple[str | None, tuple[str | bool, ...]], ...] = field(default=())


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a body.

    Raises:
        UserError: It is not a JSON object in UTF-8, names a key twice, or is nested too deeply.
    """
    try:
        content = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        _check_depth(content)
    except UserError:
        raise
    except RecursionError as error:
        raise UserError(f"the body is nested more than {_DEEPEST} levels deep: make it flat") from error
    except ValueError as error:
        raise UserError(f"the body is not JSON in UTF-8 ({error})") from error
    if not isinstance(content, dict):
        raise UserError("the body is not a JSON object")
    return content


def read_system_one(content: Mapping[str, Any]) -> Request:
    """A request to ``/v1/systemone``.

    Raises:
        UserError: It is not one.
    """
    _check_fields(content, _SYSTEM_ONE_FIELDS, _WITHOUT_EFFECT | {"chat_template_kwargs"}, required=("questions",))
    if "state" not in content:  # null is JSON
        raise UserError("state is missing")
    if content.get("chat_template_kwargs") not in (None, {}, {"enable_thinking": False}):
        raise UserError("chat_template_kwargs can only be {'enable_thinking': false} here: leave it out")
    instructions = content.get("instructions")
    if instructions is not None:
        check_text(instructions, "instructions", SYSTEM_ONE.instructions)
    return Request(
        _model(content),
        state_text(content["state"], SYSTEM_ONE),
        read_questions(content["questions"], SYSTEM_ONE),
        instructions or None,
    )


def write_system_one(outcomes: Sequence[Outcome], model: str) -> dict[str, Any]:
    """The answer to such a request.

    Raises:
        NoProbabilitiesError: A question has no answer, which cannot be said there.
    """
    if refused := [outcome for outcome in outcomes if isinstance(outcome, NoProbabilitiesError)]:
        raise refused[0]
    found = gathered(outcomes)
    return {
        "id": f"decision-{uuid.uuid4().hex}",
        "object": "structured_decision",
        "created": int(time.time()),
        "model": model,
        "answers": found.answers,
        "usage": {"input_tokens": found.input_tokens, "output_tokens": 0},
        "diagnostics": found.diagnostics,
    }


def read_decisions(content: Mapping[str, Any]) -> Request:
    """A request to ``/v1/decisions``: its predicates, choices and scores as questions of System One.

    Raises:
        UserError: It is not one.
    """
    _check_fields(content, _DECISIONS_FIELDS, _DECISIONS_WITHOUT_EFFECT, required=("input", "questions"))
    listed = content["questions"]
    if not isinstance(listed, list) or not 0 < len(listed) <= DECISIONS.questions:
        raise UserError(f"questions are a list of 1 to {DECISIONS.questions} questions")
    instructions, state = _input(content["input"])
    read = [_decision(f"questions[{place}]", each) for place, each in enumerate(listed)]
    return Request(
        _model(content),
        state_text(state, DECISIONS),
        tuple(question for question, _ in read),
        instructions,
        tuple(named for _, named in read),
    )


def write_decisions(outcomes: Sequence[Outcome], model: str, request: Request) -> dict[str, Any]:
    """The answer to such a request; a question without an answer is refused, and the tokens of others are counted."""
    tokens = sum(each.input_tokens for each in outcomes if isinstance(each, Answered))
    return {
        "answers": [_written(each, *named) for each, named in zip(outcomes, request.named, strict=True)],
        "model": model,
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens,
        },
    }


def _written(answered: Outcome, name: str | None, values: tuple[str | bool, ...]) -> dict[str, Any]:
    if isinstance(answered, NoProbabilitiesError):
        return {"type": "refusal", "name": name}
    question, shares = answered.question, answered.probabilities
    if question.type == "noul":
        return {"type": "predicate", "name": name, "probability": shares[0]}
    if question.type == "choice":
        choice = values[question.names.index(answered.answer["choice"])]
        pairs = [{"value": value, "probability": share} for value, share in zip(values, shares, strict=True)]
        found = {"type": "choice", "name": name, "choice": choice, "probabilities": pairs}
    else:
        levels = zip(question.names, shares, strict=True)
        pairs = [{"value": place, "label": label, "probability": share} for place, (label, share) in enumerate(levels)]
        found = {"type": "score", "name": name, "score": answered.answer["score"], "probabilities": pairs}
    return found | {"confidence": answered.answer["confidence"]}


def _decision(where: str, given: Any) -> tuple[Question, tuple[str | None, tuple[str | bool, ...]]]:
    """A question of ``/v1/decisions``, with its name and the values of its options."""
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(kind, str) or kind not in _QUESTION_FIELDS:
        raise UserError(f"{where} is not a question: give an object whose type is {', '.join(_QUESTION_FIELDS)}")
    _check_fields(given, ("type", "instructions", "name", *_QUESTION_FIELDS[kind]), set(), where=f"{where} ")
    name = given.get("name")
    if name is not None:
        check_text(name, f"the name of {where}", DECISIONS.name)
    asked: dict[str, Any] = {"instructions": _parts(f"{where}: instructions", given.get("instructions"))}
    if kind == "predicate":
        (question,) = read_questions({where: asked | {"type": "noul", "criteria": None}}, DECISIONS)
        return question, (name, ())
    options = _listed(where, given.get(_QUESTION_FIELDS[kind][0]), "value" if kind == "choice" else "label")
    texts = [str(value).lower() if isinstance(value, bool) else value for value, _ in options]
    if len({*map(str, texts)}) < len(texts):
        raise UserError(f"{where} has two options that read the same: give each a text of its own")
    if kind == "choice":
        criteria = dict(zip(texts, (meaning for _, meaning in options), strict=True))
        (question,) = read_questions({where: asked | {"type": "choice", "criteria": criteria}}, DECISIONS)
        return question, (name, tuple(value for value, _ in options))
    (question,) = read_questions({where: asked | {"type": "score", "criteria": texts}}, DECISIONS)
    described = tuple(
        Option(level.name, meaning) for level, (_, meaning) in zip(question.options, options, strict=True)
    )
    return replace(question, options=described), (name, ())


def _listed(where: str, given: Any, key: str) -> list[tuple[Any, str | None]]:
    """The choices or levels of a question, each with what it means."""
    if not isinstance(given, list) or len(given) < _FEWEST:
        raise UserError(f"{where} has fewer than {_FEWEST} options: give a list of {{{key}, description}}")
    found = []
    for place, each in enumerate(given):
        at = f"option {place} of {where}"
        if not isinstance(each, Mapping) or each.get(key) is None:
            raise UserError(f"{at} has no {key}: give an object with it")
        _check_fields(each, (key, "description"), set(), where=f"{at} ")
        value, meaning = each[key], each.get("description")
        if not (key == "value" and isinstance(value, bool)):
            check_text(value, f"the {key} of {at}", DECISIONS.name)
        if meaning is not None:
            check_text(meaning, f"the description of {at}", DECISIONS.description)
        found.append((value, meaning or None))
    return found


def _input(given: Any) -> tuple[str | None, str]:
    """What a system message says, and what the questions are about."""
    if isinstance(given, str):
        return None, given
    if not isinstance(given, list) or not given:
        raise UserError("input is a string, or a list of messages")
    said: dict[str, list[str]] = {"user": [], "system": []}
    for place, message in enumerate(given):
        where = f"input[{place}]"
        role = message.get("role") if isinstance(message, Mapping) else None
        role = "system" if role == "developer" else role
        if not isinstance(role, str) or role not in said or message.get("type", "message") != "message":
            raise UserError(f"{where} is not a message of a user, a developer or the system: no other input is taken")
        _check_fields(message, ("role", "content", "type"), set(), where=f"{where} ")
        said[role].append(_parts(f"{where}: content", message.get("content")))
    if not said["user"]:
        raise UserError("input has no message of a user: say what the questions are about")
    instructions = "\n\n".join(said["system"]) or None
    if instructions is not None:
        check_text(instructions, "what the system says", DECISIONS.instructions)
    return instructions, "\n\n".join(said["user"])


def _parts(where: str, given: Any) -> str:
    """The text of a string or of a list of parts; JSON is written as such."""
    if isinstance(given, str):
        return given
    if not isinstance(given, list):
        raise UserError(f"{where} is neither a string nor a list of parts")
    texts = []
    for part in given:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "input_text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "input_json" and isinstance(part.get("data"), dict | list):
            texts.append(json.dumps(part["data"], ensure_ascii=False))
        else:
            raise UserError(f"{where} has a part that is neither input_text nor input_json: no other is taken")
    return "\n\n".join(texts)


def _model(content: Mapping[str, Any]) -> str | None:
    model = content.get("model")
    if model is not None:
        check_text(model, "model", SYSTEM_ONE.name)
    return model


def _check_fields(
    content: Mapping[str, Any],
    known: Sequence[str],
    without_effect: set[str],
    *,
    required: Sequence[str] = (),
    where: str = "",
) -> None:
    if missing := [name for name in required if content.get(name) is None]:
        raise UserError(f"{where}{missing[0]} is missing")
    if foreign := [name for name in content if name not in known and name not in without_effect]:
        raise UserError(f"{where}has the field {foreign[0][:60]!r}, which is not known: there are {', '.join(known)}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"the key {twice[:60]!r} appears twice in an object: name each once")
    return found


def _no_number(name: str) -> Any:
    raise UserError(f"{name} is not JSON: give numbers that are finite")


def _check_depth(content: Any) -> None:
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise RecursionError
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner
