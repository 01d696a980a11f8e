"""What to tell when a file is no model to load, or llama.cpp refused it, which gives no reason but the last lines of its log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.gguf.card import Card


def load_trouble(path: Path, log_tail: str) -> KnownError:
    """What to tell when llama.cpp refused a file, from the last lines of its log."""
    lowered = log_tail.lower()
    if "unknown model architecture" in lowered:
        start = lowered.index("unknown model architecture")
        return KnownError(
            "This engine does not know the model's architecture",
            value=log_tail[start:].splitlines()[0][:120],
            next_step="choose another model, or update Llamarium when a newer engine is out",
            remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"),),
            details=log_tail,
        )
    if any(word in lowered for word in ("unable to allocate", "failed to allocate", "out of memory", "bad_alloc")):
        return KnownError(
            "There is not enough memory for the model's weights",
            value=path.name,
            next_step="put fewer layers on the GPU, or choose a smaller quantization",
            remedies=(
                Remedy(RemedyKind.SET_OPTION, "Use the CPU only", "n_gpu_layers=0"),
                Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"),
            ),
            details=log_tail,
        )
    if "does not support split buffers" in lowered:
        return KnownError(
            "This device cannot hold a part of each matrix",
            value="split_mode row",
            next_step="split the model by layers",
            remedies=(Remedy(RemedyKind.SET_OPTION, "Split by layers", "split_mode=layer"),),
            details=log_tail,
        )
    errors = [line for line in log_tail.splitlines() if "error" in line.lower() or "failed" in line.lower()]
    return KnownError(
        "The engine refused the model",
        value=(errors[0] if errors else path.name)[:200],
        next_step="download the file again, or choose another model",
        remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"), Remedy(RemedyKind.RETRY, "Try again")),
        details=log_tail,
    )


def context_trouble(options: Mapping[str, Value], log_tail: str) -> KnownError:
    """What to tell when the weights are there and the context could not be made."""
    lowered = log_tail.lower()
    if "v cache quantization requires flash" in lowered or "quantized v cache" in lowered:
        return KnownError(
            "A quantized V cache needs flash attention",
            value=f"type_v {options['type_v']}, flash_attn {options['flash_attn']}",
            next_step="turn flash attention on, or use f16 for V",
            remedies=(
                Remedy(RemedyKind.SET_OPTION, "Turn flash attention on", "flash_attn=on"),
                Remedy(RemedyKind.SET_OPTION, "Use f16 for V", "type_v=f16"),
            ),
            details=log_tail,
        )
    if "block size" in lowered or "not a multiple" in lowered or "divisible" in lowered:
        return KnownError(
            "This KV cache type does not divide the model's head size",
            value=f"type_k {options['type_k']}, type_v {options['type_v']}",
            next_step="use f16",
            remedies=(Remedy(RemedyKind.SET_OPTION, "Use f16 for K", "type_k=f16"),),
            details=log_tail,
        )
    smaller = max(256, int(str(options["n_ctx"])) // 2)
    return KnownError(
        "The engine could not make the context",
        value=f"{options['n_ctx']:,} tokens, K {options['type_k']}, V {options['type_v']}",
        next_step="use a shorter context or a smaller KV cache type",
        remedies=(Remedy(RemedyKind.SET_OPTION, f"Use {smaller:,} context", f"n_ctx={smaller}"),),
        details=log_tail,
    )


def refuse_other_kinds(card: Card, path: Path) -> None:
    """Raise `KnownError` for GGUF files that hold something else than a model to talk to."""
    if card.kind.refusal is not None:
        what, next_step = card.kind.refusal
        raise KnownError(
            what,
            value=path.name,
            next_step=next_step,
            remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose a model"),),
        )
