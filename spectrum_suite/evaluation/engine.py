"""The engine that an evaluation asks: a model on this machine, by `transformers` or vLLM, or one behind a service."""

from __future__ import annotations

import torch

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.base import LM
from spectrum_suite.lm.chat import ChatLM
from spectrum_suite.lm.chat_messages import SYSTEM_PROMPT
from spectrum_suite.lm.client import Endpoint, served_model
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.served import ServedLM
from spectrum_suite.lm.service import Plan, Service
from spectrum_suite.lm.systemone_service import SystemOneLM
from spectrum_suite.lm.vllm import VllmLM
from spectrum_suite.models import find_model, scoring_device, torch_dtype

ANSWERS = "answers.sqlite"
"""The file of a service's answers, in the folder of a report."""


def find_engine(
    settings: EvaluationSettings,
    device: torch.device | None = None,
    *,
    progress: bool = False,
    plan: Plan | None = None,
) -> LM:
    """The engine of an evaluation; nothing is loaded yet, and a service is asked for the name of its model at most.

    Args:
        settings: Of the evaluation.
        device: This process's own; None where it may choose.
        progress: Show progress bars.
        plan: Counts what a service would be asked, which it is not.

    Raises:
        UserError: There is no such model, or settings do not go together.
        NoAnswerError: A service is gone.
    """
    if settings.endpoint is not None:
        if settings.adapter_scale != 1:
            raise UserError("--adapter_scale is for an adapter that is loaded here: leave it out with --endpoint")
        if settings.api != "completions":
            return _service(settings, progress=progress, plan=plan)
    if plan is not None:
        raise UserError("--dry_run is for --endpoint with --api chat or systemone: leave it out")
    files = find_model(
        settings.model,
        base=settings.base,
        revision=settings.revision,
        weights=settings.endpoint is None,
        adapter_scale=settings.adapter_scale,
    )
    if settings.endpoint is not None:
        name = settings.endpoint_model or served_model(settings.endpoint)
        return ServedLM(files, settings.text_format, _endpoint(settings, name), progress=progress)
    if settings.engine == "vllm":
        device = scoring_device(None)
        dtype = torch_dtype(settings.dtype, device)
        return VllmLM(files, settings.text_format, device, dtype, settings.engine_options, progress=progress)
    device = scoring_device(device or settings.device)
    return LocalLM(
        files,
        settings.text_format,
        device,
        torch_dtype(settings.dtype, device),
        load_in_4bit=settings.load_in_4bit,
        batch_size=settings.batch_size,
        rules=settings.adapter_rules(),
        progress=progress,
    )


def _service(settings: EvaluationSettings, *, progress: bool, plan: Plan | None) -> ChatLM | SystemOneLM:
    endpoint = _endpoint(settings, settings.endpoint_model or settings.model or served_model(settings.endpoint))
    path = settings.output / ANSWERS
    store = AnswerStore(path if plan is None or path.is_file() else None)
    service = Service(endpoint, store, progress=progress, plan=plan)
    if settings.api == "systemone":
        return SystemOneLM(service)
    system_prompt = SYSTEM_PROMPT if settings.system_prompt is None else settings.system_prompt
    return ChatLM(service, system_prompt=system_prompt, thinking=settings.thinking)


def _endpoint(settings: EvaluationSettings, model: str) -> Endpoint:
    return Endpoint(
        settings.endpoint,
        model,
        as_text=settings.as_text,
        concurrency=settings.concurrency,
        timeout_s=settings.timeout,
    )
