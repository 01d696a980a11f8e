"""The stamp: what `.venv` was made from, so that a second start has nothing to do.

One JSON file inside `.venv`. It is written with state "installing" before the first change and with "ready" after the
last, so an interrupted set-up is seen: pip, killed in the middle, can leave a package that it later takes for
installed, and only a new `.venv` is sure to be whole. (Downloads and the compiled engine are kept elsewhere.)
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from setup_steps.accelerators import Gpu

FILE_NAME = "llamarium-setup.json"
SETUP_VERSION = 1  # raise it when a step changes what it leaves in .venv


class State(enum.Enum):
    """Whether the last set-up came to its end."""

    INSTALLING = "installing"
    READY = "ready"


class Profile(enum.Enum):
    """How much is installed: what the program needs, what its tests need as well, or the tests on the software GPU."""

    RUN = "run"
    TEST = "test"
    GPU_TEST = "gpu-test"

    @property
    def venv_name(self) -> str:
        """The folder it is installed in: another engine lives beside the usual one and does not replace it."""
        return ".venv-vulkan" if self is Profile.GPU_TEST else ".venv"

    def covers(self, other: Profile) -> bool:
        """Whether what this one installed is enough for the other."""
        return self is other or (self is Profile.TEST and other is Profile.RUN)


_RUN_LOCKS = ("pip.txt", "run.txt", "engine-build.txt", "engine.txt", "starter.txt")
_TEST_LOCKS = (*_RUN_LOCKS, "test.txt", "test-models.txt")
LOCKS: dict[Profile, tuple[str, ...]] = {
    Profile.RUN: _RUN_LOCKS,
    Profile.TEST: _TEST_LOCKS,
    Profile.GPU_TEST: _TEST_LOCKS,
}


@dataclass(frozen=True)
class Stamp:
    """What a `.venv` holds.

    Attributes:
        state: whether it is whole.
        key: `setup_key` of what it was made from; "" while it is being made.
        profile: how much is in it.
        gpu: what its engine was compiled for.
        user_cmake_args: CMAKE_ARGS as the user gave it.
        folder: where it was made: its scripts name that place, so a moved one is made anew.
    """

    state: State
    key: str
    profile: Profile
    gpu: Gpu
    user_cmake_args: str
    folder: str


def setup_key(lock_folder: Path, profile: Profile, python_version: str, build_options: str) -> str:
    """A hash of everything a profile's `.venv` is made from.

    Args:
        lock_folder: where the lock files are.
        profile: which of them count.
        python_version: with its micro part, such as "3.11.2".
        build_options: the CMake options of the engine.
    """
    digest = hashlib.sha256()
    parts: Sequence[bytes] = [
        str(SETUP_VERSION).encode(),
        python_version.encode(),
        build_options.encode(),
        *((lock_folder / name).read_bytes() for name in LOCKS[profile]),
    ]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def read_stamp(venv: Path) -> Stamp | None:
    """The stamp of a `.venv`; None when there is none or it cannot be read."""
    try:
        fields = json.loads((venv / FILE_NAME).read_text("utf-8"))
        return Stamp(
            state=State(fields["state"]),
            key=str(fields["key"]),
            profile=Profile(fields["profile"]),
            gpu=Gpu(fields["gpu"]),
            user_cmake_args=str(fields["user_cmake_args"]),
            folder=str(fields["folder"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Replace the stamp in one step."""
    fields = {
        "state": stamp.state.value,
        "key": stamp.key,
        "profile": stamp.profile.value,
        "gpu": stamp.gpu.value,
        "user_cmake_args": stamp.user_cmake_args,
        "folder": stamp.folder,
    }
    fresh = venv / (FILE_NAME + ".new")
    fresh.write_text(json.dumps(fields, indent=1) + "\n", "utf-8")
    os.replace(fresh, venv / FILE_NAME)
