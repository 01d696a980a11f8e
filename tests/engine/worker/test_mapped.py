"""What stays of a mapped file: asked of the engine tensor by tensor, for a load and for the plan of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.gguf.card import read_card
from engine.gguf.header import span_bytes
from engine.gguf.reader import read_header
from engine.wire.load_options import LOAD_OPTIONS
from engine.worker.binding import AbortFlag, Ggml, NativeLog, start_backends
from engine.worker.mapped import mapped_extra, placed_tensors
from engine.worker.session import Session, open_session


@contextmanager
def opened(path: Path, *, is_dry: bool) -> Iterator[tuple[Session, Ggml]]:
    """The model, loaded or planned."""
    log, ggml = NativeLog(), Ggml()
    start_backends()
    session = open_session(
        path,
        read_card(path),
        {**LOAD_OPTIONS.defaults(), "n_ctx": 256, "n_threads": 1, "n_threads_batch": 1},
        ggml=ggml,
        log=log,
        abort=AbortFlag(),
        on_progress=lambda _fraction: True,
        base_rss_bytes=0,
        is_dry=is_dry,
    )
    try:
        yield session, ggml
    finally:
        session.close()
        log.close()


@pytest.mark.parametrize("is_dry", [True, False])
def test_the_engine_names_every_tensor_with_its_size_and_buffer(gemma3: Path, is_dry: bool) -> None:
    header = read_header(gemma3)
    with opened(gemma3, is_dry=is_dry) as (session, ggml):
        placed = placed_tensors(session.model, ggml)
        assert placed is not None
        assert {each.name: each.size_bytes for each in placed} == {t.name: t.size_bytes for t in header.tensors}
        sums: Counter[str] = Counter()
        for each in placed:
            sums[each.buffer] += each.size_bytes
        buffers = {each.buffer: each.model_bytes for each in session.memory.buffers if each.model_bytes}
        assert sums.keys() == buffers.keys()
        # A mapped buffer is the whole span, in which rearranged tensors lie a second time.
        assert all(buffers[name] >= size for name, size in sums.items())


@pytest.mark.parametrize("is_dry", [True, False])
def test_what_stays_is_the_same_before_and_after_the_load_and_without_asking_tensors(
    gemma3: Path, is_dry: bool
) -> None:
    header, card = read_header(gemma3), read_card(gemma3)
    with opened(gemma3, is_dry=is_dry) as (session, ggml):
        placed = placed_tensors(session.model, ggml)
        assert placed is not None
        kept = {each.name for each in placed if each.buffer in ("CPU", "CPU_Mapped")}
        wanted = span_bytes(t for t in header.tensors if t.name in kept) - sum(
            t.size_bytes for t in header.tensors if t.name in kept
        )
        buffers = session.memory.buffers
        assert mapped_extra(buffers, placed, card, gemma3, True, is_dry=is_dry) == session.memory.mapped_bytes == wanted
        assert mapped_extra(buffers, None, card, gemma3, True, is_dry=is_dry) == wanted
        assert mapped_extra(buffers, placed, card, gemma3, False, is_dry=is_dry) == 0


def test_a_span_reaches_from_the_first_tensor_to_the_end_of_the_last(smollm2: Path) -> None:
    tensors = read_header(smollm2).tensors
    assert span_bytes([]) == 0
    assert span_bytes(tensors[3:4]) == tensors[3].size_bytes
    ends = tensors[5].offset + tensors[5].size_bytes
    assert span_bytes([tensors[5], tensors[2]]) == ends - tensors[2].offset
