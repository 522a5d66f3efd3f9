"""The library behind the scripts: formats, training, generation, evaluation and the Hub."""
