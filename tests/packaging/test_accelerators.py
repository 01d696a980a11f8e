from __future__ import annotations

from pathlib import Path

import pytest

from setup_steps.accelerators import (
    Gpu,
    cmake_arguments,
    default_gpu,
    missing_tools,
    parse_gpu,
    vulkan_headers_suffice,
)


def nothing_found(name: str) -> None:
    return None


def everything_found(name: str) -> str:
    return f"/usr/bin/{name}"


@pytest.mark.parametrize(
    ("gpu", "option"),
    [
        (Gpu.CUDA, "-DGGML_CUDA=ON"),
        (Gpu.VULKAN, "-DGGML_VULKAN=ON"),
        (Gpu.METAL, "-DGGML_METAL=ON"),
        (Gpu.ROCM, "-DGGML_HIP=ON"),
    ],
)
def test_each_gpu_turns_its_own_backend_on_and_keeps_the_network_one(gpu: Gpu, option: str) -> None:
    assert cmake_arguments(gpu).split() == ["-DGGML_RPC=ON", option]


def test_the_users_options_come_last_so_that_they_win() -> None:
    assert cmake_arguments(Gpu.CPU, " -DGGML_RPC=OFF  -DX=1 ") == "-DGGML_RPC=ON -DGGML_RPC=OFF -DX=1"


def test_a_gpu_is_read_whatever_its_case() -> None:
    assert parse_gpu(" CUDA ") is Gpu.CUDA


def test_an_unknown_gpu_is_refused_with_the_words_there_are() -> None:
    with pytest.raises(ValueError, match=r"GPU=opengl .* cpu, cuda, vulkan, metal, rocm"):
        parse_gpu("opengl")


def test_a_mac_gets_metal_and_everything_else_the_cpu_unless_told() -> None:
    assert default_gpu("darwin") is Gpu.METAL
    assert default_gpu("linux") is Gpu.CPU


def test_the_cpu_needs_no_tool() -> None:
    assert missing_tools(Gpu.CPU, {}, "", nothing_found, "linux") == []


def test_a_compiler_named_in_the_environment_counts() -> None:
    assert missing_tools(Gpu.CUDA, {"CUDACXX": "/opt/nvcc"}, "", nothing_found, "linux") == []


def test_a_missing_shader_compiler_is_named() -> None:
    lacks = missing_tools(Gpu.VULKAN, {"VULKAN_SDK": "/sdk"}, "", nothing_found, "linux")
    assert [line.split(",")[0] for line in lacks] == ["glslc"]
    assert missing_tools(Gpu.VULKAN, {"VULKAN_SDK": "/sdk"}, "", everything_found, "linux") == []


def test_own_vulkan_headers_are_taken_from_the_users_options() -> None:
    assert missing_tools(Gpu.VULKAN, {}, "-DVulkan_INCLUDE_DIR=/headers", everything_found, "linux") == []


def test_a_vulkan_loader_that_is_named_and_not_there_is_missed_before_the_compiler_runs(tmp_path: Path) -> None:
    loader = tmp_path / "libvulkan.so.1"
    arguments = f"-DVulkan_INCLUDE_DIR=/headers -DVulkan_LIBRARY={loader}"
    (lack,) = missing_tools(Gpu.VULKAN, {}, arguments, everything_found, "linux")
    assert str(loader) in lack
    loader.touch()
    assert missing_tools(Gpu.VULKAN, {}, arguments, everything_found, "linux") == []


@pytest.mark.parametrize(
    ("text", "has_spirv", "suffices"),
    [("typedef struct VkLayerSettingEXT {", True, True), ("VkLayerSettingEXT", False, False), ("1.3.239", True, False)],
)
def test_vulkan_headers_suffice_when_they_are_new_and_those_of_spirv_are_there(
    tmp_path: Path, text: str, has_spirv: bool, suffices: bool
) -> None:
    header, spirv = tmp_path / "vulkan_core.h", tmp_path / "SPIRV-Headers"
    assert not vulkan_headers_suffice(header, spirv)
    header.write_text(text)
    if has_spirv:
        spirv.mkdir()
    assert vulkan_headers_suffice(header, spirv) is suffices


def test_metal_is_refused_off_a_mac() -> None:
    assert missing_tools(Gpu.METAL, {}, "", everything_found, "linux") == ["macOS: Metal exists nowhere else"]
    assert missing_tools(Gpu.METAL, {}, "", everything_found, "darwin") == []
