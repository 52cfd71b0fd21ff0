"""The bounded child itself: each way to break the contract is found, and the files after it are still tried."""

import socket
import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from mien.core.errors import MienError
from robustness.bounded import run_bounded
from robustness.mutate import WRONG_VALUES, mutated, mutated_document

BREACHES = {
    "raise": "KeyError", "compute": "too much computing", "sleep": "hung",
    "allocate": "took", "connect": "socket", "program": "subprocess", "exit": "SystemExit",
}  # fmt: skip


def misbehave(path: Path) -> None:
    """Does what the file's name says."""
    name = path.name
    if name == "refuse":
        raise MienError(f"{path}: refused.")
    if name == "raise":
        raise KeyError(name)
    if name == "compute":
        while True:
            pass
    if name == "sleep":
        time.sleep(60)
    if name == "allocate":
        bytearray(b"x") * 400_000_000
    if name == "connect":
        socket.socket()
    if name == "program":
        subprocess.run(["true"], check=False)
    if name == "exit":
        raise SystemExit(0)


def test_each_way_to_break_the_contract_is_named():
    names = ["fine", "refuse", *BREACHES, "refuse", "fine"]
    found = run_bounded(misbehave, map(Path, names), seconds=0.5, megabytes=200)
    assert (found.read, found.refused, found.messages) == (2, 2, ["refuse: refused."] * 2)
    assert [failure.partition(":")[0] for failure in found.failures] == list(BREACHES)
    for failure, text in zip(found.failures, BREACHES.values(), strict=True):
        assert text in failure


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 20])
def test_damage_is_seeded_and_changes_something(content):
    damaged_copies = [mutated(content, Random(number)) for number in range(300)]
    assert damaged_copies == [mutated(content, Random(number)) for number in range(300)]
    assert sum(damaged != content for damaged in damaged_copies) > (150 if content else 20)


def test_damaged_documents_keep_the_original():
    document = {"a": [1, {"b": "c"}], "d": None}
    damaged_copies = [mutated_document(document, Random(number)) for number in range(300)]
    assert document == {"a": [1, {"b": "c"}], "d": None}
    assert sum(repr(damaged) != repr(document) for damaged in damaged_copies) > 250
    assert len({repr(damaged) for damaged in damaged_copies}) > 2 * len(WRONG_VALUES)
