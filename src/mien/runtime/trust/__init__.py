"""How far a reading can be trusted, as the Analyzer states it of each face."""
