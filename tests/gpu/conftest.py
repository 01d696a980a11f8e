"""The tests on a GPU that the processor plays: only in the environment that `make gpu-test` makes for them.

Elsewhere there is no such device, and nothing of this folder is collected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setup_steps.stamp import Profile, read_stamp

_stamp = read_stamp(Path(sys.prefix))
_is_here = _stamp is not None and _stamp.profile is Profile.GPU_TEST
collect_ignore_glob = [] if _is_here else ["test_*.py"]

if _is_here:
    # The engine's processes inherit both. A real card would be another device: only the software's driver is seen.
    os.environ["VK_DRIVER_FILES"] = ":".join(map(str, Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json")))
    # llama.cpp hides devices that are a processor until one is named.
    os.environ["GGML_VK_VISIBLE_DEVICES"] = "0"
