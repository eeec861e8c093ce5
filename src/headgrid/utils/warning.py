"""Warnings that point at the caller's own line, however deep in headgrid they arise."""

from __future__ import annotations

import sys
import warnings


def warn(message: str) -> None:
    """A `UserWarning` at the line that called headgrid, which is shown with it and which filters go by."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("headgrid", "contextlib"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
