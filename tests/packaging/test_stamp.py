from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from setup_steps.accelerators import Gpu
from setup_steps.command import Tree, decide, is_current
from setup_steps.stamp import FILE_NAME, LOCKS, Profile, Stamp, State, read_stamp, setup_key, write_stamp

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.locks.mkdir(parents=True)
    tree.venv.mkdir()
    for name in LOCKS[Profile.TEST]:
        (tree.locks / name).write_text(f"{name}==1\n")
    return tree


def ready(tree: Tree, profile: Profile = Profile.RUN, gpu: Gpu = Gpu.CPU) -> Stamp:
    wish = decide(profile, gpu.value, "", None)
    key = setup_key(tree.locks, profile, "3.11.2", wish.cmake_args)
    return Stamp(State.READY, key, profile, gpu, "", str(tree.venv))


def current(
    tree: Tree, stamp: Stamp | None, profile: Profile = Profile.RUN, gpu: str = "", version: str = "3.11.2"
) -> bool:
    return is_current(stamp, tree, decide(profile, gpu, "", stamp), version)


def test_a_stamp_survives_being_written(tree: Tree) -> None:
    stamp = ready(tree, Profile.TEST, Gpu.VULKAN)
    write_stamp(tree.venv, stamp)
    assert read_stamp(tree.venv) == stamp


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "half"}'])
def test_a_stamp_that_cannot_be_read_is_none(tree: Tree, text: str) -> None:
    (tree.venv / FILE_NAME).write_text(text)
    assert read_stamp(tree.venv) is None


def test_nothing_changed_is_nothing_to_do(tree: Tree) -> None:
    assert current(tree, ready(tree))


def test_no_stamp_is_work_to_do(tree: Tree) -> None:
    assert not current(tree, None)


def test_an_interrupted_set_up_is_seen(tree: Tree) -> None:
    assert not current(tree, replace(ready(tree), state=State.INSTALLING))


def test_a_changed_lock_is_seen(tree: Tree) -> None:
    stamp = ready(tree)
    (tree.locks / "run.txt").write_text("run.txt==2\n")
    assert not current(tree, stamp)


def test_another_python_is_seen(tree: Tree) -> None:
    assert not current(tree, ready(tree), version="3.12.1")


def test_a_venv_that_was_moved_is_seen(tree: Tree) -> None:
    assert not current(tree, replace(ready(tree), folder="/elsewhere/.venv"))


def test_the_tests_need_more_than_the_program_has(tree: Tree) -> None:
    assert not current(tree, ready(tree, Profile.RUN), Profile.TEST)


def test_the_program_needs_no_more_than_the_tests_have(tree: Tree) -> None:
    assert current(tree, ready(tree, Profile.TEST), Profile.RUN)


def test_the_tests_on_the_software_gpu_have_a_folder_and_an_engine_of_their_own(tree: Tree) -> None:
    assert Profile.GPU_TEST.venv_name != Profile.TEST.venv_name == Profile.RUN.venv_name
    assert decide(Profile.GPU_TEST, "", "", None).gpu is Gpu.VULKAN
    assert decide(Profile.GPU_TEST, "cpu", "", None).gpu is Gpu.VULKAN
    assert not Profile.GPU_TEST.covers(Profile.TEST)
    assert not Profile.TEST.covers(Profile.GPU_TEST)


def test_a_gpu_build_stays_until_another_is_named(tree: Tree) -> None:
    stamp = ready(tree, gpu=Gpu.CUDA)
    assert current(tree, stamp)
    assert not current(tree, stamp, gpu="cpu")


def test_the_users_cmake_options_are_remembered_until_a_gpu_is_named(tree: Tree) -> None:
    before = replace(ready(tree, gpu=Gpu.VULKAN), user_cmake_args="-DX=1")
    assert decide(Profile.RUN, "", "", before).user_cmake_args == "-DX=1"
    assert decide(Profile.RUN, "", "-DY=1", before).user_cmake_args == "-DY=1"
    assert decide(Profile.RUN, "vulkan", "", before).user_cmake_args == ""
    assert decide(Profile.RUN, "cpu", "", before).user_cmake_args == ""


def test_every_lock_is_in_the_tree_and_names_no_host() -> None:
    for name in LOCKS[Profile.TEST]:
        text = (ROOT / "packaging" / "lock" / name).read_text("utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "\n--" not in text
