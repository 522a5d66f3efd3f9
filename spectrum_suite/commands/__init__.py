"""The commands of ``spectrum-suite``; the scripts of a checkout run the same code."""
