"""`python fit_toy.py ARGUMENTS...`: `mien fit` with the systems of the folder `toy` registered."""

import sys

from toy.register import register

from mien.engine.training.fit import fit_command

register()
fit_command(sys.argv[1:])
