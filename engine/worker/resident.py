"""What of this process is in memory: the most since a moment, and how much of it is pages of files.

Pages of a mapped model are the page cache's: the system takes them back when it needs room, and reads them again. Linux
tells both; elsewhere they are None, and nobody guesses.
Source: proc(5), `/proc/pid/status` (VmHWM, RssFile) and `/proc/pid/clear_refs` (5 begins the peak anew).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from engine.base.fields import Value
from engine.wire.messages import BufferUse

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def begin_peak() -> bool:
    """Begin to count the most that is resident from now on; False where the system does not let us."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """The most that was resident since `begin_peak`, in bytes; None where the system does not tell."""
    return _status("VmHWM")


def file_bytes() -> int | None:
    """The pages of files that are resident, in bytes; None where the system does not tell."""
    return _status("RssFile")


def work_bytes(
    model: Any,
    context: Any,
    options: Mapping[str, Value],
    buffers: Sequence[BufferUse],
    uses_flash_attention: bool | None,
) -> int:
    """ggml's work buffer on the CPU, where it is worth a word: attention's scores as 16-bit numbers, without flash attention.

    Source: ggml-cpu.c, `ggml_graph_plan` (GGML_OP_MUL_MAT).
    """
    has_cache = any(each.context_bytes > each.recurrent_bytes for each in buffers if each.device == "CPU")
    if not has_cache or options["type_v"] == "f32" or uses_flash_attention is not False:
        return 0
    n_tokens = min(llama.llama_n_ubatch(context), llama.llama_n_ctx(context))
    return int(2 * n_tokens * llama.llama_model_n_head(model) * llama.llama_n_ctx_seq(context))


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split()
        if name == key and len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            return int(words[0]) * 1024
    return None
