"""The weights: every tensor of the file in the buffer it is loaded into, padded as that buffer pads.

    bytes = sum over tensors of PAD(rows · row bytes, alignment)

On the CPU some matrices are rearranged (`CPU_REPACK`). Of a mapped file, one span stays: from the first tensor that is in
RAM as it is to the last. What lies between the two and was rearranged or copied to a GPU has a second copy there. A tensor that serves as embedding and as output is held twice where the two are in different buffers. Layers that predict
further tokens (NextN) stay in the file. A matrix that a device does not take, for its own size or its product's, stays in RAM.
Source: llama-model-loader.cpp create_tensor, llama-arch.cpp's table of layers, ggml-alloc.c, repack.cpp, ggml-cuda.cu.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from engine.gguf.header import TensorInfo
from engine.gguf.types import TensorType
from engine.memory.formula.architecture import Architecture
from engine.memory.formula.placement import CPU, Machine, Placement, on_this_computer

CPU_REPACK = "CPU_REPACK"
HOST_ALIGNMENT, CUDA_ALIGNMENT = 32, 128
CUDA_ROW = 512
"""CUDA pads the last row of a quantized matrix to a multiple of so many elements."""
REPACKED_ROWS = 8
TRIED_TOKENS = 512
"""For so many tokens the loader asks a device whether it multiplies with a weight; the product counts as the weight does."""
EVERY_DEVICE_TAKES = 128 << 20
"""Vulkan's least limit of what a shader may look at (maxStorageBufferRange)."""

OUTPUT_FIRST = frozenset({"gemma3n", "gemma4"})
"""These ask for the output before the embedding, so the two are never found to be one."""

_LAYER = re.compile(r"blk\.(\d+)\.")
_INPUT = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.")
_OUTPUT = ("output.", "output_norm", "cls.", "cls_", "dense_", "altup_", "enc.output_norm", "dec.output_norm")
_OUTPUT_NORMS = {("token_embd_norm.weight", name) for name in ("lfm2", "lfm2moe")}
_OF_EACH_LAYER = ("rope_freqs.", "rope_factors_")
_NOT_MULTIPLIED = re.compile(r"conv1d|ssm_a$|norm|time_mix_(first|lerp|decay\.)|ssm_d$|\.bias$|attn_sinks|rel_b|_scale")


Overrides = tuple[tuple[str, str], ...]
"""Tensors placed by name: a regular expression and a buffer each, the first that finds the name counts."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of the weights.

    Attributes:
        by_buffer: of each buffer, by its name ("CPU", "CPU_REPACK", or a device's).
        mapped_bytes: of a mapped file, what stays in memory beside the copies.
        host_layer_bytes: the largest tensor of a layer that stays in RAM, which a GPU would copy for a large batch.
    """

    by_buffer: Mapping[str, int]
    mapped_bytes: int
    host_layer_bytes: int


@dataclass(slots=True)
class _Group:
    """Tensors that go to one place: their bytes there, and how many of them a processor may rearrange, by type.

    `spans` has the first byte and the end in each file, apart for each type that may be rearranged (None: for the rest).
    `outsized` has each tensor that some devices do not take, with what they would have to take.
    """

    host_bytes: int = 0
    cuda_bytes: int = 0
    repackable: dict[TensorType, int] = field(default_factory=dict)
    spans: dict[tuple[int, TensorType | None], tuple[int, int]] = field(default_factory=dict)
    outsized: list[tuple[int, _Group]] = field(default_factory=list)
    largest_bytes: int = 0

    def add(self, tensor: TensorInfo, file: int, *, may_repack: bool) -> None:
        self._count(tensor, file, may_repack)
        needed = max(tensor.size_bytes, 4 * TRIED_TOKENS * prod(tensor.shape[1:2]))
        if needed > EVERY_DEVICE_TAKES and not _NOT_MULTIPLIED.search(tensor.name):
            alone = _Group()
            alone._count(tensor, file, may_repack)
            self.outsized.append((needed, alone))

    def too_large(self, limit_bytes: int | None) -> list[_Group]:
        """The tensors that a device of this limit does not take, each by itself."""
        return [] if limit_bytes is None else [alone for needed, alone in self.outsized if needed > limit_bytes]

    def _count(self, tensor: TensorInfo, file: int, may_repack: bool) -> None:
        host = _padded(tensor.size_bytes, HOST_ALIGNMENT)
        self.host_bytes += host
        self.cuda_bytes += _cuda_bytes(tensor)
        self.largest_bytes = max(self.largest_bytes, tensor.size_bytes)
        if may_repack:
            self.repackable[tensor.type] = self.repackable.get(tensor.type, 0) + host
        key = file, tensor.type if may_repack else None
        start, end = self.spans.get(key, (tensor.offset, 0))
        self.spans[key] = min(start, tensor.offset), max(end, tensor.offset + tensor.size_bytes)

    def bytes_on(self, device: str) -> int:
        return self.cuda_bytes if device.startswith(("CUDA", "ROCm")) else self.host_bytes

    def repacked_bytes(self, types: frozenset[TensorType]) -> int:
        return sum(size for kind, size in self.repackable.items() if kind in types)


class WeightTable:
    """The tensors of a model summed by where they can only go together, so that placing them costs one step a layer.

    Args:
        files: the tensors of each part of the model.
        overrides: tensors that go to a buffer by name, wherever their layer goes.
    """

    def __init__(
        self, files: Sequence[Sequence[TensorInfo]], architecture: Architecture, overrides: Overrides = ()
    ) -> None:
        placed_by_name = [(re.compile(pattern), buffer) for pattern, buffer in overrides]
        self._moved: dict[str, _Group] = {}
        self._layers = [_Group() for _ in range(architecture.n_layer_all)]
        self._input, self._output, self._shared, self._tied = _Group(), _Group(), _Group(), _Group()
        self._is_output_first = architecture.name in OUTPUT_FIRST
        embedding: TensorInfo | None = None
        has_output = False
        for file, tensor in ((file, tensor) for file, tensors in enumerate(files) for tensor in tensors):
            name = tensor.name
            match = _LAYER.match(name)
            has_output = has_output or name == "output.weight"
            moved_to = next((buffer for pattern, buffer in placed_by_name if pattern.search(name)), None)
            if moved_to is not None and not _is_left_out(match, architecture):
                may_repack = not name.startswith((*_INPUT, *_OF_EACH_LAYER)) and _may_repack(tensor)
                self._moved.setdefault(moved_to, _Group()).add(tensor, file, may_repack=may_repack)
                continue
            if match is not None:
                if not _is_left_out(match, architecture):
                    self._layers[int(match[1])].add(tensor, file, may_repack=_may_repack(tensor))
                continue
            if name.startswith(_OF_EACH_LAYER):
                self._shared.add(tensor, file, may_repack=False)
            elif name.startswith(_INPUT):
                self._input.add(tensor, file, may_repack=False)
            else:
                is_output = name.startswith(_OUTPUT) or (name, architecture.name) in _OUTPUT_NORMS
                group = self._output if is_output else self._layers[0]
                group.add(tensor, file, may_repack=_may_repack(tensor))
            embedding = tensor if name == "token_embd.weight" else embedding
        if embedding is not None and not has_output:
            self._tied.add(embedding, 0, may_repack=_may_repack(embedding))

    def placed(self, placement: Placement, machine: Machine, *, repacks: bool) -> Weights:
        """Lay the tensors out. `repacks` is the load option `use_extra_bufts`."""
        found: dict[str, int] = defaultdict(int)
        # Beside a GPU the pinned buffer stands before the rearranged one in llama.cpp's list, and takes everything.
        rearranged: frozenset[TensorType] = machine.repacked if repacks else frozenset()
        pinning = on_this_computer(machine.devices)
        types = frozenset() if pinning else rearranged
        limits = {each.name: each.largest_tensor_bytes for each in machine.devices}
        if pinning:
            limits[CPU] = pinning[0].largest_tensor_bytes  # its pinned buffer is for what it can work with
        found[CPU] += self._input.host_bytes
        for device in dict.fromkeys(placement.layers):
            found[device] += self._shared.bytes_on(device)
        places = [*zip(self._layers, placement.layers, strict=True), (self._output, placement.output)]
        for group, device in places:
            repacked = group.repacked_bytes(types) if device == CPU else 0
            found[CPU_REPACK] += repacked
            found[device] += group.bytes_on(device) - repacked
        for buffer, group in self._moved.items():
            repacked = group.repacked_bytes(types) if buffer == CPU else 0
            found[CPU_REPACK] += repacked
            found[buffer] += group.bytes_on(buffer) - repacked
        # What a device does not take comes after the pinned buffer too, so the processor may rearrange it.
        left = [(alone, device) for group, device in places for alone in group.too_large(limits.get(device))]
        for alone, device in left:
            repacked = alone.repacked_bytes(rearranged)
            found[device] -= alone.bytes_on(device)
            found[CPU_REPACK] += repacked
            found[CPU] += alone.host_bytes - repacked
        tied_on, tied_types = placement.output, types
        if self._tied.too_large(limits.get(tied_on)):
            tied_on, tied_types = CPU, rearranged
        repacked = self._tied.repacked_bytes(tied_types)
        if tied_on != CPU or self._is_output_first or repacked:
            found[CPU_REPACK if repacked and tied_on == CPU else tied_on] += self._tied.bytes_on(tied_on)
        moved = [group for buffer, group in self._moved.items() if buffer == CPU]
        of_layers = [group for group, device in zip(self._layers, placement.layers, strict=True) if device == CPU]
        largest = max((group.largest_bytes for group in (*of_layers, *moved)), default=0)
        kept = [self._input, *moved, *(group for group, device in places if device == CPU)]
        if CPU in placement.layers:
            kept.append(self._shared)
        spans = [*((each, types) for each in kept), *((alone, rearranged) for alone, _ in left)]
        mapped = max(0, _span_bytes(spans) - found[CPU])
        return Weights({name: size for name, size in found.items() if size}, mapped, largest)


def _span_bytes(groups: Iterable[tuple[_Group, frozenset[TensorType]]]) -> int:
    """From the first to the last tensor of these groups that stays as it is, in each file, bytes.

    Args:
        groups: each with the types of it that are rearranged.
    """
    found: dict[int, tuple[int, int]] = {}
    for group, rearranged in groups:
        for (file, kind), (start, end) in group.spans.items():
            if kind not in rearranged:
                first, last = found.get(file, (start, end))
                found[file] = min(first, start), max(last, end)
    return sum(end - start for start, end in found.values())


def _is_left_out(layer: re.Match[str] | None, architecture: Architecture) -> bool:
    """Whether it is of a layer that predicts further tokens, which stays in the file."""
    return layer is not None and int(layer[1]) >= (architecture.n_layer or architecture.n_layer_all)


def _may_repack(tensor: TensorInfo) -> bool:
    """Whether it is a matrix to multiply with whose rows come in eights; experts are stacks of such."""
    if _NOT_MULTIPLIED.search(tensor.name):
        return False
    shape = tensor.shape
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    n_dims = 3 if "_exps." in tensor.name or "_chexps." in tensor.name else 2
    return len(shape) == n_dims and shape[1] % REPACKED_ROWS == 0


def _cuda_bytes(tensor: TensorInfo) -> int:
    size = tensor.size_bytes
    over = tensor.shape[0] % CUDA_ROW if tensor.shape else 0
    if tensor.type.block_size > 1 and over:
        size += tensor.type.row_bytes(CUDA_ROW - over)
    return _padded(size, CUDA_ALIGNMENT)


def _padded(size_bytes: int, alignment: int) -> int:
    return -(-size_bytes // alignment) * alignment
