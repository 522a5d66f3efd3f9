"""The arithmetic of the published metrics: ``spectrum_suite.metrics.<name>.scoring``.

Each metric is a folder that stands alone, since ``evaluate.load`` takes it as it is. A checkout has these folders at
its top, in ``metrics/``; an installed package has them here.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "metrics").is_dir():
    __path__.append(str(_CHECKOUT / "metrics"))
