"""Frames: a message as bytes on a pipe. u32 length (little endian), then JSON.

Rejected: lines of JSON (a length says at once how much must come, and raw float arrays can follow later without
escaping), pickle (runs code), multiprocessing's pipes (fork and spawn traps, and no exit code or stderr).
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec

from engine.wire.messages import Command, Event

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""More than any message needs; a length beyond it is noise on the pipe."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.json.Encoder()

Decoded = TypeVar("Decoded")


class ProtocolFault(Exception):
    """The bytes are not a frame, or the frame is not a message of this protocol."""


def encode(message: Command | Event) -> bytes:
    """One frame: the length and the JSON of the message."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[Decoded]):
    """Reads frames from a blocking binary stream and decodes them to one of the two unions."""

    def __init__(self, stream: BinaryIO, kind: Any) -> None:
        self._stream = stream
        self._decoder: msgspec.json.Decoder[Decoded] = msgspec.json.Decoder(kind)

    def read(self) -> Decoded | None:
        """The next message; None at the end of the stream.

        Raises:
            ProtocolFault: the stream ended inside a frame, a length is absurd, or the JSON is not a message.
        """
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (n_bytes,) = _LENGTH.unpack(head)
        if n_bytes > MAX_FRAME_BYTES:
            raise ProtocolFault(f"a frame of {n_bytes:,} bytes")
        body = self._exactly(n_bytes) if n_bytes else b""
        if body is None:
            raise ProtocolFault("the stream ended inside a frame")
        try:
            return self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise ProtocolFault(f"{error}: {body[:200]!r}") from error

    def _exactly(self, n_bytes: int) -> bytes | None:
        """So many bytes, None when the stream ended before the first of them."""
        parts = bytearray()
        while len(parts) < n_bytes:
            chunk = self._stream.read(n_bytes - len(parts))
            if not chunk:
                if parts:
                    raise ProtocolFault("the stream ended inside a frame")
                return None
            parts += chunk
        return bytes(parts)


def command_reader(stream: BinaryIO) -> FrameReader[Command]:
    """Reads what the window sends."""
    return FrameReader(stream, Command)


def event_reader(stream: BinaryIO) -> FrameReader[Event]:
    """Reads what the worker sends."""
    return FrameReader(stream, Event)
