"""How much RAM there is and how much a new model may take: the system's word, and the control group's where it is less.

A container or a service can have a limit far below the machine's memory, and whoever goes past it is killed without a
word; so the tightest limit on the way from our own group to the root counts. Rejected: the machine's numbers alone
(they promise what the container will not give), counting page cache as taken (a model that was just downloaded would
then stand in its own way). Source: Documentation/admin-guide/cgroup-v2.rst; cgroup-v1/memory.rst for the older files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.hardware.kernel_files import number_of, pairs_of, text_of

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class RamNow:
    """Bytes of RAM: all there is for us, and what can be taken without pushing others out.

    `is_limited`: a control group (a container's, a service's) allows less than the machine has.
    """

    total_bytes: int
    free_bytes: int
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class _Files:
    """The names of a control group's files, and of the reclaimable parts in its statistics."""

    limit: str
    used: str
    reclaimable: tuple[str, ...]


_V2 = _Files("memory.max", "memory.current", ("active_file", "inactive_file", "slab_reclaimable"))
_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def ram_now(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> RamNow:
    """RAM at this moment. Page cache counts as free, as the system's own “available” does.

    Args:
        cgroup: where the control groups are mounted; missing files mean no limit.
        membership: the file that names the groups of this process.
    """
    import psutil  # 10 ms, and the window is shown before anybody asks

    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    for folder, files in _groups(cgroup, membership):
        limit = number_of(folder / files.limit)
        if limit is None or limit >= memory.total:
            continue
        total = min(total, limit)
        used = number_of(folder / files.used)
        if used is not None:
            free = min(free, limit - used + _reclaimable(folder, files))
    return RamNow(total, max(0, min(free, total)), is_limited=total < memory.total)


def _groups(cgroup: Path, membership: Path) -> Iterator[tuple[Path, _Files]]:
    """Our groups that exist below the mount, innermost first. A container sees its own group as the mount's root."""
    v1, v2 = "/", "/"
    for line in (text_of(membership) or "").splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            v2 = path
        elif "memory" in controllers.split(","):
            v1 = path
    for top, path, files in ((cgroup, v2, _V2), (cgroup / "memory", v1, _V1)):
        steps = [step for step in path.split("/") if step not in ("", "..")]
        for depth in range(len(steps), -1, -1):
            folder = top.joinpath(*steps[:depth])
            if folder.is_dir():
                yield folder, files


def _reclaimable(folder: Path, files: _Files) -> int:
    parts = pairs_of(folder / "memory.stat", " ")
    return sum(int(parts.get(name, "0")) for name in files.reclaimable)


def lockable_bytes() -> int | None:
    """How much memory this user may lock (`ulimit -l`); None where there is no limit or none is known."""
    try:
        import resource
    except ImportError:  # Windows grows the working set instead
        return None
    soft, _hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft
