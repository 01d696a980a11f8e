"""The menu of presets: which one the chain is, what it offers, and what its entries do.

The chain is the preset that it began as while it still does the same; otherwise any other that does exactly that; else
the one it began as, changed. What is refused comes back as a sentence, for the line where the name is typed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engine.base.errors import KnownError
from engine.sampling.presets import PRESETS, Preset
from engine.workbench import Workbench
from gui.panels.inspector.presenter.stages import are_alike

SEED = "seed"  # the run option
UNNAMED = "preset"  # what is exported without a name


@dataclass(frozen=True, slots=True)
class PresetView:
    """What the button and its menu show.

    Attributes:
        key, label: the chosen preset; "" when the chain began as none and is none.
        is_changed: whether the chain does something else than the chosen preset by now.
        is_own: whether the chosen one is the user's, so that it can be renamed and deleted.
        built_in, own: what can be chosen.
    """

    key: str
    label: str
    is_changed: bool
    is_own: bool
    built_in: tuple[Preset, ...]
    own: tuple[Preset, ...]


class PresetPresenter:
    """Reads the workbench's chain and presets, and does what the menu says."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    def view(self) -> PresetView:
        """What is shown now."""
        own = self._workbench.presets.presets
        chosen = self._chosen()
        if chosen is None:
            return PresetView("", "", False, False, PRESETS, own)
        is_changed = not self._is_now(chosen)
        return PresetView(chosen.key, chosen.label, is_changed, chosen in own, PRESETS, own)

    def choose(self, key: str) -> None:
        """Draw with this preset, from the next token on; a seed of its own holds from the next answer."""
        workbench = self._workbench
        preset = workbench.presets.named(key)
        if preset is not None:
            workbench.chains.set(preset.chain, preset.key)
            if preset.seed is not None:
                workbench.set_run_options({**workbench.run_options, SEED: preset.seed})

    def save_as(self, label: str) -> str:
        """Keep the chain under a new name; "" or why not."""
        return self._try(lambda: self._save(label))

    def overwrite(self) -> Callable[[], None] | None:
        """Keep the chain under the chosen preset's name; what is returned undoes it. None if the preset is not own."""
        view, presets = self.view(), self._workbench.presets
        if not view.is_own:
            return None
        old = presets.overwrite(view.key, self._workbench.chain)
        return lambda: presets.restore(old)

    def rename(self, label: str) -> str:
        """Give the chosen preset another name; "" or why not."""
        return self._try(lambda: self._workbench.presets.rename(self.view().key, label))

    def delete(self) -> tuple[Preset, Callable[[], None], Callable[[], None]] | None:
        """Take the chosen preset away: what it was, what brings it back, what makes it final. None if it is not own."""
        view, presets = self.view(), self._workbench.presets
        if not view.is_own:
            return None
        gone = presets.delete(view.key)
        return gone, lambda: presets.restore(gone), lambda: presets.forget(gone)

    def export(self, path: Path, then: Callable[[Path], object]) -> None:
        """Write the chain as it is now to a file, under the chosen preset's name; the preset itself while it is it."""
        chosen, chain = self._chosen(), self._workbench.chain
        if chosen is None:
            label = path.stem or UNNAMED
            chosen = Preset(UNNAMED, label, "", chain)
        elif not self._is_now(chosen):
            chosen = replace(chosen, chain=chain, seed=None)
        self._workbench.presets.export(chosen, path, then)

    def import_file(self, path: Path, then: Callable[[Preset], object]) -> None:
        """Add the preset of a file and draw with it."""

        def came(preset: Preset) -> None:
            self.choose(preset.key)
            then(preset)

        self._workbench.presets.import_file(path, came)

    def _chosen(self) -> Preset | None:
        workbench = self._workbench
        began = workbench.presets.named(workbench.chains.kept.preset)
        if began is not None and self._is_now(began):
            return began
        everything = (*PRESETS, *workbench.presets.presets)
        return next((each for each in everything if self._is_now(each)), began)

    def _is_now(self, preset: Preset) -> bool:
        """Whether this preset is what the next answer is drawn with."""
        workbench = self._workbench
        has_seed = preset.seed is None or workbench.run_options[SEED] == preset.seed
        return has_seed and are_alike(preset.chain, workbench.chain)

    def _save(self, label: str) -> None:
        preset = self._workbench.presets.save(label, self._workbench.chain)
        self._workbench.chains.set(preset.chain, preset.key)

    def _try(self, work: Callable[[], None]) -> str:
        try:
            work()
        except KnownError as error:
            return error.trouble.sentence()
        return ""
