"""What the main thread of a page did, read from a trace of Chromium's."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

CATEGORIES = ["-*", "toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
MOVES = {"pointermove", "mousemove"}


@dataclass(frozen=True)
class Frame:
    """Milliseconds of tasks (script, style, layout, paint): by the clock, and of the processor alone.

    Both are the same on a quiet machine. On a busy one other processes take turns within the first.
    """

    wall: float
    cpu: float


def per_step(trace: bytes) -> list[Frame]:
    """What the thread did from each move of the pointer until the next one; moves that one task handled are one."""
    events = json.loads(trace)["traceEvents"]
    moves = [event for event in events if event["name"] == "EventDispatch" and _type(event) in MOVES]
    if not moves:
        return []
    thread = Counter((event["pid"], event["tid"]) for event in moves).most_common(1)[0][0]
    times = [event["ts"] for event in moves if (event["pid"], event["tid"]) == thread]
    tasks = [event for event in _tasks(events) if (event["pid"], event["tid"]) == thread]
    begins = [any(task["ts"] <= time <= task["ts"] + task["dur"] for time in times) for task in tasks]
    steps: list[Frame] = []
    for task, begin in zip(tasks, begins, strict=True):
        if begin:
            steps.append(Frame(0.0, 0.0))
        if steps:
            last = steps.pop()
            steps.append(Frame(last.wall + task["dur"] / 1e3, last.cpu + task["tdur"] / 1e3))
    return steps


def whole(trace: bytes) -> Frame:
    """What the busiest main thread of all pages did in a whole trace."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    totals: dict[Any, Frame] = {}
    for task in _tasks(events):
        key = task["pid"], task["tid"]
        if key in mains:
            before = totals.get(key, Frame(0.0, 0.0))
            totals[key] = Frame(before.wall + task["dur"] / 1e3, before.cpu + task["tdur"] / 1e3)
    return max(totals.values(), key=lambda frame: frame.cpu)


def _tasks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = (event for event in events if event["name"] == "RunTask" and event["ph"] == "X" and "tdur" in event)
    return sorted(found, key=lambda event: float(event["ts"]))


def _type(event: dict[str, Any]) -> str:
    return str(event.get("args", {}).get("data", {}).get("type", ""))
