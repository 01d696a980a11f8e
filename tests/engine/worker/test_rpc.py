"""Devices of other computers: two real RPC servers on the loopback address, and servers that are none."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.splits import read_model
from engine.hardware.processor import processor_flags
from engine.hardware.rpc_servers import ANSWER_BYTES, greet, greeted
from engine.memory.formula.placement import machine_of
from engine.memory.formula.prediction import Formula
from engine.memory.ledger import Part
from engine.runtime.dry_run import plan_load
from engine.runtime.supervisor import Phase
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceKind, MemoryUse, Prompt
from engine.workbench.events import TroubleShown
from tests.support.answers import ask, listen
from tests.support.benches import open_bench
from tests.support.rpc_servers import RpcServer, free_port, rpc_servers

HELLO = struct.pack("<QBBBx24x", ANSWER_BYTES, 7, 0, 0)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RpcServer, ...]]:
    with rpc_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


def by_device(use: MemoryUse, part: str) -> dict[str, int]:
    """Bytes of a part of the buffers, of each device that has any."""
    found: dict[str, int] = {}
    for each in use.buffers:
        found[each.device] = found.get(each.device, 0) + getattr(each, f"{part}_bytes")
    return {device: size for device, size in found.items() if size}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_gpu_layers": 10},
        {"tensor_split": "1,3"},
        {"split_mode": "none", "main_gpu": 1},
        {"override_tensor": ("ffn_down=CPU", r"blk\.[0-4]\.attn=RPC1")},
        {"n_seq_max": 2, "offload_kqv": False},
    ],
    ids=str,
)
def test_a_model_is_shared_out_as_the_formula_says(
    smollm2: Path, two: tuple[RpcServer, ...], options: dict[str, object]
) -> None:
    wanted = LOAD_OPTIONS.checked({"n_ctx": 1024, **options})
    planned, hello = plan_load(str(smollm2), wanted, rpc_servers=[each.address for each in two])
    assert hello.troubles == ()
    assert [each.name for each in hello.devices if each.kind is DeviceKind.GPU] == ["RPC0", "RPC1"]
    headers = read_model(smollm2)
    formula = Formula(headers).predict(wanted, machine_of(hello.devices, processor_flags())).use
    for part in ("model", "context"):
        assert by_device(planned.memory, part) == by_device(formula, part), part


@pytest.mark.parametrize("n_gpu_layers", [0, 9, 18, -1])
def test_beside_servers_the_processor_still_rearranges_what_stays_in_ram(
    gemma3: Path, two: tuple[RpcServer, ...], n_gpu_layers: int
) -> None:
    wanted = LOAD_OPTIONS.checked({"n_ctx": 1024, "n_gpu_layers": n_gpu_layers})
    planned, hello = plan_load(str(gemma3), wanted, rpc_servers=[each.address for each in two])
    formula = Formula(read_model(gemma3)).predict(wanted, machine_of(hello.devices, processor_flags())).use
    told, said = (
        {each.device if each.device != "CPU" else each.buffer: each.model_bytes for each in use.buffers}
        for use in (planned.memory, formula)
    )
    assert {name: size for name, size in told.items() if size} == {name: size for name, size in said.items() if size}
    assert said["CPU"] > 0
    assert planned.memory.mapped_bytes == formula.mapped_bytes


@pytest.mark.parametrize("n_gpu_layers", [20, -1])
def test_what_is_planned_is_what_is_loaded_on_each_device_and_both_write(
    tmp_path: Path, smollm2: Path, two: tuple[RpcServer, ...], n_gpu_layers: int
) -> None:
    with open_bench(tmp_path, start=False) as driver:
        driver.workbench.supervisor.ensure_worker()  # before the setting: the load must not use this one
        driver.workbench.set_setting("rpc_servers", tuple(each.address for each in two))
        driver.load(smollm2, planned=True, n_ctx=1024, n_gpu_layers=n_gpu_layers)
        driver.until(lambda: driver.workbench.measured is not None)
        predicted, measured = driver.workbench.predicted, driver.workbench.measured
        assert predicted is not None
        assert measured is not None
        assert [each.name for each in measured.devices] == ["RAM", "RPC0", "RPC1"]
        for before, after in zip(predicted.devices[1:], measured.devices[1:], strict=True):
            for part in (Part.WEIGHTS, Part.KV):
                assert before.size_of(part) == after.size_of(part) != 0, (before.name, part)
            planned, real = before.size_of(Part.COMPUTE), after.size_of(Part.COMPUTE)
            assert planned is not None
            assert real is not None
            # With every layer on devices the batches are pipelined, and the engine's plan has the last device's copies of
            # the hidden state twice (4 of 512 x 576 floats).
            assert planned - real in ((0, 4 * 4 * 512 * 576) if n_gpu_layers < 0 else (0,))
        answer = ask(driver, [("user", "Say hello.")], max_tokens=8)
        assert answer.stats.n_completion > 0
        # Loading once more: the servers serve one program at a time, and the old one gives way.
        driver.load(smollm2, planned=True, n_ctx=512)
        assert driver.workbench.state.facts is not None
        assert driver.workbench.state.facts.devices == ("CPU", "RPC0", "RPC1")
        driver.workbench.set_setting("rpc_servers", ())
        driver.load(smollm2, planned=True, n_ctx=512)
        assert driver.workbench.state.facts.devices == ("CPU",)


def test_a_server_that_is_lost_in_an_answer_ends_the_engine_and_nothing_else(tmp_path: Path, smollm2: Path) -> None:
    with rpc_servers(tmp_path, 1) as (server,), open_bench(tmp_path / "bench", start=False) as driver:
        workbench = driver.workbench
        workbench.set_setting("rpc_servers", (server.address,))
        driver.load(smollm2, n_ctx=1024)
        runs = listen(driver)
        workbench.generate(
            Prompt(text="Once upon a time"), chain=workbench.chain, options={"max_tokens": 900, "ignore_eos": True}
        )
        driver.until(lambda: runs and len(runs[0].frames) > 3)
        server.kill()
        driver.until(lambda: workbench.state.phase is Phase.LOST)
        assert workbench.state.trouble is not None
        assert "RPC server was lost" in workbench.state.trouble.what
        assert runs[0].raw
        troubles: list[str] = []
        workbench.subscribe(TroubleShown, lambda event: troubles.append(event.trouble.sentence()))
        workbench.reload()
        driver.until(lambda: workbench.state.phase is Phase.READY)
        assert any(server.address in each and "cannot be reached" in each for each in troubles)
        assert workbench.state.facts is not None
        assert workbench.state.facts.devices == ("CPU",)


@contextmanager
def pretender(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Something that listens, takes one greeting and answers so; its address."""
    with socket.create_server(("localhost", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(64)
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"localhost:{listening.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no RPC server"),
        (b"", "no RPC server"),
        (HELLO[:20], "no RPC server"),
        (struct.pack("<QBBBx24x", ANSWER_BYTES, 6, 1, 0), r"another version.*6\.1\.0"),
        (struct.pack("<QBBBx24x", ANSWER_BYTES, 7, 1, 0), r"another version.*7\.1\.0"),
    ],
)
def test_what_is_no_server_of_this_version_is_told_and_left_out(answer: bytes, said: str) -> None:
    with pretender(lambda connection: connection.sendall(answer)) as address, pytest.raises(KnownError, match=said):
        greet(address)


def test_one_that_is_silent_or_not_there_costs_its_time_limit_and_not_the_others() -> None:
    nobody = f"localhost:{free_port()}"
    done = threading.Event()
    with (
        pretender(lambda _connection: done.wait(10)) as silent,
        pretender(lambda connection: connection.sendall(HELLO)) as good,
    ):
        found, errors = greeted((nobody, silent, good), within_s=0.3)
        done.set()
    assert found == (good,)
    assert ["reached" in str(errors[0]), "does not answer" in str(errors[1])] == [True, True]
    assert nobody in str(errors[0])


def test_the_engine_starts_without_a_server_that_is_none(smollm2: Path) -> None:
    with pretender(lambda connection: connection.sendall(b"\xff" * 64)) as address:
        _planned, hello = plan_load(str(smollm2), {"n_ctx": 256}, rpc_servers=[address])
    assert [each.kind for each in hello.devices] == [DeviceKind.CPU]
    assert [address in each.value for each in hello.troubles] == [True]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_however_the_command_ends_its_port_is_free_again(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    with rpc_servers(tmp_path, 1) as (server,):
        server.process.send_signal(sent)
        assert server.process.wait(30) == code
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_server(("localhost", server.port)):
                return
        with socket.create_server(("localhost", server.port)):
            pass
