"""Faces in 3D: FLAME's layer, a renderer, and SMIRK's networks."""
