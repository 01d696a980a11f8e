"""What the load options say about where tensors go, read once for the engine and for the formula.

Source: llama.cpp common/arg.cpp (`override-tensor`, `n-cpu-moe`, `tensor-split`), common/common.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.base import std_regex
from engine.base.fields import FieldError, Value

CPU_BUFFER = "CPU"
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""What finds the experts of a layer, behind its number (`LLM_FFN_EXPS_REGEX`)."""


def tensor_overrides(options: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Pairs of a regular expression and the buffer for the tensors that it finds, the first that finds one counts.

    Raises:
        FieldError: what `std::regex` would not read, which would end the engine's process.
    """
    found = []
    for each in _texts(options, "override_tensor"):
        pattern, _, buffer = each.rpartition("=")
        if not std_regex.is_safe(pattern):
            raise FieldError(
                "override_tensor",
                "This is not a regular expression that the engine takes",
                pattern[:80],
                std_regex.HOW_TO_WRITE,
            )
        found.append((pattern, buffer.strip()))
    layers = "|".join(str(layer) for layer in range(int(str(options["n_cpu_moe"]))))
    if layers:  # one expression for all of them: the engine compiles each anew for every tensor
        found.append((rf"blk\.({layers}){EXPERTS}", CPU_BUFFER))
    return tuple(found)


def no_such_buffer(name: str, known: Iterable[str]) -> FieldError:
    """Why a tensor cannot be placed there."""
    return FieldError(
        "override_tensor", "The engine has no such buffer", name, "use one of " + ", ".join(sorted(known))
    )


def device_shares(options: Mapping[str, Value]) -> tuple[float, ...]:
    """The share of each device, in the engine's order; () where what is free decides.

    Raises:
        FieldError: no share is more than 0.
    """
    text = str(options["tensor_split"]).strip()
    shares = tuple(float(each) for each in text.split(",")) if text else ()
    if shares and not any(shares):
        raise FieldError("tensor_split", "One device at least must get a share", text, "use shares like 3,1")
    return shares


def n_outputs(options: Mapping[str, Value]) -> int:
    """Tokens of a call whose scores are computed: what was asked for, and one at least for each sequence."""
    return max(int(str(options["n_outputs_max"])), int(str(options["n_seq_max"])))


def _texts(options: Mapping[str, Value], key: str) -> tuple[str, ...]:
    value = options[key]
    return value if isinstance(value, tuple) else ()
