from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from engine.hardware.probes.ram import RamProbe
from engine.hardware.ram import ram_now
from engine.hardware.snapshot import Quantity

MIB = 1 << 20


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A version 2 mount whose root is our own group, as a container sees it: 256 of 512 MiB used, 100 of it cache."""
    write_group(tmp_path / "cgroup", limit=str(512 * MIB), used=256 * MIB, cache=100 * MIB)
    return tmp_path / "cgroup"


def write_group(folder: Path, limit: str, used: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"anon {used - cache}\nfile {cache}\nactive_file {cache - 1}\ninactive_file 1\n"
    )


def membership(folder: Path, text: str) -> Path:
    (folder / "membership").write_text(text)
    return folder / "membership"


def test_without_control_groups_the_machines_own_memory_counts(tmp_path: Path) -> None:
    ram = ram_now(tmp_path / "none", tmp_path / "none")
    assert ram.total_bytes == psutil.virtual_memory().total
    assert 0 < ram.free_bytes <= ram.total_bytes
    assert not ram.is_limited


def test_a_containers_limit_is_the_total_and_its_page_cache_counts_as_free(mount: Path, tmp_path: Path) -> None:
    ram = ram_now(mount, membership(tmp_path, "0::/\n"))
    assert (ram.total_bytes, ram.free_bytes) == (512 * MIB, (512 - 256 + 100) * MIB)
    assert ram.is_limited


def test_the_tightest_limit_on_the_way_to_the_root_counts(mount: Path, tmp_path: Path) -> None:
    write_group(mount / "user.slice", limit=str(64 * MIB), used=48 * MIB, cache=MIB)
    write_group(mount / "user.slice" / "app.scope", limit="max", used=40 * MIB, cache=MIB)
    ram = ram_now(mount, membership(tmp_path, "0::/user.slice/app.scope\n"))
    assert (ram.total_bytes, ram.free_bytes) == (64 * MIB, 17 * MIB)


def test_a_group_path_from_outside_the_container_falls_back_to_the_mount(mount: Path, tmp_path: Path) -> None:
    ram = ram_now(mount, membership(tmp_path, "0::/../../docker/0123abcd\n"))
    assert ram.total_bytes == 512 * MIB


def test_the_word_max_is_no_limit(mount: Path, tmp_path: Path) -> None:
    write_group(mount, limit="max", used=256 * MIB, cache=MIB)
    assert ram_now(mount, membership(tmp_path, "0::/\n")).total_bytes == psutil.virtual_memory().total


def test_a_group_past_its_limit_has_nothing_free(mount: Path, tmp_path: Path) -> None:
    write_group(mount, limit=str(10 * MIB), used=20 * MIB, cache=MIB)
    assert ram_now(mount, membership(tmp_path, "0::/\n")).free_bytes == 0


def test_the_older_version_of_control_groups_is_understood(tmp_path: Path) -> None:
    group = tmp_path / "memory" / "docker" / "abc"
    group.mkdir(parents=True)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (group / "memory.limit_in_bytes").write_text(f"{128 * MIB}\n")
    (group / "memory.usage_in_bytes").write_text(f"{100 * MIB}\n")
    (group / "memory.stat").write_text(
        f"inactive_file 7\ntotal_inactive_file {20 * MIB}\ntotal_active_file {2 * MIB}\n"
    )
    ram = ram_now(tmp_path, membership(tmp_path, "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"))
    assert (ram.total_bytes, ram.free_bytes) == (128 * MIB, 50 * MIB)


def test_the_probe_reads_what_the_container_uses(mount: Path, tmp_path: Path) -> None:
    readings = RamProbe(mount, membership(tmp_path, "0::/\n")).read(0.0, {})
    assert {each.quantity: each.value for each in readings}[Quantity.RAM_USED] == 156 * MIB


def test_swap_is_left_out_where_there_is_none() -> None:
    has_swap = psutil.swap_memory().total > 0
    readings = RamProbe().read(0.0, {})
    assert (Quantity.SWAP_USED in {each.quantity for each in readings}) is has_swap
