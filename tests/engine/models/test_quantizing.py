"""What llama-quantize would make of a model is what it makes of it, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.gguf.reader import read_header
from engine.models.quantizing import FILE_TYPES, QuantizedModel, tensor_type
from tests.support.made_models import layered_llama
from tests.support.native_quantizer import quantized


@pytest.mark.parametrize(
    ("n_embd", "n_head", "n_head_kv", "n_ff"), [(256, 4, 4, 512), (256, 8, 2, 512), (64, 2, 1, 160)]
)
def test_every_tensor_gets_the_type_that_the_engine_gives_it(
    tmp_path: Path, n_embd: int, n_head: int, n_head_kv: int, n_ff: int
) -> None:
    n_layer = 17
    source = layered_llama(tmp_path / "f32.gguf", n_layer, n_embd, n_head, n_head_kv, n_ff)
    made = quantized(source, tmp_path, [each.file_type for each in FILE_TYPES.values()])
    for label, file_type in FILE_TYPES.items():
        model = QuantizedModel(file_type, n_layer, n_head // n_head_kv)
        for each in read_header(made[file_type.file_type]).tensors:
            steps = each.name.removesuffix(".weight").split(".")
            layer = int(steps[1]) if len(steps) > 2 else 0
            assert tensor_type(model, steps[-1], each.shape, layer) is each.type, (label, each.name)
