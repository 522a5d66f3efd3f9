"""Characteristics of data as text that a model is tuned on: their values, how they are found, written and dropped."""
