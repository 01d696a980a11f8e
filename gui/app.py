"""The window as a program: flags, the checks before Qt, logging, the last door, and the order of the start.

The window is shown first; the engine's modules are imported and the store and the library begin after its first paint. Nothing
heavy is imported before that. Ctrl+C in the terminal closes the window like its own button does.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import KnownError
from engine.base.paths import Paths
from engine.settings import read_settings

if TYPE_CHECKING:
    from gui.wiring import Wiring

EXIT_NO_WINDOW, EXIT_BAD = 1, 2
LOOK_EVERY_MS = 10
PAGES = ("chat", "memory", "hardware", "models", "lab", "settings")


def main(arguments: Sequence[str]) -> int:
    """Open the window; returns when it is closed. 0 done, 1 no window is possible here, 2 bad use."""
    given = flags_of(list(arguments))
    complaint = why_no_window(os.environ, sys.platform, _pyside_version(), sys.version_info[:2])
    if complaint:
        print(complaint, file=sys.stderr)
        return EXIT_NO_WINDOW
    model = Path(given.model).expanduser().absolute() if given.model else None
    if model is not None and not model.is_file():
        print(f"There is no model file {model}: give the path of a GGUF file", file=sys.stderr)
        return EXIT_BAD
    paths = Paths.under(Path(given.data_dir)) if given.data_dir else Paths.of_user()
    return run(paths, model, given.page or "", [sys.argv[0]])


def run(paths: Paths, model: Path | None, page: str, qt_arguments: list[str]) -> int:
    """The program from the application object to its end."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from gui.faults import begin_crash_traces, begin_logging
    from gui.first_paint import after_first_paint
    from gui.icons import Icons
    from gui.main_window import MainWindow
    from gui.panels import panels
    from gui.theme import Mode, Theme

    crash_file = begin_crash_traces(paths.logs)
    app = QApplication([*qt_arguments, "-style", "fusion"])
    app.setApplicationName("llamarium")
    app.setApplicationDisplayName("Llamarium")
    app.setDesktopFileName("llamarium")
    theme = Theme(Mode(wanted_theme(paths)))
    window = MainWindow(panels(), theme=theme, icons=Icons(theme), state_path=paths.data / "window.json")
    if page:
        window.state.page = page
    # Only now: under a style sheet Qt polishes a widget again each time that its parents change.
    theme.apply(app, is_fusion=True)
    wirings: list[Wiring] = []

    def close(_signal: int, _frame: object) -> None:
        QTimer.singleShot(0, window, window.close)  # a timer that ticks lets Python see the signal

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, close)
    # The engine's modules take a tenth of a second: on a thread of their own, with the frame on screen already.
    loader = threading.Thread(
        target=importlib.import_module, args=("engine.workbench",), name="engine-import", daemon=True
    )
    waiting = QTimer(window, interval=LOOK_EVERY_MS)

    def begin() -> None:
        if loader.is_alive() or window.is_closed:
            return
        waiting.stop()
        from engine.workbench import Workbench
        from gui.wiring import wire

        begin_logging(paths.logs)
        wiring = wire(window, Workbench(paths))
        wirings.append(wiring)
        wiring.faults.install()
        window.show_first_page()
        QTimer.singleShot(0, wiring, lambda: wiring.begin(model))

    waiting.timeout.connect(begin)
    after_first_paint(window, lambda: (loader.start(), waiting.start()))
    window.show()
    try:
        return app.exec()
    finally:
        for wiring in wirings:
            wiring.close()
            wiring.faults.remove()
        if crash_file is not None:
            import faulthandler

            faulthandler.disable()
            crash_file.close()


def why_no_window(environment: Mapping[str, str], platform: str, pyside: str | None, python: tuple[int, int]) -> str:
    """Why no window can be opened here, with the next step; "" when nothing is known against it.

    Args:
        environment: the process's variables.
        platform: as `sys.platform`.
        pyside: the installed version, None when it is not installed.
        python: major and minor version.
    """
    if pyside is None:
        return "The window needs PySide6, which is not installed: run `make setup`."
    if pyside.startswith("6.12") and python < (3, 12):
        return (
            f"PySide6 {pyside} drops a reference on every call on Python {python[0]}.{python[1]} and ends the program "
            "after a while: run `make setup`, which brings 6.11, or use Python 3.12."
        )
    has_display = any(environment.get(each) for each in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
    if platform.startswith("linux") and not has_display:
        return (
            "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can be opened.\n"
            f'Without one, ask in the terminal:  {own_command()} chat MODEL --prompt "Hello"'
        )
    return ""


def own_command() -> str:
    """How this program is started in a terminal, as it can be typed: with the Python that has its packages."""
    if Path(sys.argv[0]).name != "main.py":
        return "llamarium"
    python = Path(sys.executable)
    here = Path.cwd()
    return f"{python.relative_to(here) if python.is_relative_to(here) else python} main.py"


def wanted_theme(paths: Paths) -> str:
    """The appearance that the settings file asks for, before anything is drawn; faults in it are told later."""
    try:
        return str(read_settings(paths.settings)["theme"])
    except KnownError:
        return "system"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line of the window says."""

    data_dir: str | None = None
    model: str | None = None
    page: str | None = None


def flags_of(arguments: list[str]) -> Flags:
    """The flags; usually there are none, and then argparse is not even imported."""
    if not arguments:
        return Flags()
    import argparse

    parser = argparse.ArgumentParser(prog="main.py", description="Open the Llamarium window.", allow_abbrev=False)
    parser.add_argument("--data-dir", metavar="FOLDER", help="keep chats, settings and logs here")
    parser.add_argument("--model", metavar="MODEL", help="load this GGUF file instead of the last one")
    parser.add_argument("--page", choices=PAGES, help="begin there")
    return Flags(**vars(parser.parse_args(arguments)))


def _pyside_version() -> str | None:
    """The installed PySide6, None without one; "" where it does not tell. Read from its file: nothing is imported."""
    spec = importlib.util.find_spec("PySide6")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("_config.py").read_text("utf-8")
    except OSError:
        return ""
    return next((line.split('"')[1] for line in text.splitlines() if line.startswith('version = "')), "")
