"""SMIRK: a 3D face from a photo."""
