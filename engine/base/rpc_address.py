"""How an RPC server is named, for the settings, the command line and the engine's process."""

from __future__ import annotations

import re

from engine.base.errors import KnownError

ADDRESS = r"[A-Za-z0-9._-]+:\d{1,5}"
ADDRESS_HINT = "use host:port, as in workstation:50052"
ENVIRONMENT = "LLAMARIUM_RPC_SERVERS"
"""The variable that hands the addresses to the engine's process, commas between them."""


def address_of(text: str) -> tuple[str, int]:
    """Host and port of an address. Raises `KnownError` for anything else."""
    host, _, port = text.strip().rpartition(":")
    if re.fullmatch(ADDRESS, text.strip()) is None or not 0 < int(port) < 1 << 16:
        raise KnownError("This is no address of an RPC server", value=text[:80], next_step=ADDRESS_HINT)
    return host, int(port)
