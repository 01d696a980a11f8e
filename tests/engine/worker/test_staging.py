"""What a load takes of RAM for a moment: told before, and measured in the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.gguf.card import read_card
from engine.memory.ledger import Ledger, Part
from engine.worker import resident
from engine.worker.binding import Ggml, start_backends
from engine.worker.mapped import STREAMED_BYTES, PlacedTensor, staged_bytes
from tests.support.benches import Driver, open_bench
from tests.support.rpc_servers import rpc_servers

MIB = 1 << 20


def test_copies_are_of_what_goes_elsewhere_one_tensor_at_a_time() -> None:
    kept = PlacedTensor("token_embd.weight", 900, "CPU", is_host=True)
    rearranged = PlacedTensor("blk.0.ffn_up.weight", 500, "CPU_REPACK", is_host=False)
    small = PlacedTensor("blk.1.ffn_up.weight", 300, "CPU_REPACK", is_host=False)
    on_card = PlacedTensor("blk.2.ffn_up.weight", 700 * MIB, "CUDA0", is_host=False, is_streamed=True)
    on_metal = PlacedTensor("blk.2.ffn_up.weight", 600, "MTL0", is_host=False)
    away = PlacedTensor("blk.3.ffn_up.weight", 400, "RPC0[localhost:1]", is_host=False)
    assert staged_bytes([kept], uses_mmap=False) == 0
    assert staged_bytes([kept, small, rearranged], uses_mmap=False) == 500
    assert staged_bytes([kept, on_metal, rearranged], uses_mmap=False) == 600
    assert staged_bytes([rearranged, on_card], uses_mmap=False) == STREAMED_BYTES
    assert staged_bytes([kept, rearranged, on_card], uses_mmap=True) == 0
    assert staged_bytes([rearranged, away], uses_mmap=False) == 800, "read, and copied into the message"
    assert staged_bytes([rearranged, away], uses_mmap=True) == 400
    assert staged_bytes(None, uses_mmap=False) is None


def test_the_processors_buffers_are_not_streamed_to() -> None:
    start_backends()
    ggml = Ggml()
    assert not any(ggml.buffer_is_streamed(each) for each in ggml.buffer_types().values())


@pytest.mark.parametrize("mmap", [True, False])
def test_a_load_on_the_processor_takes_no_more_than_what_stays(tmp_path: Path, gemma3: Path, mmap: bool) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(gemma3, planned=True, n_ctx=512, mmap=mmap)
        planned, real = _ledgers(driver)
    assert planned.loading.staged_bytes is not None
    assert (planned.loading.staged_bytes == 0) is mmap
    assert planned.passing_bytes == 0
    assert real.loading.staged_bytes == planned.loading.staged_bytes
    _check_measured(real)
    peak, resident_bytes, files = _measured(real)
    assert peak <= resident_bytes + 4 * MIB
    weights = real.size_of(Part.WEIGHTS) or 0
    assert (files > 200 * MIB) is mmap, "mapped weights are pages of the file"
    assert resident_bytes - files > (0 if mmap else weights), "read weights are the process's own"


def test_a_copy_for_a_server_is_told_before_and_seen_in_the_peak(tmp_path: Path, gemma3: Path) -> None:
    # Servers keep what they were sent, so each of the two loads has a server of its own.
    for mmap, n_copies in ((False, 2), (True, 1)):
        folder = tmp_path / str(mmap)
        folder.mkdir()
        with rpc_servers(folder, 1) as (server,), open_bench(folder / "bench", start=False) as driver:
            driver.workbench.set_setting("rpc_servers", (server.address,))
            driver.load(gemma3, planned=True, n_ctx=512, n_gpu_layers=-1, mmap=mmap)
            planned, real = _ledgers(driver)
        tied = 170 * MIB  # the embedding, which is the output too
        staged = planned.loading.staged_bytes
        assert staged is not None
        assert abs(staged - n_copies * tied) < MIB
        later = sum(planned.devices[0].size_of(each) or 0 for each in (Part.COMPUTE, Part.OUTPUT))
        awaited = 0 if mmap else tied  # read from the file when the server has its copy
        assert abs(planned.passing_bytes - (n_copies * tied - awaited - later)) < MIB
        _check_measured(real)
        peak, resident_bytes, _files = _measured(real)
        # With mmap the pages of the file that do not stay count in the peak, and the system may take them back.
        let_go = read_card(gemma3).weights_bytes - tied if mmap else 0
        assert abs(peak - resident_bytes - let_go - planned.passing_bytes) < 0.1 * tied


def test_where_the_system_tells_nothing_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(resident, "_CLEAR", tmp_path / "no" / "clear_refs")
    assert resident.begin_peak() is False
    assert resident.peak_bytes() is resident.file_bytes() is None
    (tmp_path / "odd").write_text("Name: x\nVmHWM:\t 12 kB\nRssFile:\tmany kB\nVmSwap:\n")
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "odd")
    assert resident.peak_bytes() == 12 * 1024
    assert resident.file_bytes() is None


def _ledgers(driver: Driver) -> tuple[Ledger, Ledger]:
    driver.until(lambda: driver.workbench.measured is not None)
    planned, real = driver.workbench.predicted, driver.workbench.measured
    assert planned is not None
    assert real is not None
    return planned, real


def _measured(ledger: Ledger) -> tuple[int, int, int]:
    """The peak, what is resident, and what of it is pages of files, in bytes."""
    loading = ledger.loading
    assert loading.peak_bytes is not None
    assert loading.resident_bytes is not None
    assert loading.resident_file_bytes is not None
    return loading.peak_bytes, loading.resident_bytes, loading.resident_file_bytes


def _check_measured(ledger: Ledger) -> None:
    peak, resident_bytes, files = _measured(ledger)
    assert 0 < files < resident_bytes <= peak + MIB  # the kernel counts in batches of pages
