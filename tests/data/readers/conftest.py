"""The tests here share small sets that are written by hand (`small_sets`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
