"""`mien analyze` as the tests of this folder run it, and the rows that it writes."""

import csv
from pathlib import Path

from mien.engine.reading.analyze import analyze


def run(*inputs: Path | str, output: Path | None, bundle: str, **options) -> str:
    options = {"backend": "onnxruntime", "threads": 1, "landmarks": "no"} | options
    return analyze([str(item) for item in inputs], output=output and str(output), bundle=[bundle], **options)


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "readings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
