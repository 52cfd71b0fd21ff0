"""A 3D face of each photo: read, fitted, drawn. No torch."""
