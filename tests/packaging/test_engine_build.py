from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from setup_steps.console import Console
from setup_steps.engine_build import (
    WITHOUT_AMX,
    EngineBuild,
    build_key,
    cache_folder,
    compiler_environment,
    ensure_wheel,
    n_jobs,
    processor_text,
    unpack,
)

LOCKS = [b"llama-cpp-python==0.3.36", b"cmake==4"]


def test_the_same_build_has_the_same_key() -> None:
    assert build_key(LOCKS, "-DA", {"CC": "gcc"}, "x") == build_key(
        list(LOCKS), "-DA", {"CC": "gcc", "HOME": "/h"}, "x"
    )


@pytest.mark.parametrize(
    "other",
    [
        build_key([b"llama-cpp-python==0.3.37", b"cmake==4"], "-DA", {}, "x"),
        build_key(LOCKS, "-DB", {}, "x"),
        build_key(LOCKS, "-DA", {"CXXFLAGS": "-O1"}, "x"),
        build_key(LOCKS, "-DA", {}, "y"),
    ],
    ids=["source", "options", "compiler", "processor"],
)
def test_another_source_option_compiler_or_processor_is_another_build(other: str) -> None:
    assert other != build_key(LOCKS, "-DA", {}, "x")


def test_the_processors_features_are_part_of_what_a_build_is_for(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: sse2 avx2\n\nprocessor\t: 1\nflags\t\t: sse2 avx2\n")
    assert processor_text(cpuinfo).endswith("sse2 avx2")
    assert "avx2" not in processor_text(tmp_path / "nowhere")


def test_a_processor_with_amx_gets_an_engine_without_it_and_keeps_the_users_flags() -> None:
    changed = compiler_environment({"CFLAGS": "-O1", "CC": "gcc"}, "Linux x86_64 avx2 amx_tile amx_int8")
    assert changed == {"CFLAGS": f"-O1 {WITHOUT_AMX}", "CXXFLAGS": WITHOUT_AMX, "CC": "gcc"}
    assert compiler_environment({"CC": "gcc"}, "Linux x86_64 avx2") == {"CC": "gcc"}


def test_engines_are_kept_where_the_platform_keeps_caches() -> None:
    home = Path("/home/a")
    assert cache_folder({}, home, "linux") == home / ".cache/llamarium/engines"
    assert cache_folder({}, home, "darwin") == home / "Library/Caches/llamarium/engines"
    assert cache_folder({"XDG_CACHE_HOME": "/c"}, home, "linux") == Path("/c/llamarium/engines")


@pytest.mark.parametrize(("cores", "free_gib", "jobs"), [(8, 64, 8), (16, 4, 4), (4, 0, 1)])
def test_each_compiler_process_has_its_gigabyte(cores: int, free_gib: int, jobs: int) -> None:
    assert n_jobs(cores, free_gib << 30) == jobs


def test_unknown_memory_leaves_one_process_a_core() -> None:
    assert n_jobs(6, None) == 6


def test_a_finished_wheel_is_taken_and_nothing_is_compiled(tmp_path: Path) -> None:
    build = EngineBuild(tmp_path / "key", "-DA", "this CPU")
    build.folder.mkdir()
    wheel = build.folder / "llama_cpp_python-1-py3-none-any.whl"
    wheel.touch()
    out = io.StringIO()
    # There is no .venv here, so compiling would fail.
    assert ensure_wheel(build, tmp_path / "no-venv", tmp_path, Console(out), tmp_path / "log") == wheel
    assert "compiled before" in out.getvalue()


def test_unpacking_leaves_the_inner_folder_and_no_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("package-1.0/setup.txt")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"ok"))
    unpack(archive, tmp_path / "source")
    assert (tmp_path / "source" / "setup.txt").read_text() == "ok"
    assert not archive.exists()
