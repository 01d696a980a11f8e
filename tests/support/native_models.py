"""Model files of any architecture without weights: the engine says which tensors the metadata ask for.

A file is the header and a hole of the right size (nothing reads the weights in a dry run), so DeepSeek-V3 takes no more
of the disk than a tiny model. The engine is asked in a process of its own, for hostile metadata end it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.gguf.types import TensorType, ValueType, tensor_bytes
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf

Meta = bool | int | float | str | Sequence[int] | Sequence[bool]


def entries_of(metadata: Mapping[str, Meta]) -> list[Entry]:
    """Metadata as entries, whole numbers as u32, sequences as arrays."""
    kinds = {bool: ValueType.BOOL, int: ValueType.UINT32, float: ValueType.FLOAT32, str: ValueType.STRING}
    found = []
    for key, value in metadata.items():
        if isinstance(value, bool | int | float | str):
            found.append(entry(key, kinds[type(value)], value))
        else:
            found.append(array(key, ValueType.BOOL if isinstance(value[0], bool) else ValueType.UINT32, value))
    return found


def shapes_of(metadata: Mapping[str, Meta], folder: Path) -> dict[str, tuple[int, ...]]:
    """Every tensor that the engine would make from these metadata, with its shape (row length first)."""
    path = folder / "metadata.gguf"
    path.write_bytes(gguf(entries_of(metadata)))
    done = subprocess.run([sys.executable, "-c", _ASK, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: tuple(shape) for name, shape in found}


def hollow_model(
    path: Path,
    metadata: Mapping[str, Meta],
    *,
    dropped: str = r"\.bias$",
    matrices: TensorType = TensorType.Q4_K,
    embedding: TensorType = TensorType.Q6_K,
    kept: str = r"^$",
) -> Path:
    """Write a model of this architecture, whose weights are a hole.

    Args:
        dropped: names of optional tensors that this model does not have; the engine would invent all of them.
        matrices, embedding: types of matrices and of what is as wide as the vocabulary; rows that are no whole blocks are F16.
        kept: names that are not dropped all the same.
    """
    tensors = []
    for name, shape in shapes_of(metadata, path.parent).items():
        if re.search(dropped, name) and not re.search(kept, name):
            continue
        kind = TensorType.F32
        if len(shape) >= 2 and min(shape[:2]) >= 16 and name.endswith(".weight"):
            wanted = embedding if "embd" in name or name == "output.weight" else matrices
            kind = wanted if shape[0] % wanted.block_size == 0 else TensorType.F16
            if "conv" in name or "time_mix" in name or "ffn_gate_inp" in name:
                kind = TensorType.F32
        tensors.append(Tensor(name.encode(), shape, kind))
    header = gguf(entries_of(metadata), tensors, with_data=False)
    end = 0
    for each in tensors:
        end = -(-end // 32) * 32 + tensor_bytes(each.type, each.shape)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(-(-len(header) // 32) * 32 + end)
    return path


_ASK = """
import ctypes, json, sys
import llama_cpp.llama_cpp as llama

llama.llama_backend_init()
folder = llama._lib._name.rsplit("/", 1)[0]
base = ctypes.CDLL(folder + "/libggml-base.so")


class Init(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


class Tensor(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4)]


class Pair(ctypes.Structure):
    _fields_ = [("text", ctypes.c_void_p), ("length", ctypes.c_size_t), ("own", ctypes.c_char * 16),
                ("tensor", ctypes.POINTER(Tensor))]


class Vector(ctypes.Structure):
    _fields_ = [("first", ctypes.c_void_p), ("last", ctypes.c_void_p), ("end", ctypes.c_void_p)]


base.gguf_init_from_file.argtypes = [ctypes.c_char_p, Init]
base.gguf_init_from_file.restype = ctypes.c_void_p
metadata = base.gguf_init_from_file(sys.argv[1].encode(), Init(True, None))
params = llama.llama_model_default_params()
params.no_alloc = True
params.load_mtp = True
params.n_gpu_layers = 0
model = llama.llama_model_init_from_user(metadata, llama.llama_model_set_tensor_data_t(lambda *_: None), None, params)
assert model
ask = getattr(llama._lib, "_Z29llama_internal_get_tensor_mapB5cxx11PK11llama_model")
ask.argtypes, ask.restype = [ctypes.c_void_p], ctypes.POINTER(Vector)
found = ask(model).contents
count = (found.last - found.first) // ctypes.sizeof(Pair)
pairs = (Pair * count).from_address(found.first)
shapes = {}
for each in pairs:
    name = ctypes.string_at(each.text, each.length).decode()
    shape = list(each.tensor.contents.ne)
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    shapes.setdefault(name, shape)
print(json.dumps(list(shapes.items())))
"""
