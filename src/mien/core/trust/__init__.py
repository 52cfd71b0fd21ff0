"""How far a reading can be trusted: quality of the picture, prediction sets, agreement of models."""
