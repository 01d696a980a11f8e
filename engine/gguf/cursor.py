"""A bounds-checked position in a file, read through a moving window of one mebibyte.

Every length is compared with the bytes that are left before anything is read or allocated. Rejected: mmap (a file that
is shortened while it is mapped kills the whole window with SIGBUS), and reading the header in one piece (its length is
known only at its end, and hostile files say anything).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from engine.gguf.header import GgufError

WINDOW_BYTES = 1 << 20
MAX_STRING_BYTES = 1 << 30
"""The engine's own limit for one string (GGUF_MAX_STRING_LENGTH)."""

DOWNLOAD_AGAIN = "download the file again"

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class ShortRead(GgufError):
    """The file gave fewer bytes than its size says: it became shorter, or only its beginning is here (`n_needed`)."""

    def __init__(self, what: str, n_needed: int, n_found: int, file_size: int) -> None:
        super().__init__(
            f"The file became shorter while {what} was read",
            value=f"byte {n_found:,} of {file_size:,}",
            next_step="wait until the download has ended, then open the file again",
        )
        self.n_needed = n_needed


class Cursor:
    """Reads little-endian values one after the other; `what` of each method names the value in an error."""

    __slots__ = ("_file", "_window", "_window_start", "file_size", "offset")

    def __init__(self, file: BinaryIO, file_size: int) -> None:
        self._file = file
        self._window = b""
        self._window_start = 0
        self.file_size = file_size
        self.offset = 0

    @property
    def n_left(self) -> int:
        """Bytes from here to the end of the file."""
        return self.file_size - self.offset

    def u32(self, what: str) -> int:
        """The next 4 bytes as an unsigned number."""
        at = self._reach(4, what)
        self.offset += 4
        value: int = _U32.unpack_from(self._window, at)[0]
        return value

    def u64(self, what: str) -> int:
        """The next 8 bytes as an unsigned number."""
        at = self._reach(8, what)
        self.offset += 8
        value: int = _U64.unpack_from(self._window, at)[0]
        return value

    def take(self, n_bytes: int, what: str) -> bytes:
        """The next `n_bytes`. The caller keeps `n_bytes` small; here it is only held against the end of the file."""
        at = self._reach(n_bytes, what)
        self.offset += n_bytes
        return self._window[at : at + n_bytes]

    def skip(self, n_bytes: int, what: str) -> None:
        """Step over `n_bytes` without reading them."""
        if n_bytes > self.n_left:
            raise self.ends_inside(what, n_bytes)
        self.offset += n_bytes

    def string_length(self, what: str) -> int:
        """The length in bytes of the string that starts here, checked against the file and the engine's limit."""
        n_bytes = self.u64(what)
        if n_bytes > min(self.n_left, MAX_STRING_BYTES):
            raise self._string_too_long(what, n_bytes, self.offset - 8)
        return n_bytes

    def skip_strings(self, count: int, what: str) -> None:
        """Step over `count` strings: the hot loop of a header, 262,144 turns for Gemma's vocabulary."""
        if count * 8 > self.n_left:
            raise self.ends_inside(what, count * 8)
        unpack = _U64.unpack_from
        n_done = 0
        while n_done < count:
            at = self._reach(8, what)
            window = self._window
            last = len(window) - 8
            n_bytes = 0
            n_passed = count
            for n_passed in range(n_done, count):  # noqa: B007 (where the loop stopped is the result)
                if at > last:
                    break
                n_bytes = unpack(window, at)[0]
                at += 8 + n_bytes
            else:
                n_passed = count
            n_done = n_passed
            end = self._window_start + at
            # A string that is longer than it may be ends the loop at once, because it leaves the window.
            if end > self.file_size or n_bytes > MAX_STRING_BYTES:
                raise self._string_too_long(f"{what}, string {n_done - 1:,}", n_bytes, end - n_bytes - 8)
            self.offset = end

    def ends_inside(self, what: str, n_needed: int) -> GgufError:
        """The error of a file that is too short for what it announces here."""
        return GgufError(
            f"The file ends inside {what}",
            value=f"{n_needed:,} bytes needed at byte {self.offset:,}, {max(self.n_left, 0):,} left",
            next_step=DOWNLOAD_AGAIN,
        )

    def _string_too_long(self, what: str, n_bytes: int, offset: int) -> GgufError:
        return GgufError(
            f"The length of {what} cannot be right",
            value=f"{n_bytes:,} bytes at byte {offset:,} of {self.file_size:,}",
            next_step=DOWNLOAD_AGAIN,
        )

    def _reach(self, n_bytes: int, what: str) -> int:
        """Where in the window the next `n_bytes` start, after moving the window if it must."""
        at = self.offset - self._window_start
        if at >= 0 and at + n_bytes <= len(self._window):
            return at
        if n_bytes > self.n_left:
            raise self.ends_inside(what, n_bytes)
        self._file.seek(self.offset)
        self._window = self._file.read(min(max(n_bytes, WINDOW_BYTES), self.n_left))
        self._window_start = self.offset
        if len(self._window) < n_bytes:
            raise ShortRead(what, self.offset + n_bytes, self.offset + len(self._window), self.file_size)
        return 0
