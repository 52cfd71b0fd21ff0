"""MTCNN: faces and their five points by a cascade of three networks. Zhang et al., IEEE SPL 23(10), 2016."""
