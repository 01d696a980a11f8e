"""The bare window loads nothing heavy: what a page needs comes with the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("numpy", "pygments", "pyqtgraph", "jinja2", "huggingface_hub", "tomlkit", "markdown_it", "gguf", "llama_cpp")


def test_the_window_frame_imports_nothing_heavy() -> None:
    code = "import sys, gui.main_window, gui.bridge; print(*(n for n in sys.argv[1:] if n in sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
