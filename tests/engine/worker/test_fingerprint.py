"""Which model a file holds: the same wherever it lies, another one when its bytes are others."""

from __future__ import annotations

from pathlib import Path

from engine.gguf.card import read_card
from engine.worker.fingerprint import fingerprint


def test_a_copy_is_the_same_model_and_changed_weights_are_another(tmp_path: Path, smollm2: Path, gemma3: Path) -> None:
    copy = tmp_path / "renamed.gguf"
    raw = bytearray(smollm2.read_bytes())
    copy.write_bytes(raw)
    own = fingerprint(smollm2, read_card(smollm2))
    assert fingerprint(copy, read_card(copy)) == own
    assert fingerprint(gemma3, read_card(gemma3)) != own
    # Fine-tuning changes weights everywhere and neither a size nor the header.
    for place in range(len(raw) // 2, len(raw), 4096):
        raw[place] ^= 1
    copy.write_bytes(raw)
    assert fingerprint(copy, read_card(copy)) != own


def test_a_word_of_the_chat_template_counts_too(tmp_path: Path, smollm2: Path) -> None:
    raw = smollm2.read_bytes()
    copy = tmp_path / "renamed.gguf"
    copy.write_bytes(raw.replace(b"SmolLM", b"SmalLM", 1))
    assert fingerprint(copy, read_card(copy)) != fingerprint(smollm2, read_card(smollm2))
