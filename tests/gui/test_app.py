"""The program around the window: what it refuses, what it does not import, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.base.errors import Remedy, RemedyKind
from engine.runtime.supervisor import EngineState, Phase
from engine.wire.messages import RunStats
from gui.app import main, wanted_theme, why_no_window
from gui.faults import begin_crash_traces, begin_logging
from gui.footer_feed import Activity, footer_values
from gui.wiring import contended_trouble

ROOT = Path(__file__).parents[2]
HEAVY = (
    "numpy", "pygments", "pyqtgraph", "jinja2", "huggingface_hub", "tomlkit", "markdown_it", "gguf", "llama_cpp", "pynvml",
    "engine.workbench",
)  # fmt: skip
PAINT_ONCE = """
import os, sys
from gui import app, main_window
paint = main_window.MainWindow.paintEvent
def painted(self, event):
    paint(self, event)
    print(*(name for name in sys.argv[1:] if name in sys.modules), "painted", flush=True)
    os._exit(0)
main_window.MainWindow.paintEvent = painted
app.main([])
"""


def test_nothing_heavy_is_imported_before_the_first_paint(tmp_path: Path) -> None:
    places = {f"XDG_{name}_HOME": str(tmp_path) for name in ("DATA", "CONFIG", "STATE", "CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", PAINT_ONCE, *HEAVY],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60, env=os.environ | places,
    )  # fmt: skip
    assert done.stdout.split() == ["painted"]


def test_without_a_display_the_terminal_is_named() -> None:
    text = why_no_window({}, "linux", "6.11.3", (3, 11))
    assert "chat MODEL --prompt" in text


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_with_a_display_nothing_is_refused(name: str) -> None:
    assert why_no_window({name: "x"}, "linux", "6.11.3", (3, 11)) == ""
    assert why_no_window({}, "darwin", "6.11.3", (3, 11)) == ""


def test_pyside_6_12_is_refused_where_it_would_end_the_program() -> None:
    assert "6.12.0" in why_no_window({"DISPLAY": ":0"}, "linux", "6.12.0", (3, 11))
    assert why_no_window({"DISPLAY": ":0"}, "linux", "6.12.0", (3, 12)) == ""
    assert "make setup" in why_no_window({"DISPLAY": ":0"}, "linux", None, (3, 11))


def test_the_program_says_so_and_ends_with_1() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    command = done.stderr.split("terminal:")[1].split(" chat MODEL --prompt")[0].split()
    assert command[-1] == "main.py"
    assert (ROOT / command[0]).exists()


def test_a_model_that_is_not_there_is_said_before_a_window_opens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "/nowhere/model.gguf"]) == 2
    assert "/nowhere/model.gguf" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_and_leaves_no_worker(tmp_path: Path, smollm2: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    program = subprocess.Popen(
        [sys.executable, "main.py", "--data-dir", str(tmp_path), "--model", str(smollm2)],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        children = _children_of(program.pid)
        program.send_signal(number)
        _, told = program.communicate(timeout=30)
    finally:
        program.kill()
    assert program.returncode == 0, told
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert (tmp_path / "logs" / "llamarium.log").exists()


def _children_of(pid: int) -> list[psutil.Process]:
    """The processes of the program, once its worker is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        children = psutil.Process(pid).children(recursive=True)
        if children:
            return children
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def test_a_log_folder_that_cannot_be_written_costs_only_the_log(tmp_path: Path) -> None:
    taken = tmp_path / "logs"
    taken.write_text("a file where the folder should be")
    assert begin_logging(taken) is None
    assert begin_crash_traces(taken) is None


def test_the_theme_of_the_settings_is_known_before_the_first_paint(tmp_path: Path) -> None:
    from engine.base.paths import Paths

    paths = Paths.under(tmp_path)
    assert wanted_theme(paths) == "system"
    paths.settings.write_text('theme = "light"\n')
    assert wanted_theme(paths) == "light"
    paths.settings.write_text("theme = [")
    assert wanted_theme(paths) == "system"


def test_the_footer_knows_nothing_without_a_model() -> None:
    stats = RunStats(10, 0, 10, 0.0, 0.1, 0.1, 0.1)
    values = footer_values(EngineState(phase=Phase.EMPTY), stats, is_thinking=False)
    assert values.activity is Activity.NONE
    assert (values.n_ctx, values.n_used, values.decode_tps) == (None, None, None)


def test_the_footer_tells_thinking_from_writing_and_how_far_a_load_is() -> None:
    assert footer_values(EngineState(phase=Phase.WRITING), None, is_thinking=True).activity is Activity.THINKING
    assert footer_values(EngineState(phase=Phase.WRITING), None, is_thinking=False).activity is Activity.WRITING
    loading = footer_values(EngineState(phase=Phase.LOADING, load_fraction=0.43), None, is_thinking=False)
    assert loading.fraction == 0.43


def test_a_contended_processor_names_its_share_and_one_thread_less() -> None:
    trouble = contended_trouble(0.61, 4)
    assert "61%" in trouble.value
    assert trouble.remedies == (Remedy(RemedyKind.SET_OPTION, "Use 3 threads", "n_threads=3"),)
    assert contended_trouble(None, 1).remedies == ()


def test_every_page_can_be_named_on_the_command_line() -> None:
    from gui.app import PAGES
    from gui.panels import PANELS

    assert tuple(each.key for each in PANELS) == PAGES
