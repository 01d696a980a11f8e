"""A model's name on screen, from its file name: what tells versions and quantizations apart."""

from __future__ import annotations

from pathlib import Path


def model_label(path: Path) -> str:
    """The file name without ".gguf" (or ".gguf.header", of a model that is not here) and without the part numbers of a split model."""
    stem = path.name.removesuffix(".header").removesuffix(".gguf")
    head, of, _total = stem.rpartition("-of-")
    return head.rpartition("-")[0] if of and head.rpartition("-")[2].isdigit() else stem
