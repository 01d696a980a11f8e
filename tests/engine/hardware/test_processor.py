"""The processor's flags come from the kernel, and where it lists none, from the kind of machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.gguf.types import TensorType
from engine.hardware.processor import processor_flags
from engine.memory.formula.placement import repacked_types


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", {"fpu", "avx2", "avx512f"}),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", {"fp", "asimd", "asimddp", "i8mm"}),
    ],
)
def test_flags_are_read_as_the_kernel_spells_them(tmp_path: Path, text: str, flags: set[str]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_flags(tmp_path, "other") == flags


def test_a_machine_without_the_kernels_list_is_taken_for_a_common_one(tmp_path: Path) -> None:
    assert processor_flags(tmp_path, "AMD64") == {"avx2"}
    assert "asimddp" in processor_flags(tmp_path, "arm64")
    assert processor_flags(tmp_path, "riscv64") == frozenset()


def test_what_is_rearranged_depends_on_the_processor() -> None:
    assert TensorType.Q4_K in repacked_types(["avx2"])
    assert TensorType.Q2_K not in repacked_types(["avx2"])
    assert TensorType.Q2_K in repacked_types(["avx2", "avx512f"])
    assert TensorType.Q8_0 in repacked_types(["asimddp"])
    assert not repacked_types(["sse4_2"])
