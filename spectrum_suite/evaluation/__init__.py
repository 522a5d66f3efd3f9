"""The desiderata of distributional modelling, measured, and the reports that say so."""
