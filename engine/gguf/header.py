"""What a GGUF header says, as values: typed metadata, the list of tensors, and the one error of this room.

Long arrays are named but not kept (`SkippedArray`): a vocabulary of 262,144 tokens would cost 20 MB and a tenth of a
second in every list of models. `reader.read_strings` reads one when it is wanted.
Source: the GGUF specification (ggml/docs/gguf.md); names of keys as in gguf-py's constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from engine.base.errors import KnownError
from engine.gguf.types import TensorType, ValueType


class GgufError(KnownError):
    """This file cannot be read as a GGUF model: what is wrong, where, and what to do. Nothing else leaves this room."""


@dataclass(frozen=True, slots=True)
class SkippedArray:
    """An array that is in the file but not in memory: the type of its elements and how many there are."""

    kind: ValueType
    length: int


@dataclass(frozen=True, slots=True)
class SkippedText:
    """A text that is in the file but not in memory: its size (some files carry a whole tokenizer.json)."""

    size_bytes: int


Scalar: TypeAlias = bool | int | float | str
MetaValue: TypeAlias = (
    Scalar | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...] | SkippedArray | SkippedText
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of the file.

    Attributes:
        name: such as "blk.0.attn_q.weight", at most 63 bytes.
        shape: elements along each dimension, row length first (ggml's ne), 0 to 4 of them.
        type: how the numbers are stored.
        offset: bytes from `Header.data_offset` to the data.
        size_bytes: bytes of the data without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int
    size_bytes: int

    @property
    def n_elements(self) -> int:
        """How many numbers the tensor holds."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """Everything of a GGUF file but the weights.

    Attributes:
        version: of the format, 2 or 3.
        alignment: of the tensor data, in bytes.
        metadata: keys and values in the order of the file; it cannot be changed.
        tensors: in the order of the file, which is the order of their data.
        data_offset: bytes from the start of the file to the tensor data.
        file_size: bytes of the whole file.
    """

    version: int
    alignment: int
    metadata: Mapping[str, MetaValue]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_size: int

    @property
    def architecture(self) -> str | None:
        """`general.architecture` ("llama", "gemma3"): the first part of the architecture's own keys."""
        return self.text("general.architecture")

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors without padding."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def n_params(self) -> int:
        """Elements of all tensors (llama_model_n_params for a file in one piece)."""
        return sum(tensor.n_elements for tensor in self.tensors)

    def text(self, key: str) -> str | None:
        """The text under `key`, None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """The list of texts under `key`, None when it is missing, skipped or something else."""
        value = self.metadata.get(key)
        if not isinstance(value, tuple):
            return None
        kept = tuple(item for item in value if isinstance(item, str))
        return kept if len(kept) == len(value) else None

    def whole(self, key: str) -> int | None:
        """The whole number under `key`, None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def real(self, key: str) -> float | None:
        """The number under `key` as a float, None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, key: str) -> bool | None:
        """The yes or no under `key`, None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, bool) else None

    def whole_or_per_layer(self, key: str) -> int | tuple[int, ...] | None:
        """A whole number, or one for each layer when the file has an array (`head_count_kv` of hybrid models).

        An array of bool reads as zeros and ones (`sliding_window_pattern`).
        """
        value = self.metadata.get(key)
        if isinstance(value, tuple):
            kept = tuple(int(item) for item in value if isinstance(item, int))
            return kept if kept and len(kept) == len(value) else None
        return self.whole(key)

    def length(self, key: str) -> int | None:
        """How many elements the array under `key` has, whether it was kept or skipped; None when there is none."""
        value = self.metadata.get(key)
        if isinstance(value, SkippedArray):
            return value.length
        return len(value) if isinstance(value, tuple) else None


def span_bytes(tensors: Iterable[TensorInfo]) -> int:
    """Bytes of one file from the first of these tensors to the end of the last, 0 for none: what is mapped for them."""
    ends = [(tensor.offset, tensor.offset + tensor.size_bytes) for tensor in tensors]
    return max(end for _, end in ends) - min(start for start, _ in ends) if ends else 0
