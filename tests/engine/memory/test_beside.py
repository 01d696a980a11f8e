"""Files beside a model: what a LoRA adapter takes is what the engine allocates for it, and what is no such file is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from engine.base.errors import KnownError
from engine.gguf.card import read_card
from engine.gguf.reader import read_header
from engine.gguf.types import TensorType, ValueType
from engine.memory.beside import beside
from engine.memory.ledger import Part
from engine.worker.binding import NativeLog, start_backends
from tests.support.adapters import RANK, WIDTH, adapter, projector
from tests.support.gguf_writer import Tensor, entry, gguf

ROOT = Path(__file__).parents[3]
N_LAYER = 30


def test_an_adapter_takes_what_the_engine_allocates_for_it(tmp_path: Path, smollm2: Path) -> None:
    file = adapter(tmp_path / "adapter.gguf")
    found = beside(read_header(file), read_card(file), read_card(smollm2))
    assert (found.part, found.size_bytes) == (Part.BESIDE, 10 * 2 * 2 * 4 * WIDTH * RANK)
    start_backends()
    log = NativeLog()
    try:
        model = llama.llama_model_load_from_file(str(smollm2).encode(), llama.llama_model_default_params())
        lora = llama.llama_adapter_lora_init(model, str(file).encode())
        assert lora
        said = re.search(r"LoRA buffer size = *([\d.]+) MiB", log.tail())
        llama.llama_model_free(model)
    finally:
        log.close()
    assert said is not None
    assert float(said[1]) == round(found.size_bytes / 2**20, 2)


def test_a_control_vector_has_a_row_for_each_layer_but_the_first(tmp_path: Path, smollm2: Path) -> None:
    file = tmp_path / "vector.gguf"
    rows = [Tensor(f"direction.{layer}".encode(), (WIDTH,), TensorType.F32) for layer in range(1, N_LAYER)]
    file.write_bytes(gguf([entry("general.architecture", ValueType.STRING, "controlvector")], rows))
    found = beside(read_header(file), read_card(file), read_card(smollm2))
    assert (found.size_bytes, found.is_estimate) == (4 * WIDTH * (N_LAYER - 1), False)


def test_what_is_not_used_beside_this_model_is_refused(tmp_path: Path, smollm2: Path) -> None:
    other = adapter(tmp_path / "other.gguf", "qwen2")
    with pytest.raises(KnownError, match=r"another architecture.*qwen2, the model is llama"):
        beside(read_header(other), read_card(other), read_card(smollm2))
    with pytest.raises(KnownError, match="nothing that is used beside"):
        beside(read_header(smollm2), read_card(smollm2), read_card(smollm2))


def test_size_counts_them(tmp_path: Path, smollm2: Path) -> None:
    lora = adapter(tmp_path / "adapter.gguf")
    seen = projector(tmp_path / "mmproj.gguf")
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        "size",
        str(smollm2),
        "--json",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    done = subprocess.run(
        [*command, "--with", str(lora), "--with", str(seen)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["devices"][0]["parts"]["beside"] == 10 * 2 * 2 * 4 * WIDTH * RANK + 4 * 64 * 64
    assert "beside" in found["estimated"]
    assert found["total"] == found["devices"][0]["sum"]
    alone = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)
    assert found["max_n_ctx"] is not None
    assert found["total"] - alone["total"] >= found["devices"][0]["parts"]["beside"] - 2**20  # the process may differ
    a_token = alone["devices"][0]["parts"]["kv"] / 4096
    assert found["max_n_ctx"] * a_token < found["devices"][0]["free"]
    assert subprocess.run([*command, "--with", str(smollm2)], capture_output=True, check=False).returncode == 2
