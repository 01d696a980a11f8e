"""Which instructions this processor has, by the kernel's own names ("avx2", "asimddp").

Elsewhere than on Linux nothing lists them without asking the processor itself; what every machine of the last ten years
has is taken there. Source: proc(5), arch/x86/include/asm/cpufeatures.h, arch/arm64/include/uapi/asm/hwcap.h.
"""

from __future__ import annotations

import platform
from pathlib import Path

from engine.hardware.kernel_files import pairs_of

PROC = Path("/proc")
_ELSEWHERE = {"arm64": "asimddp i8mm", "aarch64": "asimddp", "x86_64": "avx2", "amd64": "avx2"}


def processor_flags(proc: Path = PROC, machine: str | None = None) -> frozenset[str]:
    """The processor's flags; `proc` is where the kernel's files are, `machine` the kind of processor where it has none."""
    facts = pairs_of(proc / "cpuinfo", ":")
    stated = facts.get("flags") or facts.get("Features")
    kind = (platform.machine() if machine is None else machine).lower()
    return frozenset((stated or _ELSEWHERE.get(kind, "")).split())
