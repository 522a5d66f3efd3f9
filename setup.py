"""Where the folders of a checkout are in the package; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

INSIDE = {
    "spectrum_suite.recipes": "recipes",
    "spectrum_suite.demo": "demo",
    "spectrum_suite.metrics.in_context_steerability": "metrics/in_context_steerability",
    "spectrum_suite.metrics.output_coverage": "metrics/output_coverage",
    "spectrum_suite.metrics.spectrum_alignment": "metrics/spectrum_alignment",
}
"""Folder of the package -> where it is in a checkout; see `spectrum_suite.shipped`."""

setup(
    packages=[*find_packages(include=["spectrum_suite*", "dataset_builder*"]), *INSIDE],
    package_dir=INSIDE,
    package_data={
        "spectrum_suite": ["**/*.jinja", "py.typed"],
        "dataset_builder": ["templates/*.jinja", "templates/*.py.txt", "templates/licences/*.txt", "py.typed"],
        **{name: ["*.md", "*.txt", "**/*.csv", "**/*.yaml"] for name in INSIDE},
    },
)
