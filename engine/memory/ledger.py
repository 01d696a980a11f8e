"""The ledger: where every byte of a loaded (or planned) model is, by device and part. It sums to the byte.

Made from the engine's own figures (`MemoryUse`), dry or real, so that predicted and measured stand in one form and can
be laid side by side. Parts are named as in the field; what is estimated says so.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.gguf.card import bytes_text
from engine.wire.messages import BufferUse, DeviceInfo, DeviceKind, MemoryUse

RAM = "RAM"


class Part(enum.Enum):
    """What memory is used for."""

    WEIGHTS = "weights"
    KV = "kv"
    RECURRENT = "recurrent"
    COMPUTE = "compute"
    OUTPUT = "output"
    DRAFT = "draft"
    BESIDE = "beside"
    OVERHEAD = "overhead"
    MAPPED = "mapped"


SOURCES: Mapping[Part, str] = {
    Part.WEIGHTS: "llama.cpp's memory breakdown, the model's buffers",
    Part.KV: "llama.cpp's memory breakdown, the context's buffers, less the recurrent states",
    Part.RECURRENT: "the shapes in the header, which llama.cpp's breakdown counts with the cache",
    Part.COMPUTE: "llama.cpp's memory breakdown, the graph's buffers",
    Part.OUTPUT: "llama_context::output_reserve",
    Part.DRAFT: "llama.cpp's memory breakdown of the draft model",
    Part.BESIDE: "the tensors in the header of the file",
    Part.OVERHEAD: "the process's resident memory, before and after the tokenizer was read",
    Part.MAPPED: "the file's offsets, and where the engine says that each tensor is",
}
"""Where the engine's figure of each part comes from."""
ASSUMED = "what such a process takes elsewhere, until the engine is asked here"
CALCULATED: Mapping[Part, str] = {
    **dict.fromkeys(Part, "the formula, after llama.cpp's code; see docs/memory.md"),
    Part.OVERHEAD: SOURCES[Part.OVERHEAD],
}
"""The same for the formula's figures, with a process that was measured; where it was not, its source is `ASSUMED`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One part on one device: its size, whether it is estimated, how it comes about (in words with numbers), its source.

    `shape` is the part on all devices together as a product, where it is one and the model's header is known.
    """

    part: Part
    size_bytes: int
    how: str
    is_estimate: bool = False
    source: str = ""
    shape: str = ""


@dataclass(frozen=True, slots=True)
class DeviceLedger:
    """One memory: its parts, and how much there is. `total_bytes` and `free_bytes` are None where unknown.

    `is_limited`: a control group allows less of it than the machine has.
    """

    name: str
    kind: DeviceKind
    total_bytes: int | None
    free_bytes: int | None
    entries: tuple[Entry, ...]
    is_limited: bool = False

    @property
    def sum_bytes(self) -> int:
        """All parts together."""
        return sum(each.size_bytes for each in self.entries)

    def size_of(self, part: Part) -> int | None:
        """The bytes of one part, None when it is not there."""
        sizes = [each.size_bytes for each in self.entries if each.part is part]
        return sum(sizes) if sizes else None


@dataclass(frozen=True, slots=True)
class Loading:
    """What a load takes of RAM for a moment, and what the process had resident. Bytes; None where not known.

    Attributes:
        staged_bytes: the largest copy of a tensor on its way to where it stays.
        awaited_bytes: the weights that RAM gets only when the copies are gone.
        peak_bytes: the most that was resident while loading.
        resident_bytes: what was resident afterwards, of which `resident_file_bytes` are pages of files.
    """

    staged_bytes: int | None = None
    awaited_bytes: int = 0
    peak_bytes: int | None = None
    resident_bytes: int | None = None
    resident_file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All memories of a load.

    Attributes:
        is_predicted: from the dry run, not from a loaded model.
        n_ctx: the context after the engine's rounding, tokens.
        devices: RAM first, then the others in the engine's order.
        loading: what the load itself takes of RAM.
    """

    is_predicted: bool
    n_ctx: int
    devices: tuple[DeviceLedger, ...]
    loading: Loading = Loading()

    @property
    def passing_bytes(self) -> int:
        """What the load takes of RAM for a moment beyond what stays, 0 where that is not known.

        Copies are made one tensor at a time, before weights are read to where they stay in RAM, and long before the cache,
        the graph and the logits come: so all these leave room for them.
        Source: llama-model.cpp, `load_tensors` (buffers that are not the host's come first); llama-model-loader.cpp,
        `load_all_data`.
        """
        ram = self.devices[0]
        later = sum(ram.size_of(each) or 0 for each in (Part.KV, Part.RECURRENT, Part.COMPUTE, Part.OUTPUT))
        return max(0, (self.loading.staged_bytes or 0) - self.loading.awaited_bytes - later)

    @property
    def sum_bytes(self) -> int:
        return sum(each.sum_bytes for each in self.devices)

    def size_of(self, part: Part) -> int | None:
        """The bytes of one part over all devices, None when no device has it."""
        sizes = [size for each in self.devices if (size := each.size_of(part)) is not None]
        return sum(sizes) if sizes else None


def ledger_of(
    use: MemoryUse,
    devices: Iterable[DeviceInfo],
    *,
    ram_total_bytes: int | None,
    ram_free_bytes: int | None,
    ram_is_limited: bool = False,
    kv_text: str = "",
    vocab_bytes: int | None = None,
    sources: Mapping[Part, str] = SOURCES,
) -> Ledger:
    """The engine's figures as a ledger.

    Args:
        use: a dry run or a loaded model.
        devices: what the engine sees, for totals and free memory.
        ram_total_bytes, ram_free_bytes: of this computer, as the hardware room measures them; ggml does not.
        ram_is_limited: a control group's limit is in them.
        kv_text: how the KV cache comes about ("4,096 tokens · f16").
        vocab_bytes: the tokenizer's share as a dry run measured it, for a use that does not know it.
        sources: where the figures of each part come from.
    """
    known: Mapping[str, DeviceInfo] = {each.name: each for each in devices}
    by_device: dict[str, list[BufferUse]] = {RAM: []}
    for buffer in use.buffers:
        by_device.setdefault(RAM if _in_ram(buffer, known) else buffer.device, []).append(buffer)
    drafts: dict[str, list[BufferUse]] = {RAM: []}
    for buffer in use.draft.buffers if use.draft is not None else ():
        place = RAM if _in_ram(buffer, known) else buffer.device
        drafts.setdefault(place, []).append(buffer)
        by_device.setdefault(place, [])
    ledgers = []
    places = [RAM, *(each for each in known if each in by_device), *(each for each in by_device if each not in known)]
    for name in dict.fromkeys(places):
        buffers = by_device[name]
        entries = _entries(buffers, kv_text, copied_bytes=0 if use.is_dry else use.mapped_bytes)
        entries += _draft_entries(use, drafts.get(name, []), is_ram=name == RAM)
        if name == RAM:
            entries += _host_entries(use, vocab_bytes, is_measured=sources[Part.OVERHEAD] != ASSUMED)
        entries = [replace(each, source=sources[each.part]) for each in entries]
        if name == RAM:
            found = DeviceLedger(
                RAM, DeviceKind.CPU, ram_total_bytes, ram_free_bytes, tuple(entries), is_limited=ram_is_limited
            )
            ledgers.append(found)
        else:
            device = known.get(name)
            ledgers.append(
                DeviceLedger(
                    name,
                    device.kind if device else DeviceKind.GPU,
                    device.total_bytes if device else None,
                    device.free_bytes if device else None,
                    tuple(entries),
                )
            )
    return Ledger(use.is_dry, use.n_ctx, tuple(ledgers), _loading(use))


def _loading(use: MemoryUse) -> Loading:
    return Loading(
        staged_bytes=use.staged_bytes,
        awaited_bytes=use.awaited_bytes,
        peak_bytes=use.peak_rss_bytes,
        resident_bytes=use.rss_bytes,
        resident_file_bytes=use.file_rss_bytes,
    )


def with_shapes(ledger: Ledger, shapes: Mapping[Part, str]) -> Ledger:
    """The ledger with the parts' products told."""
    return replace(
        ledger,
        devices=tuple(
            replace(
                each, entries=tuple(replace(entry, shape=shapes.get(entry.part, entry.shape)) for entry in each.entries)
            )
            for each in ledger.devices
        ),
    )


def with_sizes(ledger: Ledger, sizes: Mapping[str, int]) -> Ledger:
    """The ledger as if memories were of other sizes and empty; `sizes` in bytes, by the memory's name."""
    return replace(
        ledger,
        devices=tuple(
            replace(each, total_bytes=sizes[each.name], free_bytes=sizes[each.name]) if each.name in sizes else each
            for each in ledger.devices
        ),
    )


def _in_ram(buffer: BufferUse, known: Mapping[str, DeviceInfo]) -> bool:
    if buffer.is_host:
        return True
    device = known.get(buffer.device)
    # Repacked weights are not "host" to ggml (others cannot read them), and yet they are in RAM.
    return buffer.device.startswith("CPU") or (device is not None and device.kind is DeviceKind.CPU)


def _entries(buffers: list[BufferUse], kv_text: str, copied_bytes: int) -> list[Entry]:
    # A loaded model counts the whole mapped span as weights; the part of it that was also copied is shown apart.
    mapped = next((each.buffer for each in buffers if each.buffer.endswith("_Mapped")), "")
    copied_of = {each.buffer: copied_bytes if each.buffer == mapped else 0 for each in buffers}
    weights = sum(each.model_bytes for each in buffers) - sum(copied_of.values())
    states = sum(each.recurrent_bytes for each in buffers)
    cache = sum(each.context_bytes for each in buffers) - states
    compute = sum(each.compute_bytes for each in buffers)
    found: list[Entry] = []
    if weights:
        places = [(each.buffer, each.model_bytes - copied_of[each.buffer]) for each in buffers if each.model_bytes]
        found.append(Entry(Part.WEIGHTS, weights, f"tensor by tensor, in {_sum_text(places)}"))
    if cache:
        found.append(Entry(Part.KV, cache, kv_text or "keys and values of every token"))
    if states:
        found.append(Entry(Part.RECURRENT, states, "one state a layer and sequence, whatever the context"))
    if compute:
        places = [(each.buffer, each.compute_bytes) for each in buffers if each.compute_bytes]
        where = f", in {_sum_text(places)}" if len(places) > 1 else ""
        found.append(Entry(Part.COMPUTE, compute, f"the largest graph, results of one micro-batch{where}"))
    return found


def _sum_text(places: Sequence[tuple[str, int]]) -> str:
    """The buffers that a part is the sum of: "CPU", "CPU 222.5 MiB + CPU_REPACK 12.7 MiB"."""
    if len(places) == 1:
        return places[0][0]
    return " + ".join(f"{name} {bytes_text(size)}" for name, size in places)


def _draft_entries(use: MemoryUse, buffers: list[BufferUse], *, is_ram: bool) -> list[Entry]:
    """The draft model on one device, as one part: what it is made of matters less than whether it is worth its room."""
    draft = use.draft
    if draft is None:
        return []
    parts = _entries(buffers, "", copied_bytes=0 if use.is_dry else draft.mapped_bytes)
    size = sum(each.size_bytes for each in parts) + (draft.output_bytes if is_ram else 0)
    names = ", ".join(each.part.value for each in parts)
    return [Entry(Part.DRAFT, size, f"its {names or 'output'}, {draft.n_ctx:,} tokens")] if size else []


def _host_entries(use: MemoryUse, vocab_bytes: int | None, *, is_measured: bool) -> list[Entry]:
    """What RAM holds beside the engine's buffers; `is_measured`: the process was."""
    logits = f"{use.output_bytes // 4:,} logits × 4 bytes, of the tokens that a call gives back"
    found = [Entry(Part.OUTPUT, use.output_bytes, logits)]
    mapped = use.mapped_bytes + (use.draft.mapped_bytes if use.draft is not None else 0)
    if mapped:
        found.append(Entry(Part.MAPPED, mapped, "pages of the file whose weights were also copied"))
    tables = use.vocab_bytes if use.vocab_bytes is not None else vocab_bytes
    overhead = use.base_rss_bytes + (tables or 0) + use.work_bytes
    how = f"the engine's process {bytes_text(use.base_rss_bytes)}"
    how += f" + the tokenizer {bytes_text(tables)}" if tables else ""
    how += ", measured" if is_measured else ", assumed"
    how += f"; ggml's work buffer {bytes_text(use.work_bytes)}" if use.work_bytes else ""
    found.append(Entry(Part.OVERHEAD, overhead, how, is_estimate=use.is_dry))
    return found
