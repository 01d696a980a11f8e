"""The façade: the one object that windows and commands have. See `workbench.Workbench`."""

from engine.workbench.workbench import Workbench

__all__ = ["Workbench"]
