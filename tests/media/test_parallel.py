"""Threads that work ahead keep the order, hold few results, and stop."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mien.core.errors import MienError
from mien.media.parallel.ahead import Ahead, in_batches, map_ahead


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
from mien.media.parallel.ahead import Ahead

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


def ended(program: str) -> tuple[int, str, str]:
    """Its exit code, and what it printed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_pool_works_on_after_the_main_thread_has_ended() -> None:
    program = """
import threading, time
from mien.media.parallel.ahead import map_ahead
from mien.media.parallel.threads import Pool

def later():
    time.sleep(0.3)
    print(Pool(2, "later").submit(pow, 2, 5).result(), list(map_ahead(abs, [-1, -2])))

threading.Thread(target=later).start()
"""
    assert ended(program) == (0, "32 [1, 2]\n", "")


def test_the_end_of_a_program_waits_for_a_call_in_a_daemon_thread_and_begins_no_other() -> None:
    program = """
import sys, threading, time
from mien.media.parallel.threads import finished_at_exit

@finished_at_exit
def call():
    begun.set()
    time.sleep(0.3)
    print("finished", flush=True)

def work():
    while True:
        call()

begun = threading.Event()
threading.Thread(target=work, daemon=True).start()
begun.wait()
sys.exit(3)
"""
    assert ended(program) == (3, "finished\n", "")


def test_a_copied_process_has_pools_of_its_own_and_does_not_wait_for_what_is_not_copied() -> None:
    program = """
import os, time
from mien.core.errors import MienError
from mien.media.parallel.ahead import Ahead
from mien.media.parallel.threads import Pool

def slow():
    while True:
        time.sleep(0.2)
        yield 1

pool = Pool(1, "both")
pool.submit(time.sleep, 0.5)
waiting = pool.submit(abs, -1)
ahead = Ahead(slow(), 1)
if os.fork() == 0:
    print(pool.submit(abs, -3).result(), flush=True)
    for wait in (waiting.result, ahead.__next__):
        try:
            wait()
        except MienError as error:
            print(error, flush=True)
    os._exit(0)
os.wait()
print(next(ahead), waiting.result())
"""
    why = "A stream that is being read does not go on in a copied process (fork); begin it there."
    assert ended(program) == (0, f"3\n{why}\n{why}\n1 1\n", "")
