"""The engine's own GGUF reader and tables, called in its library through ctypes: what our reader is held against."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class _InitParams(ctypes.Structure):
    """gguf_init_params: with no_alloc and no context only the header is read."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


@dataclass(frozen=True)
class NativeTensor:
    """A tensor as the engine's reader sees it."""

    name: str
    type_id: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class NativeHeader:
    """A header as the engine's reader sees it."""

    version: int
    alignment: int
    data_offset: int
    keys: tuple[str, ...]
    tensors: tuple[NativeTensor, ...]


class NativeGguf:
    """libggml-base's functions with their types."""

    def __init__(self) -> None:
        lib = ctypes.CDLL(str(_library("ggml-base")))
        self._lib = lib
        lib.ggml_type_name.restype = ctypes.c_char_p
        lib.ggml_blck_size.restype = ctypes.c_int64
        lib.ggml_type_size.restype = ctypes.c_size_t
        pointer = ctypes.c_void_p
        lib.gguf_init_from_buffer.argtypes = [ctypes.c_char_p, ctypes.c_size_t, _InitParams]
        lib.gguf_init_from_buffer.restype = pointer
        lib.gguf_init_from_file.argtypes = [ctypes.c_char_p, _InitParams]
        lib.gguf_init_from_file.restype = pointer
        lib.gguf_free.argtypes = [pointer]
        for name, result in (
            ("gguf_get_version", ctypes.c_uint32),
            ("gguf_get_alignment", ctypes.c_size_t),
            ("gguf_get_data_offset", ctypes.c_size_t),
            ("gguf_get_n_kv", ctypes.c_int64),
            ("gguf_get_n_tensors", ctypes.c_int64),
        ):
            function = getattr(lib, name)
            function.argtypes, function.restype = [pointer], result
        for name, result in (
            ("gguf_get_key", ctypes.c_char_p),
            ("gguf_get_tensor_name", ctypes.c_char_p),
            ("gguf_get_tensor_type", ctypes.c_int),
            ("gguf_get_tensor_offset", ctypes.c_size_t),
            ("gguf_get_tensor_size", ctypes.c_size_t),
        ):
            function = getattr(lib, name)
            function.argtypes, function.restype = [pointer, ctypes.c_int64], result

    def type_row(self, type_id: int) -> tuple[str, int, int]:
        """Name, elements a block, bytes a block of a tensor type."""
        lib = self._lib
        return lib.ggml_type_name(type_id).decode(), lib.ggml_blck_size(type_id), lib.ggml_type_size(type_id)

    def accepts(self, raw: bytes) -> bool:
        """Whether the engine reads these bytes as a header. It does not look whether the data is there."""
        found = self._lib.gguf_init_from_buffer(raw, len(raw), _InitParams(True, None))
        if found:
            self._lib.gguf_free(found)
        return bool(found)

    def read(self, path: Path) -> NativeHeader:
        """The header of a file."""
        lib = self._lib
        with self._opened(path) as found:
            return NativeHeader(
                version=lib.gguf_get_version(found),
                alignment=lib.gguf_get_alignment(found),
                data_offset=lib.gguf_get_data_offset(found),
                keys=tuple(lib.gguf_get_key(found, i).decode() for i in range(lib.gguf_get_n_kv(found))),
                tensors=tuple(
                    NativeTensor(
                        name=lib.gguf_get_tensor_name(found, i).decode(),
                        type_id=lib.gguf_get_tensor_type(found, i),
                        offset=lib.gguf_get_tensor_offset(found, i),
                        size_bytes=lib.gguf_get_tensor_size(found, i),
                    )
                    for i in range(lib.gguf_get_n_tensors(found))
                ),
            )

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        found = self._lib.gguf_init_from_file(str(path).encode(), _InitParams(True, None))
        assert found, f"the engine cannot read {path}"
        try:
            yield found
        finally:
            self._lib.gguf_free(found)


def file_type_name(file_type: int) -> str:
    """libllama's name of a `general.file_type`."""
    function = ctypes.CDLL(str(_library("llama"))).llama_ftype_name
    function.restype = ctypes.c_char_p
    name: bytes = function(file_type)
    return name.decode()


def _library(stem: str) -> Path:
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None, "llama-cpp-python is not installed"
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "lib"
    names = {"win32": f"{stem}.dll", "darwin": f"lib{stem}.dylib"}
    return folder / names.get(sys.platform, f"lib{stem}.so")
