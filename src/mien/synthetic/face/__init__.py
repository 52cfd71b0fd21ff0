"""The parametric 3D face: its shape, how people differ, how it moves, and what a palsy takes away."""
