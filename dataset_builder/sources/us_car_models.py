"""Requests for car brands and for cars, that is make and model, sold in the United States from 1992 on.

Upstream: https://github.com/abhionlyone/us-car-models-data. Licence: CC BY 4.0. A raw row (made up):

    1992,Albatros,Courier,"[""Sedan"", ""Wagon""]"

The whole files: 35 years with 11,543 rows; a car comes again in every year in which it was sold, so that there are
1,459 cars of 66 makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.coverage import coverage_task
from dataset_builder.sources.us_car_models_files import CHECKSUMS, US_CAR_MODELS
from dataset_builder.task_spec import Dropped, RawFiles


def read_cars(raw_files: RawFiles) -> Iterator[str | Dropped]:
    """Make, tab and model of each row, by year and then in upstream order."""
    for make, model in _rows(raw_files):
        yield f"{make}\t{model}" if make and model else Dropped("row without make or model")


def read_makes(raw_files: RawFiles) -> Iterator[str | Dropped]:
    """The make of each row, by year and then in upstream order."""
    for make, _ in _rows(raw_files):
        yield make or Dropped("row without make")


def _rows(raw_files: RawFiles) -> Iterator[tuple[str, str]]:
    for year in CHECKSUMS:
        path = raw_files[f"{year}.csv"]
        table = raw.read_csv(path, {"year": pl.Int64, "make": pl.String, "model": pl.String})
        for row, (stated, make, model) in enumerate(table.rows(), start=1):
            if stated != year:
                raise raw.bad_row(path, row, f"it is of year {stated}, in the table of {year}")
            yield (make or "").strip(), (model or "").strip()


TASKS = [
    coverage_task(
        "cov_car_make_model",
        "Each output is the make and model of a car.",
        ("Toyota Camry", "Ford Mustang", "Honda Civic"),
        summary="Cars sold in the United States, by make and model.",
        validator="contains_make_and_model",
        max_new_tokens=16,
        source=US_CAR_MODELS,
        valid_items=read_cars,
        domain="Technology",
        quirks="Make and model must stand in the text as words; the release finds short models inside other words.",
    ),
    coverage_task(
        "cov_car_brand",
        "Each output is a car brand.",
        ("Toyota", "Volvo", "Jeep"),
        summary="Brands of cars sold in the United States.",
        validator="one_of",
        max_new_tokens=8,
        source=US_CAR_MODELS,
        valid_items=read_makes,
        domain="Technology",
    ),
]
