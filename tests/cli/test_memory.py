"""What glibc keeps is written to again without a page fault; other C libraries are left alone."""

import ctypes
import resource
import sys

import pytest

from mien.cli.memory import keep_freed_memory

SIZE = 64 * 2**20  # bytes, above the 32 MiB from which on glibc asks the kernel by itself


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_a_large_block_is_fetched_from_the_kernel_once() -> None:
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = ctypes.c_void_p(libc.malloc(SIZE))
        libc.memset(block, 1, SIZE)
        libc.free(block)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < SIZE // resource.getpagesize() // 10


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory()
