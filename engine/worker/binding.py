"""llama.cpp's C functions as this program uses them: load, context, tokens, sampler chain, abort.

The functions are those that llama-cpp-python binds. Its class `Llama` is not used: it has no DRY, XTC or top-n-sigma,
keeps flash attention off and the window cache full-size, and reserves logits for every token of a batch.
"""

from __future__ import annotations

import ctypes
import os
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as llama

from engine.base.fields import FieldError, Value
from engine.wire.messages import DeviceInfo, DeviceKind
from engine.wire.placing import device_shares, n_outputs, no_such_buffer, tensor_overrides

FLASH_ATTN = {"auto": -1, "off": 0, "on": 1}
SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
_F32 = 0
LOG_DEBUG, LOG_WARN, LOG_ERROR = 1, 3, 4
KEPT_LOG_LINES = 80
_DEVICE_KINDS = {0: DeviceKind.CPU, 1: DeviceKind.GPU, 2: DeviceKind.IGPU, 3: DeviceKind.ACCEL}


class AbortFlag:
    """A switch that llama.cpp looks at between graph nodes, without a word of Python in between.

    `ggml_abort_callback` is asked a thousand times a token; a Python callback would cost a tenth of the speed. The C
    library's `strlen` has the same shape (a pointer in, an integer out): on an empty string it answers 0, go on, and on
    a string of one character 1, abort.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self._text = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(libc.strlen, llama.ggml_abort_callback)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)

    def set(self) -> None:
        self._text[0] = b"x"

    def clear(self) -> None:
        self._text[0] = b"\0"

    def is_set(self) -> bool:
        return self._text[0] != b"\0"


class NativeLog:
    """llama.cpp's own log: the last lines are kept for error messages, warnings are passed on."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self.on_warning: Callable[[str, str], None] | None = None
        self._callback = llama.llama_log_callback(self._take)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def close(self) -> None:
        """Hear no more. To be called before this object goes in a process that stays: llama.cpp would still call it."""
        llama.llama_log_set(llama.llama_log_callback(), ctypes.c_void_p(0))

    def tail(self) -> str:
        return "\n".join(self.lines)

    def _take(self, level: int, text: bytes | None, _user: Any) -> None:
        if level == LOG_DEBUG:
            return  # thousands of lines a load, and none that a person could use
        line = (text or b"").decode(errors="replace").rstrip("\n")
        if not line.strip(" ."):
            return
        self.lines.append(line)
        if LOG_WARN <= level <= LOG_ERROR and self.on_warning is not None:
            self.on_warning("error" if level == LOG_ERROR else "warning", line)


class _InitParams(ctypes.Structure):
    """`ggml_init_params`: bytes for descriptions of tensors, a buffer for them, and whether tensors get no data."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class _DeviceCaps(ctypes.Structure):
    """`ggml_backend_dev_caps`."""

    _fields_ = tuple(
        (name, ctypes.c_bool) for name in ("is_async", "host_buffer", "buffer_from_host_ptr", "events", "mmap_support")
    )


class _DeviceProps(ctypes.Structure):
    """`ggml_backend_dev_props`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("caps", _DeviceCaps),
    )


class _BufferOverride(ctypes.Structure):
    """`llama_model_tensor_buft_override`: a pattern for names of tensors, and the buffer type for them."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buft", ctypes.c_void_p))


class Ggml:
    """The functions of libggml that llama-cpp-python does not bind."""

    def __init__(self) -> None:
        self._base = _shared_library("ggml-base")
        self._main = _shared_library("ggml")
        pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
        for name, arguments, result in (
            ("ggml_backend_buft_name", [pointer], text),
            ("ggml_backend_buft_get_device", [pointer], pointer),
            ("ggml_backend_buft_is_host", [pointer], ctypes.c_bool),
            ("ggml_backend_dev_name", [pointer], text),
            ("ggml_backend_dev_description", [pointer], text),
            ("ggml_backend_dev_type", [pointer], ctypes.c_int),
            ("ggml_backend_dev_buffer_type", [pointer], pointer),
            ("ggml_backend_dev_get_props", [pointer, ctypes.POINTER(_DeviceProps)], None),
            ("ggml_backend_dev_memory", [pointer, ctypes.POINTER(size), ctypes.POINTER(size)], None),
            ("ggml_type_name", [ctypes.c_int], text),
            ("ggml_get_name", [pointer], text),
            ("ggml_nbytes", [pointer], size),
            ("ggml_backend_buffer_get_type", [pointer], pointer),
            ("ggml_init", [_InitParams], pointer),
            ("ggml_free", [pointer], None),
            ("ggml_new_tensor_2d", [pointer, ctypes.c_int, ctypes.c_int64, ctypes.c_int64], pointer),
            ("ggml_mul_mat", [pointer, pointer, pointer], pointer),
            ("ggml_backend_dev_supports_op", [pointer, pointer], ctypes.c_bool),
        ):
            function = getattr(self._base, name)
            function.argtypes, function.restype = arguments, result
        self._rpc = _shared_library("ggml-rpc")
        self._rpc.ggml_backend_rpc_add_server.argtypes = [text]
        self._rpc.ggml_backend_rpc_add_server.restype = pointer
        self._rpc.ggml_backend_rpc_start_server.argtypes = [text, text, size, size, ctypes.POINTER(pointer)]
        self._rpc.ggml_backend_rpc_start_server.restype = None
        self._main.ggml_backend_register.argtypes, self._main.ggml_backend_register.restype = [pointer], None
        self._main.ggml_backend_dev_count.restype = size
        self._main.ggml_backend_dev_get.argtypes, self._main.ggml_backend_dev_get.restype = [size], pointer

    def buffer_name(self, buffer_type: int) -> str:
        return _text(self._base.ggml_backend_buft_name(buffer_type))

    def buffer_is_host(self, buffer_type: int) -> bool:
        return bool(self._base.ggml_backend_buft_is_host(buffer_type))

    def buffer_device(self, buffer_type: int) -> str:
        """The device that owns the buffer type; "CPU" where ggml names none (mapped files)."""
        device = self._base.ggml_backend_buft_get_device(buffer_type)
        return _text(self._base.ggml_backend_dev_name(device)) if device else "CPU"

    def buffer_is_streamed(self, buffer_type: int) -> bool:
        """Whether weights that are read without mmap go there in small pieces, and not as a copy of a whole tensor.

        Source: llama-model-loader.cpp, `load_all_data` (`upload_backend`).
        """
        device = self._base.ggml_backend_buft_get_device(buffer_type)
        if not device or self._base.ggml_backend_dev_buffer_type(device) != buffer_type:
            return False
        props = _DeviceProps()
        self._base.ggml_backend_dev_get_props(device, ctypes.byref(props))
        return bool(props.caps.is_async and props.caps.host_buffer and props.caps.events)

    def tensor_name(self, tensor: int) -> str:
        return _text(self._base.ggml_get_name(tensor))

    def tensor_bytes(self, tensor: int) -> int:
        """Bytes of a tensor's data without padding."""
        return int(self._base.ggml_nbytes(tensor))

    def tensor_buffer(self, tensor: int) -> int:
        """The buffer type that a weight is in: `ggml_tensor` begins with its type and its buffer."""
        buffer = ctypes.c_size_t.from_address(tensor + ctypes.sizeof(ctypes.c_size_t)).value
        return int(self._base.ggml_backend_buffer_get_type(buffer))

    def type_id(self, name: str) -> int:
        """ggml's number of a tensor type, by its own spelling ("q8_0")."""
        for number in range(64):
            if _text(self._base.ggml_type_name(number)) == name:
                return number
        raise ValueError(f"ggml has no type {name}")

    def buffer_types(self) -> dict[str, int]:
        """The buffer that each device keeps tensors in, by the device's name, to place tensors there."""
        found = {}
        for device in self._devices():
            if buffer_type := self._base.ggml_backend_dev_buffer_type(device):
                found[_text(self._base.ggml_backend_dev_name(device))] = buffer_type
        return found

    def add_rpc_server(self, address: str) -> None:
        """Make the devices of an RPC server this process's own. The server must have answered a greeting just now."""
        backend = self._rpc.ggml_backend_rpc_add_server(address.encode())
        if backend:
            self._main.ggml_backend_register(backend)

    def serve(self, address: str, n_threads: int, cache: str) -> None:
        """Be an RPC server with the GPUs of this computer, or with its CPU where there is none.

        It never comes back unless it cannot begin, and has then printed why.

        Args:
            address: `host:port` to listen on.
            cache: a folder for tensors that clients send, so that they need not send them again; "" for none.
        """
        kinds = [(each, _DEVICE_KINDS.get(self._base.ggml_backend_dev_type(each))) for each in self._devices()]
        gpus = [device for device, kind in kinds if kind in (DeviceKind.GPU, DeviceKind.IGPU)]
        served = gpus or [device for device, kind in kinds if kind is DeviceKind.CPU]
        self._rpc.ggml_backend_rpc_start_server(
            address.encode(), cache.encode() or None, n_threads, len(served), (ctypes.c_void_p * len(served))(*served)
        )

    def _devices(self) -> list[int]:
        return [self._main.ggml_backend_dev_get(index) for index in range(self._main.ggml_backend_dev_count())]

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Every device of every backend that is built in. The CPU's memory is left to the hardware room."""
        found = []
        for device in self._devices():
            kind = _DEVICE_KINDS.get(self._base.ggml_backend_dev_type(device), DeviceKind.ACCEL)
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            self._base.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            is_cpu = kind is DeviceKind.CPU  # ggml says free == total there
            found.append(
                DeviceInfo(
                    name=_text(self._base.ggml_backend_dev_name(device)),
                    description=_text(self._base.ggml_backend_dev_description(device)),
                    kind=kind,
                    total_bytes=total.value or None,
                    free_bytes=None if is_cpu else free.value,
                    largest_tensor_bytes=None if is_cpu else self._largest_tensor(device),
                )
            )
        return tuple(found)

    def _largest_tensor(self, device: int) -> int | None:
        """The largest matrix that a device multiplies with, to a row of 4 KiB; None where a TiB would do."""
        base = self._base
        context = base.ggml_init(_InitParams(1 << 16, None, True))
        try:

            def takes(n_rows: int) -> bool:
                matrix = base.ggml_new_tensor_2d(context, _F32, 1024, n_rows)
                product = base.ggml_mul_mat(context, matrix, base.ggml_new_tensor_2d(context, _F32, 1024, 1))
                return bool(base.ggml_backend_dev_supports_op(device, product))

            most = 1 << 28
            return None if takes(most) else 4096 * bisect_left(range(most), True, key=lambda n: not takes(n + 1))
        finally:
            base.ggml_free(context)


def start_backends() -> None:
    """Once in a process, before anything else of llama.cpp."""
    llama.llama_backend_init()


def model_params(
    options: Mapping[str, Value], ggml: Ggml, *, no_alloc: bool, on_progress: Callable[[float], bool] | None
) -> tuple[Any, tuple[Any, ...]]:
    """`llama_model_params` of these load options, and what they point to, which must live as long as the load.

    Raises:
        KnownError: a device or a buffer is named that is not there, or a pattern that the engine does not read.
    """
    params = llama.llama_model_default_params()
    params.n_gpu_layers = int(_number(options["n_gpu_layers"]))
    params.split_mode, params.main_gpu = SPLIT_MODES[str(options["split_mode"])], int(_number(options["main_gpu"]))
    shares = _shares(options, ggml)
    overrides = _overrides(options, ggml)
    if shares:
        params.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
    if overrides:
        params.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
    params.use_extra_bufts = bool(options["use_extra_bufts"])
    params.no_alloc = no_alloc
    if no_alloc:
        params.load_mode = llama.LLAMA_LOAD_MODE_NONE  # mapping with no_alloc is an assert that ends the process
    elif options["mmap"]:
        params.load_mode = llama.LLAMA_LOAD_MODE_MMAP_MLOCK if options["mlock"] else llama.LLAMA_LOAD_MODE_MMAP
    else:
        params.load_mode = llama.LLAMA_LOAD_MODE_MLOCK if options["mlock"] else llama.LLAMA_LOAD_MODE_NONE
    callback = None
    if on_progress is not None:
        callback = llama.llama_progress_callback(lambda fraction, _user: on_progress(fraction))
        params.progress_callback = callback
    return params, (callback, shares, overrides)


def _shares(options: Mapping[str, Value], ggml: Ggml) -> Any:
    """The array of `tensor_split`, None where what is free decides; refuses devices that are not there."""
    devices = [each for each in ggml.devices() if each.kind in (DeviceKind.GPU, DeviceKind.IGPU)]
    names = ", ".join(each.name for each in devices)
    main = int(_number(options["main_gpu"]))
    if options["split_mode"] == "none" and devices and main >= len(devices):
        raise FieldError("main_gpu", "There is no such device", str(main), f"use 0 to {len(devices) - 1}: {names}")
    shares = device_shares(options)
    if not shares or not devices:
        return None
    if len(shares) > len(devices):
        raise FieldError(
            "tensor_split",
            "There are more shares than devices",
            str(options["tensor_split"]),
            f"give at most {len(devices)}, for {names}",
        )
    return (ctypes.c_float * llama.LLAMA_MAX_DEVICES)(*shares)


def _overrides(options: Mapping[str, Value], ggml: Ggml) -> Any:
    """The array of `tensor_buft_overrides`, ended by an empty one; None where no tensor is placed by name."""
    pairs = tensor_overrides(options)
    if not pairs:
        return None
    buffers = ggml.buffer_types()
    found = (_BufferOverride * (len(pairs) + 1))()
    for place, (pattern, buffer) in enumerate(pairs):
        if buffer not in buffers:
            raise no_such_buffer(buffer, buffers)
        found[place].pattern, found[place].buft = pattern.encode(), buffers[buffer]
    return found


def context_params(
    options: Mapping[str, Value], ggml: Ggml, abort: AbortFlag, *, n_threads: int, n_threads_batch: int
) -> Any:
    """`llama_context_params` of these load options."""
    params = llama.llama_context_default_params()
    params.n_ctx = int(_number(options["n_ctx"]))
    params.n_batch = int(_number(options["n_batch"]))
    params.n_ubatch = min(int(_number(options["n_ubatch"])), params.n_batch)
    params.n_seq_max, params.kv_unified = int(_number(options["n_seq_max"])), bool(options["kv_unified"])
    params.n_outputs_max = n_outputs(options)
    params.n_threads, params.n_threads_batch = n_threads, n_threads_batch
    params.flash_attn_type = FLASH_ATTN[str(options["flash_attn"])]
    params.type_k, params.type_v = ggml.type_id(str(options["type_k"])), ggml.type_id(str(options["type_v"]))
    params.swa_full = bool(options["swa_full"])
    params.offload_kqv, params.op_offload = bool(options["offload_kqv"]), bool(options["op_offload"])
    params.rope_freq_base = float(_number(options["rope_freq_base"]))
    params.rope_freq_scale = float(_number(options["rope_freq_scale"]))
    params.no_perf = True
    params.abort_callback, params.abort_callback_data = abort.callback, abort.data
    return params


class Vocabulary:
    """A model's tokens: text to ids, ids to bytes, which of them end an answer."""

    def __init__(self, model: Any) -> None:
        self.pointer = llama.llama_model_get_vocab(model)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self.pointer)
        self.bos: int = llama.llama_vocab_bos(self.pointer)
        self.eos: int = llama.llama_vocab_eos(self.pointer)
        eot: int = llama.llama_vocab_eot(self.pointer)
        self.end: int = eot if eot >= 0 else self.eos
        self.adds_bos: bool = llama.llama_vocab_get_add_bos(self.pointer)
        self.adds_eos: bool = llama.llama_vocab_get_add_eos(self.pointer)
        self.type: int = llama.llama_vocab_type(self.pointer)
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(256)
        self._ends: dict[int, bool] = {}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text. `parse_special` reads "<|im_end|>" as the token of that name."""
        raw = text.encode("utf-8", errors="surrogatepass")
        room = len(raw) + 16
        tokens = (llama.llama_token * room)()
        n_tokens = llama.llama_tokenize(self.pointer, raw, len(raw), tokens, room, add_special, parse_special)
        if n_tokens < 0:
            room = -n_tokens
            tokens = (llama.llama_token * room)()
            n_tokens = llama.llama_tokenize(self.pointer, raw, len(raw), tokens, room, add_special, parse_special)
        return list(tokens[: max(n_tokens, 0)])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that a token stands for; control tokens are empty unless `special`."""
        key = token if not special else -1 - token
        found = self._pieces.get(key)
        if found is None:
            length = llama.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, special)
            if length < 0:
                self._buffer = ctypes.create_string_buffer(-length)
                length = llama.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, special)
            found = self._buffer.raw[: max(length, 0)]
            self._pieces[key] = found
        return found

    def text(self, token: int) -> str:
        """A special token's own spelling, "" where the model has none."""
        return "" if token < 0 else self.piece(token, special=True).decode(errors="replace")

    def spelling(self, token: int) -> bytes:
        """The token as the file spells it (`llama_vocab_get_text`), which is not the bytes that it stands for."""
        return llama.llama_vocab_get_text(self.pointer, token) or b""

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer (end of generation, in llama.cpp's words)."""
        found = self._ends.get(token)
        if found is None:
            found = self._ends[token] = bool(llama.llama_vocab_is_eog(self.pointer, token))
        return found

    def is_control(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_control(self.pointer, token))

    def ends(self) -> list[int]:
        """Every token that ends an answer."""
        return [token for token in range(self.n_vocab) if llama.llama_vocab_is_eog(self.pointer, token)]


def engine_text() -> str:
    """The engine and its version: "llama-cpp-python 0.3.36"."""
    return f"llama-cpp-python {llama_cpp.__version__}"


def build_text() -> str:
    """How the engine was compiled: llama.cpp's own system info, spaces folded."""
    return " ".join(llama.llama_print_system_info().decode(errors="replace").split())


def _shared_library(name: str) -> ctypes.CDLL:
    """One of ggml's libraries as llama.cpp itself has it loaded.

    A wheel holds no links, so lib….so and lib….so.0 are two files: loading the other one would make a second ggml, and a
    device registered there would be unknown to llama.cpp. Elsewhere than on Windows its own handle finds everything that
    it links to.
    """
    if os.name != "nt":
        loaded: ctypes.CDLL = llama._lib
        return loaded
    folder = Path(os.path.dirname(llama_cpp.__file__)) / "lib"
    for file in (folder / f"{name}.dll", folder / f"lib{name}.dll"):
        if file.exists():
            return ctypes.CDLL(str(file))
    raise FileNotFoundError(f"the engine's library {name} is not beside llama_cpp")


def _text(raw: bytes | None) -> str:
    return raw.decode(errors="replace") if raw else ""


def _number(value: Value) -> float:
    if isinstance(value, bool | int | float):
        return value
    raise TypeError(f"not a number: {value!r}")
