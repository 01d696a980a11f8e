"""Real RPC servers of llama.cpp on the loopback address, started by the program's own command."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.base.errors import KnownError
from engine.hardware.rpc_servers import greet

MAIN = Path(__file__).parents[2] / "main.py"
READY_WITHIN_S = 60.0


class RpcServer:
    """One server; `address` is what a client is told."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        command = [sys.executable, str(MAIN), "rpc-server", "--port", str(self.port), "--threads", "1"]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                return greet(self.address, 1.0)
            except KnownError:
                assert self.process.poll() is None, self.process.communicate()[0]
                assert time.monotonic() < until

    def kill(self) -> None:
        """End it without a word, and what it started."""
        subprocess.run(["pkill", "-KILL", "-s", str(self.process.pid)], check=False)
        self.process.wait()

    def close(self) -> None:
        """As Ctrl+C in its terminal does."""
        if self.process.poll() is None:
            subprocess.run(["pkill", "-INT", "-s", str(self.process.pid)], check=False)
            self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def rpc_servers(folder: Path, n_servers: int = 2) -> Iterator[tuple[RpcServer, ...]]:
    """So many servers that answer."""
    servers = tuple(RpcServer(folder / f"server{number}") for number in range(n_servers))
    try:
        for each in servers:
            each.wait()
        yield servers
    finally:
        for each in servers:
            each.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port
