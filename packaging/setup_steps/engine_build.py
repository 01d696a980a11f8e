"""Compiling llama.cpp (the package llama-cpp-python, which is published as source only) into a wheel, once a computer.

The finished wheel is kept in the user's cache folder under a hash of everything it depends on: source, build tools,
CMake options, compiler settings, this processor. A second clone takes it from there; another GPU choice makes
another. The unfinished build is kept under the same hash, so an interrupted one goes on where it was.

Rejected: pip's own cache of built wheels, which knows neither CMake options nor the processor and would hand a CPU
build to `GPU=cuda`; pip's build isolation, which fetches unpinned build tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from setup_steps.console import Console, tail
from setup_steps.lock_file import exclusive
from setup_steps.pip_runs import pip_command, pip_environment, run_pip
from setup_steps.progress import read_ninja
from setup_steps.trouble import SetupError

LABEL = "llama.cpp"
COMPILER_SETTINGS = (
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "CUDACXX",
    "CUDAHOSTCXX",
    "HIPCXX",
    "CMAKE_GENERATOR",
)
WITHOUT_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
BYTES_PER_JOB = 1 << 30  # what one compiler process of llama.cpp takes at most, with room (measured 0.7 GB)


@dataclass(frozen=True)
class EngineBuild:
    """One way to compile the engine on this computer: where it is kept, and with which options."""

    folder: Path
    cmake_args: str
    what_for: str

    def wheel(self) -> Path | None:
        """The finished wheel; None while there is none."""
        return next(iter(sorted(self.folder.glob("*.whl"))), None)


def cache_folder(environment: Mapping[str, str], home: Path, platform_name: str) -> Path:
    """Where finished engines are kept: the platform's cache folder of this user, or XDG_CACHE_HOME."""
    if environment.get("XDG_CACHE_HOME"):
        return Path(environment["XDG_CACHE_HOME"]) / "llamarium" / "engines"
    base = home / "Library" / "Caches" if platform_name == "darwin" else home / ".cache"
    return base / "llamarium" / "engines"


def build_key(locks: list[bytes], cmake_args: str, environment: Mapping[str, str], processor: str) -> str:
    """The hash that a finished wheel is kept under: equal keys may share it."""
    settings = [f"{name}={environment[name]}" for name in COMPILER_SETTINGS if environment.get(name)]
    digest = hashlib.sha256()
    for part in (*locks, cmake_args.encode(), *(text.encode() for text in settings), processor.encode()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:20]


def processor_text(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the compiler's -march=native depends on: architecture, C library and the processor's features.

    A home folder shared between computers must not hand one the instructions of another.
    """
    features = ""
    with contextlib.suppress(OSError):
        lines = cpuinfo.read_text(errors="replace").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())} {features}"


def compiler_environment(environment: Mapping[str, str], processor: str) -> dict[str, str]:
    """The environment that the compiler gets: no AMX on a processor that has it.

    GCC 12, Debian 12's, tells the optimizer that loading a tile configuration reads 8 of its 64 bytes, so the rest is
    never written and the engine's first matrix product ends in SIGILL. Source: `_tile_loadconfig` in GCC's
    amxtileintrin.h, `ggml_tile_config_init` in ggml-cpu/amx/mmq.cpp.
    """
    changed = dict(environment)
    if "amx_tile" in processor.split():
        for name in ("CFLAGS", "CXXFLAGS"):
            changed[name] = f"{environment.get(name, '')} {WITHOUT_AMX}".strip()
    return changed


def n_jobs(n_cores: int, free_bytes: int | None) -> int:
    """Compiler processes at a time: one a core, as long as each has its gigabyte."""
    return n_cores if free_bytes is None else max(1, min(n_cores, free_bytes // BYTES_PER_JOB))


def ensure_wheel(build: EngineBuild, venv: Path, locks: Path, console: Console, log: Path) -> Path:
    """The wheel of this build, compiled now if it never was. Raises SetupError with the log's tail when it fails."""
    build.folder.mkdir(parents=True, exist_ok=True)
    with exclusive(
        build.folder / "lock", lambda: console.step(LABEL, "being compiled by another set-up; waiting for it")
    ):
        found = build.wheel()
        if found is not None:
            console.step(LABEL, f"for {build.what_for}, compiled before")
            return found
        console.step(LABEL, f"compiling for {build.what_for}: 2 to 12 minutes, once (all output: {log})")
        return _compile(build, venv, locks, console, log)


def _compile(build: EngineBuild, venv: Path, locks: Path, console: Console, log: Path) -> Path:
    work = build.folder / "work"
    work.mkdir(exist_ok=True)
    tools = work / "tools"
    python = tools / "bin" / "python"
    if not (tools / "complete").exists():
        make_venv = [str(venv / "bin" / "python"), "-I", "-m", "venv", "--clear", "--without-pip", str(tools)]
        if console.run(LABEL, "build tools", make_venv, log) != 0:
            raise SetupError(f"{LABEL}: no virtual environment could be made. The end of {log}:\n{tail(log)}")
        lock = str(locks / "engine-build.txt")
        install = ["install", "--require-hashes", "--no-deps", "--progress-bar=raw", "-r", lock]
        run_pip(console, LABEL, "build tools", pip_command(venv, "--python", str(python), *install), log)
        (tools / "complete").touch()

    source = work / "source"
    if not source.exists():
        # No build isolation: pip reads the source's metadata with the locked build tools.
        fetch = [
            "download",
            "--require-hashes",
            "--no-deps",
            "--no-binary=:all:",
            "--no-build-isolation",
            "--progress-bar=raw",
        ]
        archives = ["--dest", str(work / "archive"), "-r", str(locks / "engine.txt")]
        run_pip(console, LABEL, "source", pip_command(venv, "--python", str(python), *fetch, *archives), log)
        unpack(next((work / "archive").glob("*.tar.gz")), source)

    environment = pip_environment(compiler_environment(os.environ, processor_text()))
    environment["CMAKE_ARGS"] = build.cmake_args
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(n_jobs(_n_cores(), _free_bytes())))
    # cmake and ninja are programs of the build tools' environment.
    environment["PATH"] = os.pathsep.join([str(tools / "bin"), environment.get("PATH", os.defpath)])
    out = work / "out"
    compile_it = [
        "wheel",
        "-v",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--no-cache-dir",
        "--wheel-dir",
        str(out),
    ]
    command = pip_command(
        venv, "--python", str(python), *compile_it, f"--config-settings=build-dir={work / 'cmake'}", str(source)
    )
    code = console.run(LABEL, "compiling", command, log, read_ninja, environment)
    made = next(iter(out.glob("*.whl")), None)
    if code != 0 or made is None:
        # What CMake found missing may be there the next time; the finished object files are kept.
        (work / "cmake" / "CMakeCache.txt").unlink(missing_ok=True)
        raise SetupError(
            f"llama.cpp did not compile for {build.what_for} (code {code}). The end of {log}:\n{tail(log)}",
            "Look for the first “error:” in that log. Running the same command again goes on where it stopped; "
            f"to begin afresh, delete {work} first. Another build: make run GPU=cpu",
        )
    wheel = build.folder / made.name
    os.replace(made, wheel)
    shutil.rmtree(work, ignore_errors=True)
    return wheel


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive that holds one folder; `folder` appears only when it is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(partial, filter="data")
        else:
            tar.extractall(partial)  # Python 3.11.3 and older: the file's hash was checked, so we know what is in it
    (inner,) = partial.iterdir()
    inner.rename(folder)
    partial.rmdir()
    archive.unlink()


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
