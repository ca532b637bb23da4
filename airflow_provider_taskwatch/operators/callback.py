"""An older import path of :class:`~.automic.AutomicCallback`."""

from .automic import AutomicCallback

__all__ = ["AutomicCallback"]
