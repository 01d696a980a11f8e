"""llama.cpp's log in a process that goes on after its listener: in a process of its own, as a mistake ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import gc, sys
from pathlib import Path
from engine.worker.binding import NativeLog
from tests.support.native_samplers import open_vocabulary

log = NativeLog()
with open_vocabulary(Path(sys.argv[1])):
    pass
n_lines = len(log.lines)
log.close()
with open_vocabulary(Path(sys.argv[1])):
    assert len(log.lines) == n_lines
del log
gc.collect()
with open_vocabulary(Path(sys.argv[1])):
    print(n_lines)
"""


def test_a_closed_log_hears_no_more_and_may_go(smollm2: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(smollm2)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 5
