"""What the engine is compiled for: the CPU alone, or one kind of GPU with it.

One variable chooses (`make run GPU=cuda`). Each kind is a set of llama.cpp's own CMake options and the tools that its
compiler run needs; both are written here once. Source: llama.cpp docs/build.md.
"""

from __future__ import annotations

import enum
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


class Gpu(enum.Enum):
    """A build of the engine. The value is what the user writes."""

    CPU = "cpu"
    CUDA = "cuda"
    VULKAN = "vulkan"
    METAL = "metal"
    ROCM = "rocm"


# The network backend costs seconds to compile and makes other computers' devices possible, so every build has it.
COMMON_OPTIONS = ("-DGGML_RPC=ON",)

OPTIONS: Mapping[Gpu, tuple[str, ...]] = {
    Gpu.CPU: (),
    Gpu.CUDA: ("-DGGML_CUDA=ON",),
    Gpu.VULKAN: ("-DGGML_VULKAN=ON",),
    Gpu.METAL: ("-DGGML_METAL=ON",),
    Gpu.ROCM: ("-DGGML_HIP=ON",),
}

LABELS: Mapping[Gpu, str] = {
    Gpu.CPU: "this CPU",
    Gpu.CUDA: "CUDA (NVIDIA)",
    Gpu.VULKAN: "Vulkan",
    Gpu.METAL: "Metal (Apple)",
    Gpu.ROCM: "ROCm (AMD)",
}

VULKAN_HEADER = Path("/usr/include/vulkan/vulkan_core.h")
SPIRV_HEADERS = Path("/usr/share/cmake/SPIRV-Headers")

Which = Callable[[str], str | None]  # like shutil.which


def default_gpu(platform: str = sys.platform) -> Gpu:
    """CPU, but Metal on a Mac: llama-cpp-python's build turns it on there whatever we say."""
    return Gpu.METAL if platform == "darwin" else Gpu.CPU


def parse_gpu(text: str) -> Gpu:
    """The build that a word names. Raises ValueError with the words there are."""
    try:
        return Gpu(text.strip().lower())
    except ValueError:
        words = ", ".join(gpu.value for gpu in Gpu)
        raise ValueError(f"GPU={text} is not a build Llamarium knows; use one of {words}") from None


def cmake_arguments(gpu: Gpu, from_user: str = "") -> str:
    """The value of CMAKE_ARGS: ours, then the user's own, which therefore win."""
    return " ".join([*COMMON_OPTIONS, *OPTIONS[gpu], *from_user.split()])


def missing_tools(
    gpu: Gpu,
    environment: Mapping[str, str],
    cmake_args: str = "",
    which: Which = shutil.which,
    platform: str = sys.platform,
) -> list[str]:
    """What compiling this build lacks on this computer, one sentence each; empty when it may be tried.

    Args:
        gpu: the build.
        environment: may name compilers and SDKs.
        cmake_args: the build's CMake options, which may name headers.
        which, platform: what is asked for programs, and the system's name.
    """
    if gpu is Gpu.CUDA:
        found = environment.get("CUDACXX") or which("nvcc") or _executable("/usr/local/cuda/bin/nvcc")
        return [] if found else ["nvcc, the CUDA compiler (NVIDIA's CUDA toolkit; or set CUDACXX to its path)"]
    if gpu is Gpu.VULKAN:
        lacks = []
        if not which("glslc"):
            lacks.append("glslc, the shader compiler (Debian: apt-get install glslc)")
        if not (names_own_vulkan_headers(cmake_args, environment) or vulkan_headers_suffice() or platform == "darwin"):
            lacks.append(
                "Vulkan headers, 1.3.272 or later, and those of SPIR-V (Debian 13: apt-get install libvulkan-dev spirv-headers; "
                "elsewhere: unpack those two packages into a folder and set CMAKE_ARGS='-DVulkan_INCLUDE_DIR=FOLDER/usr/include "
                "-DSPIRV-Headers_DIR=FOLDER/usr/share/cmake/SPIRV-Headers')"
            )
        library = re.search(r"-DVulkan_LIBRARY=(\S+)", cmake_args)
        if library is not None and not Path(library[1]).exists():
            lacks.append(f"the Vulkan loader {library[1]} (Debian: apt-get install libvulkan1)")
        return lacks
    if gpu is Gpu.ROCM:
        found = which("hipcc") or _executable("/opt/rocm/bin/hipcc")
        return [] if found else ["hipcc, the HIP compiler (AMD's ROCm)"]
    if gpu is Gpu.METAL:
        if platform != "darwin":
            return ["macOS: Metal exists nowhere else"]
        return [] if which("xcrun") else ["Apple's command line tools (xcode-select --install)"]
    return []


def names_own_vulkan_headers(cmake_args: str, environment: Mapping[str, str]) -> bool:
    """Whether the options or the environment say where the Vulkan headers are."""
    return "Vulkan_INCLUDE_DIR" in cmake_args or "VULKAN_SDK" in environment


def vulkan_headers_suffice(header: Path = VULKAN_HEADER, spirv: Path = SPIRV_HEADERS) -> bool:
    """Whether the system's headers will do: they know VkLayerSettingEXT (Debian 12's do not), and SPIR-V's are there."""
    try:
        return "VkLayerSettingEXT" in header.read_text(errors="replace") and spirv.exists()
    except OSError:
        return False


def _executable(path: str) -> str | None:
    return path if Path(path).exists() else None
