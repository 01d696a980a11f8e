"""Opens a file that is said to be GGUF, or says what it is instead.

Kept apart from the parser because these are the errors people really meet: a path that is gone, a web page saved under a
model's name, a Git LFS pointer. Each names its own next step.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from engine.gguf.header import GgufError

_SIGNATURES = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the model", "fetch the real file with `git lfs pull`"),
    (b"<", "it is a web page or XML", "download the file itself, not its page; gated models need a login"),
    (b"{", "it is JSON, perhaps an error message", "open it in a text editor to see what the server said"),
    (b"PK\x03\x04", "it is a ZIP archive or a PyTorch model", "choose the .gguf file of this model"),
    (b"lmgg", "it is a model of the old GGML format", "download a GGUF version of this model"),
    (b"tjgg", "it is a model of the old GGJT format", "download a GGUF version of this model"),
    (b"FUGG", "its first bytes are swapped", "download the little-endian file of this model"),
)


def open_file(path: Path) -> BinaryIO:
    """The file, open for reading bytes. Errors: `GgufError` when it is missing, closed to us, or no ordinary file."""
    try:
        # A pipe or a device would block for ever, so its kind is looked at before it is opened.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise GgufError(
                "This is a folder, not a model file", value=path_text(path), next_step="choose a .gguf file in it"
            )
        if not stat.S_ISREG(mode):
            raise GgufError("This is not an ordinary file", value=path_text(path), next_step="choose a .gguf file")
        return open(path, "rb")
    except FileNotFoundError:
        raise GgufError(
            "The model file is not there",
            value=path_text(path),
            next_step="check the path, or look for it on the Models page",
        ) from None
    except PermissionError:
        raise GgufError(
            "The model file may not be read", value=path_text(path), next_step="give yourself permission to read it"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise GgufError(
            "The model file cannot be opened",
            value=f"{path_text(path)}: {reason}",
            next_step="check the disk and the path",
        ) from error


def not_gguf(start: bytes) -> GgufError:
    """The error of a file whose first bytes are `start` and not GGUF's magic."""
    if start[8:10] == b'{"':  # a length of eight bytes, then JSON
        return GgufError(
            "This is not a GGUF file: it is a Safetensors file",
            value=f"starts with {start[:8]!r}",
            next_step="choose a GGUF version of this model, or convert it with llama.cpp's convert_hf_to_gguf.py",
        )
    for signature, meaning, next_step in _SIGNATURES:
        if start.startswith(signature):
            return GgufError(
                f"This is not a GGUF file: {meaning}", value=f"starts with {start[:8]!r}", next_step=next_step
            )
    return GgufError("This is not a GGUF file", value=f"starts with {start[:8]!r}", next_step="choose a .gguf file")


def unreadable(error: OSError) -> GgufError:
    """The error of a disk or network share that fails while the file is read."""
    return GgufError(
        "The file cannot be read", value=error.strerror or str(error), next_step="check the disk, then open it again"
    )


def path_text(path: Path | str) -> str:
    """The path for a message; bytes of a name that are no text become U+FFFD, so that the message can be stored."""
    return str(path).encode("utf-8", errors="surrogatepass").decode("utf-8", errors="replace")
