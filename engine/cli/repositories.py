"""`models files` and what the other commands print of a repository on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.base.errors import KnownError
from engine.cli.session import Session
from engine.gguf.card import bytes_text, size_label
from engine.models.remote import RemoteModel
from engine.models.safetensors import SafetensorsModel
from engine.workbench.hub_desk import OnHub, Repository


def files(session: Session) -> int:
    """The GGUF files of a repository with size and quantization."""
    target = session.arguments.target
    if not target:
        raise KnownError("Which repository?", next_step="give OWNER/REPO, as on the hub's page")
    found = session.ask_hub(lambda then, failed: session.workbench.hub.files(target, then, failed))
    assert isinstance(found, Repository)
    _put(session, found)
    return 0


def show_repository(session: Session, found: OnHub) -> int:
    """A repository in place of one model: its files, or what its Safetensors files hold."""
    if found.weights is not None:
        session.put(safetensors_document(found.weights), safetensors_lines(found.weights))
    else:
        assert found.repository is not None
        _put(session, found.repository)
    return 0


def safetensors_document(weights: SafetensorsModel) -> dict[str, Any]:
    """A Safetensors repository as the commands print it."""
    return {
        "path": str(weights.address),
        "kind": "safetensors",
        "architecture": weights.architecture,
        "n_params": None if weights.is_packed else weights.n_params,
        "size": weights.size_bytes,
        "types": dict(weights.types),
        "n_layer": weights.n_layer,
        "n_embd": weights.n_embd,
        "n_head": weights.n_head,
        "n_head_kv": weights.n_head_kv,
        "n_ff": weights.n_ff,
        "n_vocab": weights.n_vocab,
        "n_ctx_train": weights.n_ctx_train,
        "quantizations": [
            {"type": each.label, "weights": each.size_bytes, "bits_per_weight": each.bits_per_weight, "estimated": True}
            for each in weights.estimates
        ],
    }


def safetensors_lines(weights: SafetensorsModel) -> Iterator[str]:
    """The same for a person."""
    rows = (
        ("On the hub", f"{weights.address}, Safetensors, no GGUF file"),
        ("Architecture", weights.architecture or "unknown"),
        (
            "Parameters",
            "unknown: the weights are packed"
            if weights.is_packed
            else f"{size_label(weights.n_params)} ({weights.n_params:,})",
        ),
        ("Types", ", ".join(f"{name} {n:,}" for name, n in weights.types)),
        ("Size", bytes_text(weights.size_bytes)),
        ("Layers", _number(weights.n_layer)),
        ("Hidden size", _number(weights.n_embd)),
        ("Heads", f"{_number(weights.n_head)}, {_number(weights.n_head_kv)} of keys and values"),
        ("Feed-forward size", _number(weights.n_ff)),
        ("Vocabulary", _number(weights.n_vocab)),
        ("Trained context", _number(weights.n_ctx_train)),
    )
    for label, text in rows:
        yield f"{label:<18}{text}"
    if weights.estimates:
        yield "as GGUF, estimated, weights alone:"
    for each in weights.estimates:
        yield f"  {each.label:<8}{bytes_text(each.size_bytes):>12}   {each.bits_per_weight:.2f} bits per weight"


def _put(session: Session, found: Repository) -> None:
    document = {
        "repository": found.address.repo,
        "revision": found.address.revision,
        "models": [_document(each) for each in found.models],
        "safetensors": found.n_safetensors,
    }
    lines = [_line(each) for each in found.models]
    if not lines:
        more = f"; {found.n_safetensors} Safetensors files: see `models show {found.address}`"
        lines = ["no GGUF files" + (more if found.n_safetensors else "")]
    session.put(document, lines)


def _document(model: RemoteModel) -> dict[str, Any]:
    return {
        "path": str(model.address),
        "file": model.address.file,
        "size": model.size_bytes,
        "files": model.n_files,
        "kind": model.kind.value,
        "quantization": model.quant or None,
    }


def _line(model: RemoteModel) -> str:
    parts = f"{model.n_files} files" if model.n_files > 1 else ""
    return f"{model.quant or '–':<12}{bytes_text(model.size_bytes):>12}  {parts:<10}{model.address.file}"


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
