"""The Memory page and models that are not here: pasted, chosen from a repository, or described."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.memory.ledger import Part
from engine.models.header_files import is_header_file
from gui.icons import Icons
from gui.theme import Theme
from tests.support.fake_hub import FakeHub, fake_hub
from tests.support.made_models import random_llama
from tests.support.pages import OpenPage, open_page, unnamed_controls
from tests.support.safetensors_files import smollm2_as_safetensors

WAIT_MS = 60_000
REPO, NAME = "owner/SmolLM2-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        monkeypatch.setenv("NO_PROXY", "localhost")
        yield served


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, hub: FakeHub, qtbot) -> Iterator[OpenPage]:
    with open_page("memory", theme, icons, tmp_path, "models") as opened:
        opened.view.inputs.elsewhere.set_folded(False)
        opened.view.inputs.elsewhere.contents()
        yield opened


def find(page: OpenPage, text: str) -> None:
    body = page.view.inputs.elsewhere.contents()
    body.address.setText(text)
    body.find_button.click()


def test_nothing_is_asked_before_find_is_pressed_and_a_pasted_link_is_sized(
    page: OpenPage, hub: FakeHub, smollm2: Path, qtbot
) -> None:
    hub.files[REPO] = {NAME: smollm2}
    body = page.view.inputs.elsewhere.contents()
    assert hub.asked == []
    find(page, f"{hub.endpoint}/{REPO}/blob/main/{NAME}")
    assert body.busy.isVisibleTo(page.view)
    assert not body.find_button.isEnabled()
    shown = page.view.presenter
    qtbot.waitUntil(lambda: shown.page.path is not None and is_header_file(shown.page.path), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: shown.page.answer is not None and not shown.page.is_planning, timeout=WAIT_MS)
    assert shown.page.answer.ledger.size_of(Part.WEIGHTS) == 96_576_768
    assert shown.page.answer.ledger.size_of(Part.KV) == 94_371_840
    assert "30 layers" in page.view.inputs.facts.text()
    assert page.view.inputs.models.currentText().endswith("not here")
    assert not page.view.inputs.load_button.isEnabled()
    assert "download" in page.view.inputs.load_button.toolTip()
    assert not body.busy.isVisibleTo(page.view)
    assert unnamed_controls(page.view) == []


def test_a_repository_with_several_models_offers_them(page: OpenPage, hub: FakeHub, smollm2: Path, qtbot) -> None:
    hub.files[REPO] = {NAME: smollm2, "SmolLM2.Q8_0.gguf": b"x" * 2048}
    body = page.view.inputs.elsewhere.contents()
    find(page, REPO)
    qtbot.waitUntil(lambda: body.models.count() == 2, timeout=WAIT_MS)
    assert [body.models.itemText(at) for at in (0, 1)] == ["Q8_0 · 2.0 KiB", "Q4_1 · 93.8 MiB"]
    body.models.activated.emit(1)
    shown = page.view.presenter
    qtbot.waitUntil(lambda: shown.page.path is not None and is_header_file(shown.page.path), timeout=WAIT_MS)
    assert body.models.count() == 2


def test_the_best_of_a_repository_is_found_and_chosen(
    page: OpenPage, hub: FakeHub, smollm2: Path, tmp_path: Path, qtbot
) -> None:
    small, large = (random_llama(tmp_path / f"{n}.gguf", smollm2, n_embd=n) for n in (32, 64))
    hub.files[REPO] = {"llama.Q4_1.gguf": small, "llama.F16.gguf": large}
    body = page.view.inputs.elsewhere.contents()
    find(page, REPO)
    qtbot.waitUntil(lambda: body.best_button.isVisibleTo(page.view), timeout=WAIT_MS)
    body.best_button.click()
    qtbot.waitUntil(lambda: body.best.isVisibleTo(page.view), timeout=WAIT_MS)
    assert body.best.text().startswith("F16 has the most bits of the 2")
    shown = page.view.presenter
    qtbot.waitUntil(lambda: shown.page.card is not None and shown.page.card.n_embd == 64, timeout=WAIT_MS)
    assert unnamed_controls(page.view) == []


def test_an_error_stands_at_the_control_and_goes_with_the_next_question(
    page: OpenPage, hub: FakeHub, smollm2: Path, qtbot
) -> None:
    body = page.view.inputs.elsewhere.contents()
    find(page, "no/body")
    qtbot.waitUntil(lambda: body.trouble.isVisibleTo(page.view), timeout=WAIT_MS)
    assert "check the name" in body.trouble.text()
    hub.files[REPO] = {NAME: smollm2}
    find(page, REPO)
    assert not body.trouble.isVisibleTo(page.view)
    qtbot.waitUntil(lambda: page.view.presenter.page.path is not None, timeout=WAIT_MS)


def test_a_hub_that_is_silent_can_be_left(page: OpenPage, hub: FakeHub, qtbot) -> None:
    hub.silent = True
    body = page.view.inputs.elsewhere.contents()
    find(page, REPO)
    qtbot.waitUntil(lambda: hub.asked != [], timeout=WAIT_MS)
    body.busy.cancel.click()
    assert not body.busy.isVisibleTo(page.view)
    assert body.find_button.isEnabled()
    hub.closing.set()
    assert page.view.elsewhere.state.trouble is None


def test_a_repository_without_gguf_files_is_estimated(page: OpenPage, hub: FakeHub, qtbot) -> None:
    tensors = {f"model.layers.{n}.mlp.up_proj.weight": {"dtype": "BF16", "shape": [4096, 2048]} for n in range(4)}
    raw = json.dumps(tensors).encode()
    hub.files[REPO] = {"model.safetensors": struct.pack("<Q", len(raw)) + raw}
    body = page.view.inputs.elsewhere.contents()
    find(page, REPO)
    qtbot.waitUntil(lambda: body.found.isVisibleTo(page.view), timeout=WAIT_MS)
    assert "34M parameters" in body.found.text()
    assert "Q8_0 · ~ 34.0 MiB" in body.found.text()


def test_a_plain_model_of_safetensors_is_planned_at_once(page: OpenPage, hub: FakeHub, smollm2: Path, qtbot) -> None:
    hub.files[REPO] = smollm2_as_safetensors(smollm2)
    body = page.view.inputs.elsewhere.contents()
    find(page, REPO)
    shown = page.view.presenter
    qtbot.waitUntil(lambda: shown.page.answer is not None and not shown.page.is_planning, timeout=WAIT_MS)
    assert body.found.isVisibleTo(page.view)
    assert shown.page.answer.ledger.size_of(Part.KV) == 94_371_840
    assert shown.page.card.n_ctx_train == 8192
    assert "not here" in page.view.inputs.models.currentText()


def test_a_shape_is_sized_and_an_impossible_one_explained(page: OpenPage, qtbot) -> None:
    body = page.view.inputs.elsewhere.contents()
    body.form.set_values({"layers": 4, "width": 100, "heads": 3})
    body.plan.click()
    qtbot.waitUntil(lambda: "multiple of the heads" in body.trouble.text(), timeout=WAIT_MS)
    body.form.set_values({"width": 1024, "heads": 16, "kv_heads": 4, "vocab": 32_000})
    body.plan.click()
    shown = page.view.presenter
    qtbot.waitUntil(lambda: shown.page.answer is not None and not shown.page.is_planning, timeout=WAIT_MS)
    assert shown.page.answer.ledger.size_of(Part.KV) == 2 * 2 * 4 * 64 * 4 * 4096
    assert shown.page.card.n_layer == 4
