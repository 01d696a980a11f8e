"""What is stored of a run so that it can be repeated, and how it is read back.

The store keeps JSON and does not look into it; here is the one place that knows what stands in it. Load options say what
was asked for, `InUse` what it came to: automatic threads, the flash attention that the engine chose, the devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.runtime.supervisor import EngineState
from engine.sampling.chain import Chain
from engine.store.rows import RunRecipe, RunResult
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import ChainChange, Portion, RunStarted
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.answer import Answer


class InUse(msgspec.Struct, frozen=True):
    """What a run really had; None and () where it is not known (runs of before).

    Attributes:
        n_ctx: the context after the engine's rounding, in tokens.
        n_threads, n_threads_batch: the threads that wrote tokens and read the prompt.
        flash_attn: whether flash attention was used.
        devices: the devices that held weights or cache, as "name: description".
        template_stops: the stop texts that belong to the chat template.
        portions: how the tokens that the cache already held had been computed.
    """

    n_ctx: int | None = None
    n_threads: int | None = None
    n_threads_batch: int | None = None
    flash_attn: bool | None = None
    devices: tuple[str, ...] = ()
    template_stops: tuple[str, ...] = ()
    portions: tuple[Portion, ...] = ()


def in_use_now(state: EngineState) -> InUse:
    """What a run would have now; nothing is known while no model is loaded."""
    facts = state.facts
    if facts is None:
        return InUse()
    described = {each.name: f"{each.name}: {each.description}" for each in state.devices}
    return InUse(
        n_ctx=facts.n_ctx,
        n_threads=facts.n_threads,
        n_threads_batch=facts.n_threads_batch,
        flash_attn=facts.flash_attn,
        devices=tuple(described.get(each, each) for each in facts.devices),
    )


def engine_of(state: EngineState) -> str:
    """The engine as it is stored with a run: its version and how it was compiled."""
    return f"{state.engine}; {state.build}"


def recipe_of(writing: Answer, started: RunStarted, state: EngineState, load_options: Mapping[str, Value]) -> RunRecipe:
    """The recipe of an answer that the engine has begun."""
    in_use = msgspec.structs.replace(in_use_now(state), template_stops=started.stops, portions=started.portions)
    origin = writing.origin
    return RunRecipe(
        model_path=state.model_path,
        model_label=writing.label,
        model_fingerprint=state.facts.fingerprint if state.facts else "",
        engine_build=engine_of(state),
        template_hash=started.template_hash,
        chain=json_text(writing.chain.to_wire()),
        limits=json_text(dict(writing.options)),
        load_options=json_text(dict(load_options)),
        seed=started.seed,
        in_use=json_text(in_use),
        parent_run_id=origin.run_id if origin else None,
        fork_position=origin.position if origin else None,
        fork_text=(started.begun_piece.decode(errors="replace") if origin.is_fork else "") if origin else None,
        n_begun=len(origin.begun) if origin else 0,
    )


def in_use_of(recipe: RunRecipe) -> InUse:
    """What the stored run really had. What cannot be read counts as not known."""
    try:
        return msgspec.json.decode(recipe.in_use, type=InUse)
    except msgspec.MsgspecError:
        return InUse()


def chain_of(recipe: RunRecipe) -> Chain:
    """The chain that the run began with. Raises `KnownError` for one that this Llamarium does not understand."""
    return Chain.from_wire(_decoded(recipe.chain, "chain"))


def changes_of(result: RunResult) -> tuple[ChainChange, ...]:
    """The chains that were sent in the middle. Raises `KnownError` when they cannot be read."""
    if result.chain_changes is None:
        return ()
    try:
        return msgspec.json.decode(result.chain_changes, type=tuple[ChainChange, ...])
    except msgspec.MsgspecError as error:
        raise _unreadable("changes of the chain", error) from error


def limits_of(recipe: RunRecipe) -> dict[str, Value]:
    """The run's options, checked. Raises `KnownError` for what this Llamarium does not understand."""
    return RUN_OPTIONS.checked(_mapping(recipe.limits, "limits"))


def load_options_of(recipe: RunRecipe) -> dict[str, Value]:
    """The load options, checked. Raises `KnownError` for what this Llamarium does not understand."""
    return LOAD_OPTIONS.checked(_mapping(recipe.load_options, "load options"))


def json_text(value: object) -> str:
    """A value as the store keeps it."""
    return msgspec.json.encode(value).decode()


def _mapping(text: str, what: str) -> dict[str, Any]:
    found = _decoded(text, what)
    if not isinstance(found, dict):
        raise _unreadable(what, TypeError(type(found).__name__))
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


def _decoded(text: str, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise _unreadable(what, error) from error


def _unreadable(what: str, error: Exception) -> KnownError:
    return KnownError(
        f"The stored {what} of this run cannot be read", value=str(error)[:120], next_step="choose another run"
    )
