"""The engine's own quantizer, in a process of its own: what our rules for mixtures are held against."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_CODE = """
import sys, llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.nthread = 1
for number in sys.argv[3:]:
    params.ftype = int(number)
    if llama_cpp.llama_model_quantize(sys.argv[1].encode(), f"{sys.argv[2]}/{number}.gguf".encode(), params):
        sys.exit(f"file type {number} failed")
"""


def quantized(source: Path, folder: Path, file_types: Iterable[int]) -> dict[int, Path]:
    """The model `source` (F32) in each of these quantizations, by their numbers (`llama_ftype`)."""
    numbers = [str(each) for each in file_types]
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(source), str(folder), *numbers],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {int(each): folder / f"{each}.gguf" for each in numbers}
