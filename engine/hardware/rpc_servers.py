"""Devices of other computers: llama.cpp's RPC servers, each asked first whether it is one.

The client of llama.cpp ends the process where a server's answer is not what it expects, and waits without end where none
comes. So a server has to say hello to us, within a time limit, before llama.cpp is told of it. A server serves one
client at a time, which is why one that is at work does not answer either.

Source: llama.cpp ggml/src/ggml-rpc (`RPC_CMD_HELLO`, `ggml_backend_rpc_add_server`), common/arg.cpp `add_rpc_devices`.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.base.errors import KnownError
from engine.base.rpc_address import ENVIRONMENT, address_of

PROTOCOL_MAJOR, PROTOCOL_MINOR = 7, 0
HELLO, CAPABILITIES_BYTES = 14, 24
ANSWER_BYTES = 4 + CAPABILITIES_BYTES
CONNECTED_WITHIN_S, ANSWERED_WITHIN_S = 2.0, 6.0  # a plan of a load that goes on beside may hold the server for seconds


def asked_for() -> tuple[str, ...]:
    """The addresses that this process was started with."""
    return tuple(each for each in os.environ.get(ENVIRONMENT, "").split(",") if each)


def greeted(
    addresses: Sequence[str], within_s: float = ANSWERED_WITHIN_S
) -> tuple[tuple[str, ...], tuple[KnownError, ...]]:
    """The servers that answered as they should, in the order given, and what is wrong with the others.

    Args:
        addresses: `host:port` each; all are asked at once.
        within_s: how long one may take.
    """
    if not addresses:
        return (), ()

    def said(address: str) -> KnownError | None:
        try:
            greet(address, within_s)
        except KnownError as error:
            return error
        return None

    with ThreadPoolExecutor(len(addresses)) as pool:
        answers = list(pool.map(said, addresses))
    good = tuple(address for address, error in zip(addresses, answers, strict=True) if error is None)
    return good, tuple(error for error in answers if error is not None)


def greet(address: str, within_s: float = ANSWERED_WITHIN_S) -> None:
    """Say hello to a server.

    Raises:
        KnownError: it is not there, does not answer, is no RPC server, or speaks another version.
    """
    host, port = address_of(address)
    try:
        with socket.create_connection((host, port), timeout=min(within_s, CONNECTED_WITHIN_S)) as connection:
            connection.settimeout(within_s)
            connection.sendall(struct.pack("<BQ", HELLO, CAPABILITIES_BYTES) + bytes(CAPABILITIES_BYTES))
            (n_bytes,) = struct.unpack("<Q", _received(connection, 8))
            if n_bytes != ANSWER_BYTES:
                raise ValueError(f"{n_bytes} bytes")
            major, minor, patch = _received(connection, ANSWER_BYTES)[:3]
    except TimeoutError:
        raise KnownError(
            "The RPC server does not answer",
            value=f"{address}, within {within_s:g} s",
            next_step="it serves one program at a time: close the others that use it, or restart it",
        ) from None
    except OSError as error:
        raise KnownError(
            "The RPC server cannot be reached",
            value=f"{address}: {error.strerror or error}",
            next_step="start it there (llamarium rpc-server), or take its address out of the settings",
        ) from None
    except ValueError as error:
        raise KnownError(
            "This is no RPC server of llama.cpp",
            value=f"{address}: {error}",
            next_step="check the address and the port",
        ) from None
    if major != PROTOCOL_MAJOR or minor > PROTOCOL_MINOR:
        raise KnownError(
            "The RPC server speaks another version",
            value=f"{address}: {major}.{minor}.{patch}, this engine {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}",
            next_step="use the same version of Llamarium on both computers",
        )


def _received(connection: socket.socket, n_bytes: int) -> bytes:
    found = b""
    while len(found) < n_bytes:
        part = connection.recv(n_bytes - len(found))
        if not part:
            raise ValueError("it closed the connection")
        found += part
    return found
