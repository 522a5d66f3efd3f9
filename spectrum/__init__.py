"""The library behind the scripts: formats, training, generation, evaluation and the Hub."""

from spectrum.generation.logprobs import option_logprobs
from spectrum.generation.sample import Samples, sample
from spectrum.generation.table import OptionTable, option_table

__all__ = ["OptionTable", "Samples", "option_logprobs", "option_table", "sample"]
