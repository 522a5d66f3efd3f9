"""The playground, in which two models answer the same questions."""
