"""Threads that work ahead keep the order, hold few results, and stop."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mien.core.errors import MienError
from mien.media.parallel import Ahead, in_batches, map_ahead


def test_results_come_in_order_whatever_takes_longer() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(map_ahead(slow_first, range(20), threads=4)) == [i * i for i in range(20)]
    assert list(map_ahead(slow_first, [], threads=4)) == []


def test_items_are_asked_for_only_so_far_ahead() -> None:
    started: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            started.append(i)
            yield i

    results = map_ahead(lambda item: item, items(), threads=2, ahead=3)
    assert next(results) == 0 and len(started) == 4
    assert next(results) == 1 and len(started) == 5


def test_an_error_comes_in_its_place_and_the_rest_is_given_up() -> None:
    begun: list[int] = []

    def fails_at_two(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError("two")
        return item

    results = map_ahead(fails_at_two, range(1000), threads=2, ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(begun) < 20


def test_a_caller_that_stops_leaves_no_thread_at_work() -> None:
    results = map_ahead(lambda item: item, range(1000), threads=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    for _ in range(100):
        if not any(thread.name.startswith("mien-ahead") for thread in threading.enumerate()):
            return
        time.sleep(0.02)
    pytest.fail("a thread is still at work")


def test_batches() -> None:
    assert list(in_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []


def counted(most: int, asked: list[int], closed: list[bool]) -> Iterator[int]:
    try:
        for number in range(most):
            asked.append(number)
            yield number
    finally:
        closed.append(True)


def test_a_thread_ahead_keeps_the_order_and_waits() -> None:
    asked, closed = list[int](), list[bool]()
    with Ahead(counted(50, asked, closed), 3) as ahead:
        assert next(ahead) == 0
        time.sleep(0.05)
        assert len(asked) <= 5  # three wait, one is on its way
        assert [*ahead.ready(2), *ahead] == list(range(1, 50))
    assert closed == [True]


def test_a_thread_ahead_stops_with_its_user_and_closes_the_items() -> None:
    asked, closed = list[int](), list[bool]()
    with Ahead(counted(10**9, asked, closed), 2) as ahead:
        assert next(ahead) == 0
    assert closed == [True] and len(asked) < 10


def test_an_error_of_a_thread_ahead_comes_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("three")

    with Ahead(failing(), 5) as ahead:
        assert [next(ahead), next(ahead)] == [1, 2]
        with pytest.raises(ValueError, match="three"):
            next(ahead)
        with pytest.raises(StopIteration):
            next(ahead)


def test_of_a_live_source_the_newest_items_wait() -> None:
    done = threading.Event()

    def items() -> Iterator[int]:
        yield from range(100)
        done.set()

    with Ahead(items(), 2, newest=True) as ahead:
        assert done.wait(5)
        assert list(ahead)[-2:] == [98, 99]


def test_several_items_come_as_they_are_ready_and_the_rest_at_the_end() -> None:
    with Ahead(iter(range(10)), 4) as ahead:
        assert ahead.several(4) == [0, 1, 2, 3]
        assert ahead.several(16) == [4, 5, 6, 7], "as many as may wait"
        assert ahead.several(4) == [8, 9]
        assert ahead.several(4) == []

    def failing() -> Iterator[int]:
        yield 1
        raise MienError("no more")

    with Ahead(failing(), 4) as ahead:
        assert ahead.several(4) == [1]
        with pytest.raises(MienError, match="no more"):
            ahead.several(4)


def test_a_program_that_ends_with_a_thread_ahead_closes_the_items() -> None:
    program = """
from mien.media.parallel import Ahead

def items():
    try:
        while True:
            yield 1
    finally:
        print("closed")

kept = Ahead(items(), 2)
next(kept)
raise SystemExit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "closed\n", "")
