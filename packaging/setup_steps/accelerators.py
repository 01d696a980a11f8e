"""What the engine is compiled for: the CPU alone, or one kind of GPU with it.

One variable chooses (`make run GPU=cuda`). Each kind is a set of llama.cpp's own CMake options and the tools that its
compiler run needs; both are written here once. Source: llama.cpp docs/build.md.
"""

from __future__ import annotations

import enum
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
    gpu: Gpu, environment: Mapping[str, str], which: Which = shutil.which, platform: str = sys.platform
) -> list[str]:
    """What compiling this build lacks on this computer, one sentence each; empty when it may be tried."""
    if gpu is Gpu.CUDA:
        found = environment.get("CUDACXX") or which("nvcc") or _executable("/usr/local/cuda/bin/nvcc")
        return [] if found else ["nvcc, the CUDA compiler (NVIDIA's CUDA toolkit; or set CUDACXX to its path)"]
    if gpu is Gpu.VULKAN:
        lacks = []
        if not which("glslc"):
            lacks.append("glslc, the shader compiler (Debian: apt-get install glslc)")
        own_headers = "Vulkan_INCLUDE_DIR" in environment.get("CMAKE_ARGS", "") or "VULKAN_SDK" in environment
        if not own_headers and not _has_layer_settings(VULKAN_HEADER) and platform != "darwin":
            lacks.append(
                "Vulkan headers, 1.3.272 or later (Debian 13: apt-get install libvulkan-dev spirv-headers; Debian 12's are too old: "
                "unpack those two packages of Debian 13 into a folder and set "
                "CMAKE_ARGS='-DVulkan_INCLUDE_DIR=FOLDER/usr/include -DCMAKE_CXX_FLAGS=-IFOLDER/usr/include')"
            )
        return lacks
    if gpu is Gpu.ROCM:
        found = which("hipcc") or _executable("/opt/rocm/bin/hipcc")
        return [] if found else ["hipcc, the HIP compiler (AMD's ROCm)"]
    if gpu is Gpu.METAL:
        if platform != "darwin":
            return ["macOS: Metal exists nowhere else"]
        return [] if which("xcrun") else ["Apple's command line tools (xcode-select --install)"]
    return []


def _has_layer_settings(header: Path) -> bool:
    """Whether the header knows VkLayerSettingEXT, which llama.cpp uses and Debian 12's does not have."""
    try:
        return "VkLayerSettingEXT" in header.read_text(errors="replace")
    except OSError:
        return False


def _executable(path: str) -> str | None:
    return path if Path(path).exists() else None
