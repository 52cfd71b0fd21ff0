"""`python fit_toy.py ARGUMENTS...`: `mien fit` with the system `toy` of this folder registered."""

import sys

from mien.engine.training.fit import fit_command
from mien.systems import registry

registry.SYSTEMS["toy"] = ("toy.network:Toy", "base")
fit_command(sys.argv[1:])
