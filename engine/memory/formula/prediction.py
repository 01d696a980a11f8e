"""All parts together: what a load takes by the formula, in the form that the engine's dry run has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.base.fields import Value
from engine.gguf.header import Header
from engine.memory.formula.architecture import Architecture, FormulaUnknown, architecture_of
from engine.memory.formula.compute_buffer import LEAST_OFFLOADED, ComputeParts, compute_of, work_bytes
from engine.memory.formula.context import Context, context_of
from engine.memory.formula.kv_cache import layer_cache_bytes
from engine.memory.formula.output_buffer import output_bytes
from engine.memory.formula.placement import CPU, Machine, Placement, on_this_computer, place, used_devices
from engine.memory.formula.recurrent_state import layer_state_bytes
from engine.memory.formula.weights import CPU_REPACK, Overrides, WeightTable
from engine.wire.messages import BufferUse, MemoryUse
from engine.wire.placing import no_such_buffer, tensor_overrides

PROCESS_BYTES = 64 << 20
"""The engine's process before a model is opened, where it has not been measured here."""
TOKEN_BYTES = 180
"""What the tokenizer's tables take for one token, roughly."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a load takes by the formula, and whether the compute buffer is to the byte (the other parts always are)."""

    use: MemoryUse
    is_compute_exact: bool


class Formula:
    """The formula of one model: its header taken apart once, so that another context costs next to nothing.

    Args:
        headers: of all parts of the model, the first one first.

    Raises:
        FormulaUnknown: the model needs the dry run.
    """

    def __init__(self, headers: Sequence[Header]) -> None:
        self.architecture = architecture_of(headers[0])
        self._files = [header.tensors for header in headers]
        self._weights: dict[Overrides, WeightTable] = {(): WeightTable(self._files, self.architecture)}

    def predict(
        self,
        options: Mapping[str, Value],
        machine: Machine,
        *,
        process: MemoryUse | None = None,
    ) -> Predicted:
        """What a load takes, part by part, without asking the engine.

        Args:
            options: every load option, checked.
            machine: the devices and what the processor rearranges.
            process: a dry run of this model, for what it measured of the engine's process; None for an estimate.

        Raises:
            FormulaUnknown: there is a draft model, which has a formula of its own.
            KnownError: what the engine would refuse.
        """
        if options.get("model_draft"):
            raise FormulaUnknown(
                "The formula takes one model, not a draft model beside it",
                value=str(options["model_draft"]),
                next_step="ask the engine: --method dry-run",
            )
        architecture = self.architecture
        context = context_of(architecture, options)
        placement = place(architecture.n_layer_all, options, machine.devices)
        overrides = tensor_overrides(options)
        _refuse_other_buffers(overrides, machine)
        weights = self._table(overrides).placed(placement, machine, repacks=bool(options["use_extra_bufts"]))
        offloads = bool(options["offload_kqv"])
        caches, states = _caches(architecture, context, placement, offloads=offloads)
        compute = compute_of(architecture, context)
        has_host_layers = CPU in placement.layers or weights.host_layer_bytes > 0
        graphs = _graphs(compute, placement, offloads=offloads, has_host_layers=has_host_layers)
        helpers = on_this_computer(used_devices(options, machine.devices))
        if options["op_offload"] and helpers and has_host_layers and compute.n_tokens >= LEAST_OFFLOADED:
            # Large batches of host weights are computed on the first GPU here, whether it has layers or not.
            in_ram = [layer for layer, device in enumerate(placement.layers) if device == CPU or not offloads]
            cache = max((layer_cache_bytes(architecture, context, layer) for layer in in_ram), default=None)
            graphs[helpers[0].name] = compute.offloaded_bytes(weights.host_layer_bytes, cache)
            graphs[CPU] = compute.pinned_bytes
        buffers = tuple(
            BufferUse(
                buffer=name,
                device=CPU if name == CPU_REPACK else name,
                is_host=name == CPU,
                model_bytes=weights.by_buffer.get(name, 0),
                context_bytes=caches.get(name, 0) + states.get(name, 0),
                compute_bytes=graphs.get(name, 0),
                recurrent_bytes=states.get(name, 0),
            )
            for name in sorted({CPU, *weights.by_buffer, *caches, *graphs})
        )
        use = MemoryUse(
            is_dry=True,
            buffers=buffers,
            output_bytes=output_bytes(architecture, context),
            mapped_bytes=weights.mapped_bytes if options["mmap"] else 0,
            base_rss_bytes=PROCESS_BYTES if process is None else process.base_rss_bytes,
            vocab_bytes=TOKEN_BYTES * architecture.n_vocab if process is None else process.vocab_bytes,
            rss_bytes=None,
            n_ctx=context.n_ctx,
            took_s=0.0,
            work_bytes=work_bytes(architecture, context) if caches.get(CPU) else 0,
        )
        return Predicted(use, compute.is_exact and not machine.devices and not overrides)

    def _table(self, overrides: Overrides) -> WeightTable:
        """The tensors summed with these put by themselves; the last table is kept, as only the slider moves meanwhile."""
        found = self._weights.get(overrides)
        if found is None:
            found = WeightTable(self._files, self.architecture, overrides)
            self._weights = {(): self._weights[()], overrides: found}
        return found


def _refuse_other_buffers(overrides: Overrides, machine: Machine) -> None:
    known = [CPU, *(each.name for each in machine.devices)]
    for _pattern, buffer in overrides:
        if buffer not in known:
            raise no_such_buffer(buffer, known)


def _caches(
    architecture: Architecture, context: Context, placement: Placement, *, offloads: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of keys and values on each device, and of states."""
    found: dict[str, int] = defaultdict(int)
    states: dict[str, int] = defaultdict(int)
    state = layer_state_bytes(architecture.state, context.n_seq_max)
    for layer in range(architecture.n_layer_all):
        device = placement.layers[layer] if offloads else CPU
        found[device] += layer_cache_bytes(architecture, context, layer)
        states[device] += state * architecture.is_recurrent[layer]
    return found, states


def _graphs(compute: ComputeParts, placement: Placement, *, offloads: bool, has_host_layers: bool) -> dict[str, int]:
    """The compute buffers where each layer is computed on its own device: the whole on the CPU, else what each has of it."""
    on_device = compute.device_bytes if offloads else compute.peak_bytes
    found = dict.fromkeys(placement.accelerators, on_device)
    found[CPU] = compute.peak_bytes if has_host_layers else compute.pinned_bytes
    return found
