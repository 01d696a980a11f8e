"""`rpc-server`: lend this computer's devices to the engine of another one."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import subprocess

from engine.base.errors import KnownError
from engine.base.rpc_address import address_of
from engine.cli.session import Session
from engine.runtime.client import program

LOOPBACK = "localhost"
PORT = 50052


def add_rpc_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=LOOPBACK, help=f"the address to listen on. Default: {LOOPBACK}")
    parser.add_argument("--port", type=int, default=PORT, help=f"Default: {PORT}")
    parser.add_argument(
        "--threads", type=int, default=0, help="threads of a CPU that is lent. Default: one for each core"
    )
    parser.add_argument(
        "--cache", action="store_true", help="keep large tensors that clients send, so that they are sent only once"
    )


def rpc_server(session: Session) -> int:
    """Serve until Ctrl+C. Exit code 0 after that, 2 when the server could not begin."""
    given = session.arguments
    address = f"{given.host}:{given.port}"
    host, port = address_of(address)
    number = _number_of(host)
    _refuse_taken(number, port)
    cache = session.workbench.paths.cache / "rpc"
    if given.cache:
        cache.mkdir(parents=True, exist_ok=True)
    session.note(
        f"RPC server on {address}; other computers use it with --rpc {address}, or in the settings. Ctrl+C ends it."
    )
    if not ipaddress.ip_address(number).is_loopback:
        session.note(
            "It asks for no password and encrypts nothing: whoever reaches this address can use this computer's memory "
            "and processor. Use it only in a network that you trust."
        )
    threads = given.threads or os.cpu_count() or 1
    for each in (signal.SIGINT, signal.SIGTERM):  # a shell has the first ignored in what it starts in the background
        signal.signal(each, signal.default_int_handler)
    server = subprocess.Popen(
        (*program(), "--rpc-server", f"{number}:{port}", str(threads), str(cache) if given.cache else ""),
        stdin=subprocess.PIPE,  # its end, however this process ends, is the end of the server
    )
    try:
        server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        server.wait()
    raise KnownError(
        "The RPC server ended", value=f"exit code {server.returncode}", next_step="what it printed says why"
    )


def _number_of(host: str) -> str:
    """The address of this host in numbers, which is all that the server takes. Raises `KnownError`."""
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise KnownError(
            "There is no such host", value=host, next_step="use a name or address of this computer"
        ) from error


def _refuse_taken(host: str, port: int) -> None:
    """Raise `KnownError` where nobody could listen on this address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise KnownError(
                "This address cannot be listened on",
                value=f"{host}:{port}: {error.strerror or error}",
                next_step="choose another with --host and --port",
            ) from None
