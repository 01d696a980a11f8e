"""A GGUF file that holds something else than a model is refused for what it is, before llama.cpp sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.types import ValueType
from engine.runtime.dry_run import plan_load
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf

LLAMA = entry("general.architecture", ValueType.STRING, "llama")


@pytest.mark.parametrize(
    ("entries", "tensors", "words"),
    [
        ([LLAMA, entry("general.type", ValueType.STRING, "adapter")], (Tensor(),), "LoRA adapter"),
        ([entry("general.architecture", ValueType.STRING, "controlvector")], (Tensor(),), "control vector"),
        ([entry("general.architecture", ValueType.STRING, "clip")], (Tensor(),), "projector for images"),
        ([entry("general.type", ValueType.STRING, "imatrix")], (Tensor(),), "importance matrix"),
        ([LLAMA, array("tokenizer.ggml.tokens", ValueType.STRING, ["a"])], (), "only a vocabulary"),
        ([LLAMA, entry("llama.block_count", ValueType.UINT32, 2)], (), "only metadata"),
        ([], (Tensor(),), "no language model"),
    ],
)
def test_the_worker_says_what_the_file_is(
    tmp_path: Path, entries: list[Entry], tensors: tuple[Tensor, ...], words: str
) -> None:
    path = tmp_path / "file.gguf"
    path.write_bytes(gguf(entries, tensors))
    with pytest.raises(KnownError, match=words) as caught:
        plan_load(str(path), {})
    assert caught.value.trouble.next_step
