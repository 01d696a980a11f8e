"""Token ids as a column: 32-bit integers, little endian, compressed by zlib.

A prompt of 4,000 tokens takes about 9 kB so; as JSON it would be 24 kB, and a row a token would be 4,000 rows. They
stand in a table of their own, because lists of runs are read often and their tokens hardly ever.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

MOST_TOKENS = 16_777_216
"""The longest context that can be asked for; a column that holds more is damaged or made to do harm."""


class DamagedTokens(ValueError):
    """The bytes are no token ids."""


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids as stored."""
    return zlib.compress(struct.pack(f"<{len(tokens)}i", *tokens), 6)


def unpack(packed: bytes) -> tuple[int, ...]:
    """Stored token ids.

    Raises:
        DamagedTokens: they are not what `pack` made, or more than `MOST_TOKENS`.
    """
    inflating = zlib.decompressobj()
    try:
        raw = inflating.decompress(packed, 4 * MOST_TOKENS)
    except zlib.error as error:
        raise DamagedTokens(str(error)) from error
    if not inflating.eof or inflating.unused_data or len(raw) % 4:
        raise DamagedTokens(f"{len(packed)} bytes do not end where they should")
    return struct.unpack(f"<{len(raw) // 4}i", raw)
