"""What to change so that a load fits: the mildest of each kind, nothing that a person chose, and it really fits then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.fields import Value
from engine.memory.fitting import Model, Way, confirmed, proposals
from engine.wire.load_options import LOAD_OPTIONS
from engine.workbench.workbench import parse_changes

MIB = 1 << 20
BYTES = {"f16": 200, "q8_0": 106, "q4_0": 56}  # KiB a token


def options(**changes: Value) -> dict[str, Value]:
    return LOAD_OPTIONS.checked({"n_ctx": 4096, **changes})


def machine(
    ram: int, vram: int | None = None, *, layers: int = 32, layer: int = 100, experts: int = 0
) -> Callable[[Mapping[str, Value]], dict[str, int] | None]:
    """Memories in MiB, and a model whose layers take `layer` MiB each, `experts` of them in the experts."""

    def room(asked: Mapping[str, Value]) -> dict[str, int] | None:
        if asked["type_v"] != "f16" and asked["flash_attn"] == "off":
            return None
        n = int(str(asked["n_gpu_layers"]))
        on_gpu = (layers if n < 0 else min(n, layers)) if vram is not None else 0
        moved = min(int(str(asked["n_cpu_moe"])), on_gpu) if experts else 0
        cache = int(str(asked["n_ctx"])) * BYTES[str(asked["type_k"])] * 1024
        gpu = on_gpu * layer * MIB - moved * experts * MIB + cache * on_gpu // layers
        cpu = (layers - on_gpu) * layer * MIB + moved * experts * MIB + cache * (layers - on_gpu) // layers
        left = {"RAM": ram * MIB - cpu}
        return left if vram is None else {**left, "GPU": vram * MIB - gpu}

    return room


DENSE, MOE = Model(32, False, 8192), Model(32, True, 8192)


def changes_of(found: object) -> dict[Way, dict[str, Value]]:
    return {each.way: dict(each.changes) for each in found}  # type: ignore[attr-defined]


def test_what_fits_is_left_alone_and_what_nobody_knows_too() -> None:
    assert proposals(options(), machine(16_000), DENSE) == ()
    assert proposals(options(), lambda _asked: None, DENSE) == ()


def test_as_many_layers_as_fit_stay_on_the_gpu() -> None:
    # 125 MiB a layer with its cache: 2,000 MiB have room for 16.
    found = changes_of(proposals(options(), machine(16_000, 2_000), DENSE))
    assert found[Way.LAYERS] == {"n_gpu_layers": 16}


def test_experts_go_to_ram_before_layers_do() -> None:
    # 32 layers of 125 MiB; each gives 80 MiB of experts away: 2,000 MiB need 25 of them.
    found = changes_of(proposals(options(), machine(16_000, 2_000, experts=80), MOE))
    assert found[Way.EXPERTS] == {"n_cpu_moe": 25}
    assert Way.EXPERTS not in changes_of(proposals(options(), machine(16_000, 2_000, experts=80), DENSE))


def test_without_a_gpu_the_cache_and_the_context_are_what_gives_way() -> None:
    found = changes_of(proposals(options(), machine(3_700), DENSE))
    assert found == {Way.CACHE: {"type_k": "q8_0", "type_v": "q8_0"}, Way.CONTEXT: {"n_ctx": 2560}}
    found = changes_of(proposals(options(flash_attn="off"), machine(3_700), DENSE))
    assert found == {Way.CONTEXT: {"n_ctx": 2560}}


def test_where_one_thing_is_not_enough_several_are_changed() -> None:
    # 32 layers of 100 MiB and 3,200 MiB of f16 cache in 5,000 MiB: with q4_0 a layer takes 128 MiB, and 11 fit on the GPU.
    found = changes_of(proposals(options(n_ctx=16_384), machine(3_500, 1_500), DENSE))
    assert found == {Way.ALL: {"type_k": "q4_0", "type_v": "q4_0", "n_gpu_layers": 11}}


def test_nothing_helps_where_the_weights_alone_are_too_much() -> None:
    assert proposals(options(), machine(1_000), DENSE) == ()


@pytest.mark.parametrize("kept", ["n_gpu_layers", "type_k", "n_ctx"])
def test_what_a_person_chose_stays(kept: str) -> None:
    found = proposals(options(), machine(2_600, 1_000), DENSE, kept=(kept,))
    assert all(kept not in each.changes for each in found)


@given(
    ram=st.integers(500, 8_000),
    vram=st.none() | st.integers(0, 6_000),
    n_ctx=st.integers(1, 128).map(lambda n: n * 256),
    experts=st.integers(0, 90),
    n_gpu_layers=st.integers(-1, 40),
)
@settings(deadline=None)
def test_what_is_proposed_fits_and_is_named_as_a_remedy_names_it(
    ram: int, vram: int | None, n_ctx: int, experts: int, n_gpu_layers: int
) -> None:
    room = machine(ram, vram, experts=experts)
    asked = options(n_ctx=n_ctx, n_gpu_layers=n_gpu_layers)
    for each in proposals(asked, room, MOE):
        left = room({**asked, **each.changes})
        assert left is not None
        assert min(left.values()) == each.least_left_bytes >= 0
        assert parse_changes(each.argument) == dict(each.changes)
        assert all(asked[key] == each.before[key] != value for key, value in each.changes.items() if key != "type_v")


def test_a_plan_that_finds_it_too_large_makes_it_milder_until_it_fits() -> None:
    rough, exact = machine(16_000, 2_000), machine(16_000, 1_800)
    (layers, *_rest) = proposals(options(), rough, DENSE)
    found = confirmed(layers, options(), exact, DENSE)
    assert found is not None
    assert found.changes == {"n_gpu_layers": 13}  # 16, then one less, then two less: 14 would have fitted
    assert confirmed(layers, options(), machine(16_000, 50), DENSE) is None
