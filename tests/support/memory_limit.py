"""Makes a single block of code fail when it takes more memory than it may, without slowing it down.

tracemalloc makes the header reader thirty times slower; a limit on the address space costs nothing. Where the system
has no such limit (Windows, macOS), the block runs without it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(n_bytes: int) -> Iterator[None]:
    """Inside, a program that grows by more than `n_bytes` gets a MemoryError."""
    if sys.platform != "linux":
        yield
        return
    import resource

    # Free memory that the heap still holds would be handed out above the limit (glibc; musl keeps none).
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with open("/proc/self/statm") as file:
        now_bytes = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now_bytes + n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
