"""How a model is published, apart from the code that does it and needs `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelOptions:
    """How a model is published.

    Attributes:
        reports: Its evaluation; by default :func:`spectrum_suite.hub.model.find_reports` looks for it.
        without_report: Publish it even if it has none.
        merge: Publish the base model with the adapter merged into it, in place of the adapter.
        suite: The built suite that was trained on; by default the folder that the training report names.
        dataset: The suite on the Hub.
        base_model: The base model on the Hub, where the training report names a folder.
        license_name: The base model's licence as the Hub calls it.
        license_link: Where its terms are.
    """

    reports: tuple[Path, ...] = ()
    without_report: bool = False
    merge: bool = False
    suite: Path | None = None
    dataset: str | None = None
    base_model: str | None = None
    license_name: str | None = None
    license_link: str | None = None
