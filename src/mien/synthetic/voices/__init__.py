"""Synthetic voices: syllables spoken with an expression, and the mouth that goes with them."""
