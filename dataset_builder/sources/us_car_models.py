"""Requests for car brands and for cars, by make and model, sold in the United States from 1992 on.

Upstream: https://github.com/abhionlyone/us-car-models-data, a table for each year. Licence: CC BY 4.0. A raw row (made
up):

    1992,Albatros,Courier,"[""Sedan"", ""Wagon""]"

The whole files: 35 years with 11,543 rows; a car appears in every year in which it was sold, so that there are 1,459
cars of 66 makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.requests import coverage_task
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile

_REPOSITORY = "abhionlyone/us-car-models-data"
_REVISION = "b943b86f8f695cb2167491a82cccd9fa2eb5603f"

CHECKSUMS = {
    1992: "95e51262a5f957730692477a83a66b2ab7abdea09c452a41c2404d90e372505f",
    1993: "6f1623bb50d4babc2ef87d14541137082c4b128b37bc5051a3949678a4c0d4f4",
    1994: "1e618f1712cfb4f5ab872769740578f5067dc59278c619f23702255b31d84d61",
    1995: "8ecd06421c9169865894d161bae905070b5826bc9f37afe66a0906704a98cda5",
    1996: "f4dd445778d1171b92a940b8892463cc396fa829c2191fb53ac007ff41a80517",
    1997: "8e706bfb470ebe5863df3927ff46638bfc9584f12105cebd2a2c6dba32498d97",
    1998: "5af73187440b0b588e315024bd910f44658b310ac6cbc83a3eaa09bf18f065e0",
    1999: "b808bbbb778888b2592cebb3da401c5f296d40ae234b184732ba29699f7eaea8",
    2000: "f1f80ace6b5f8cca5be97aa94efd2c9a718da1837e2196b407c619f8a4c7114f",
    2001: "71e79c987b356abcd91f6819ac226504bd8216e3ea8dccd9137a927f1f8d4300",
    2002: "b8c366d6b2f928af84fe777b71c170d1ae1999ecb9e77031eaa5a0b4285cce75",
    2003: "144ce0b96842228af4338802b2896ad967cfb91a0f1a45eec5a90d93ab7a5b94",
    2004: "a1042e510f80aaf7e68f6aae6d2b9765ecef4b46760d99d562c212a4da0be1b5",
    2005: "e7c81a6d0c25bdc7a108227ea97942460be946980d23705c74574723ccfb2a56",
    2006: "e94415fc9029a072298846715d2db39f4a86fbe5c3506fb3470962490932aa00",
    2007: "4da593712281bd924d22dbb0105681d3c66129ac68cd07baa5f7afae382243bc",
    2008: "785e0e2884cff3bdbad14033f72488c4a7506eac437524280f8d29c918843bce",
    2009: "4e234064eb886e6af7b6bb08684fa88abc45ce290297522162b949624d97b08d",
    2010: "95ad34cd85d3760f36cef3ce8f78de5f4a3749a8460bb301cd65650fa11a8eda",
    2011: "81a95de8cb6056d61de7c291cb17ab16fe2f6c582c4d566a8f961d597d8dd741",
    2012: "aac6833dae8865ac0d7c2cd9ef60b66b44c43df4d30b9c1eaaceab120e088121",
    2013: "46e79c96d4031c52b3e1a28ea153992cc6a024964b19ebb5e6eb19bd19be7e9b",
    2014: "82a93f1970a35299be193c1ffefaa25f19fc6eb407959fec6c2979ea5f277a78",
    2015: "c135182af67aad98e548c94625e7fca747141395485c21a0fef112ad40243e09",
    2016: "a6f7365458f94bf35aa62dd019e8f79f99c2585678518008f5e8826d824738e5",
    2017: "3ee7b4251d292f5c1f0472c2b4325fa1641c3bc87b51cd0150b10e618aaa54ff",
    2018: "129c10730ee450d6e0695a0fb3cfb9cb4b532fa88e003430fb09f917d8962c5b",
    2019: "a4062747e536eac77199e46f095151a776f97acacdc7113533cdd6854a67e74f",
    2020: "1adfdc05dbbe6f7fb210f2753b387af4337bc61d194ca9925ef666821f87c6c5",
    2021: "b58083eb5b1c823b9a7bceb8ee9893bb4db501a430579d7737d1fc9741e6009f",
    2022: "fb88ecc5bbd5062f59eb2f02840baf8b6e0a57fec81d5e90f83e238c22cdc016",
    2023: "18dcc9c790f75cfa2fb26405342c53db77050d62d1fd31e5d3fc32d0bfc4e4c2",
    2024: "91f6ace23b17125d5d49d837f05ed77a616d5e8ecedda4af2866b024cb858c4a",
    2025: "9f3314c88bc2c6a93b9abf047d53c2ef6dde792b0e03861a74f972f8f948890b",
    2026: "032a418aa4289dcade5f034f0ca4d4b7014e575ba208cf41f82f9df83e95feb9",
}
"""Year -> sha256 of its table."""


def _file(year: int) -> SourceFile:
    url = f"https://raw.githubusercontent.com/{_REPOSITORY}/{_REVISION}/{year}.csv"
    return SourceFile(f"{year}.csv", url, CHECKSUMS[year])


US_CAR_MODELS = Source(
    name="us_car_models",
    title="US car makes and models",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="cc-by-4.0",
    redistributable="yes",
    creators="Abhilash Reddy",
    citation="US Car Models Data, github.com/abhionlyone/us-car-models-data",
    folder="us_car_models",
    revision=_REVISION,
    files=tuple(map(_file, CHECKSUMS)),
)


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
