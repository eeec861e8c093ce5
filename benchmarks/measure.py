"""How the benchmarks measure: peers in turn in one process, medians, one torch thread, memory beside the time."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Measured:
    """What one contestant took: the median of its runs in CPU-seconds of this process, and its peak memory in MiB."""

    seconds: float
    peak: float
    result: Any


def interleaved(contestants: Mapping[str, Callable[[], Any]], runs: int = 5) -> dict[str, Measured]:
    """Each contestant in turn, `runs` times after one that is not counted, with one torch thread and without gradients.

    Peak memory is that of the first, uncounted run: how far the resident memory rose above where it was before.
    """
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    peaks: dict[str, float] = {}
    results: dict[str, Any] = {}
    with torch.no_grad():
        for name, run in contestants.items():
            peaks[name], results[name] = _peak(run)
        for _ in range(runs):
            for name, run in contestants.items():
                start = time.process_time()
                run()
                times[name].append(time.process_time() - start)
    return {name: Measured(statistics.median(times[name]), peaks[name], results[name]) for name in contestants}


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak(run: Callable[[], Any]) -> tuple[float, Any]:
    """The MiB by which resident memory rises while something runs, looked at every two milliseconds; and its result."""
    before = highest = _resident()
    ended = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(0.002):
            highest = max(highest, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run()
    finally:
        highest = max(highest, _resident())
        ended.set()
        watcher.join()
    return (highest - before) / 2**20, result


def row(what: str, peer: str, ours: Measured, theirs: Measured, note: str = "") -> None:
    """One line of a table: both times, both memories, and how many times faster headgrid is."""
    print(
        f"{what:44} headgrid {ours.seconds * 1e3:9.1f} ms {ours.peak:7.0f} MiB   {peer} {theirs.seconds * 1e3:9.1f} ms "
        f"{theirs.peak:7.0f} MiB   ratio {theirs.seconds / ours.seconds:6.1f}   {note}",
        flush=True,
    )
