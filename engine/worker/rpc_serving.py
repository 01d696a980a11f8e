"""This computer as an RPC server of llama.cpp: its devices for the engine of another one.

It is the entry of `main.py --rpc-server ADDRESS THREADS [CACHE]`, a process of its own, because the loop of
`ggml_backend_rpc_start_server` never comes back and is ended with the process. The end of stdin ends it too, so a command
that was killed leaves no server behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from engine.worker import binding


def main(address: str, n_threads: str, cache: str = "") -> int:
    """Serve until the process is ended; returns 1 when the server could not begin (what for was printed)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    binding.start_backends()
    binding.Ggml().serve(address, int(n_threads), cache)
    return 1


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
