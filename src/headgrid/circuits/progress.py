"""Long work: who is told how far it is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = bool | Callable[[int, int], object]
"""True shows a bar of tqdm, False nothing; a function is called with what is done and the total."""


STOP = "a function that says whether to stop"
"""The text of an error about the argument `cancelled`."""


class Cancelled(Exception):  # noqa: N818  (it is no error: somebody asked for it)
    """Long work was stopped by whoever asked for it; what was done so far is dropped."""


def stop_if(cancelled: Callable[[], bool] | None) -> None:
    """Raise `Cancelled` if somebody asked for it."""
    if cancelled is not None and cancelled():
        raise Cancelled


def steps(
    items: Iterable[T], total: int, label: str, progress: Progress = False, cancelled: Callable[[], bool] | None = None
) -> Iterator[T]:
    """The items one after another, with word of each that is done, until somebody stops it.

    Args:
        items: what there is to do.
        total: how many they are.
        label: what is being done, for the bar.
        progress: see `Progress`.
        cancelled: asked before each item.

    Raises:
        Cancelled: when `cancelled` says so.
    """
    if progress is True:
        from tqdm.auto import tqdm

        items = tqdm(items, total=total, desc=label, leave=False)
    tell = progress if callable(progress) else lambda done, total: None
    tell(0, total)
    for done, item in enumerate(items, 1):
        stop_if(cancelled)
        yield item
        tell(done, total)
