"""The values of the traits where there is nothing to show yet."""

from __future__ import annotations

from headgrid.widget.wire.schema import (
    Arrows,
    Code,
    CodeQuery,
    Colors,
    Complete,
    CompletionList,
    ExerciseState,
    Focus,
    HeadsSummary,
    HeadsTable,
    LiveQuery,
    LiveView,
    Partners,
    ProgressState,
    Prompt,
    Recolor,
    SelectionEffect,
    Summary,
    TaskState,
    Thumbnails,
)

NO_COMPLETE: Complete = {"n": 0, "text": "", "at": 0}
NO_COMPLETIONS: CompletionList = {"complete": 0, "start": 0, "end": 0, "items": []}
NO_FOCUS: Focus = {"n": 0, "cell": -1, "ln": "folded"}
NO_SUMMARY: Summary = {
    "focus": 0, "cell": -1, "title": "", "name": "", "locations": [], "notes": [], "ln": "folded", "tabs": [],
    "circuits": [], "partners": None, "pending": [],
}  # fmt: skip
NO_HEADS: HeadsSummary = {"heads": [], "n_heads": 0, "summed": None, "ln": "folded", "pending": False}
NO_TABLE: HeadsTable = {
    "columns": [], "cells": [], "values": b"", "note": "", "ln": "folded", "pending": False,
}  # fmt: skip
NO_CODE_QUERY: CodeQuery = {"n": 0, "library": "torch"}
NO_CODE: Code = {"query": 0, "library": "torch", "selection": "none", "text": "", "error": ""}
NO_ARROWS: Arrows = {"arrows": [], "baseline": 0.0, "fence": None, "note": ""}
NO_RECOLOR: Recolor = {"n": 0, "metric": "", "ln": "folded"}
NO_COLORS: Colors = {
    "recolor": 0, "metric": "", "label": "", "ln": "", "low": 0.0, "high": 0.0, "range": "",
    "diverging": False, "values": b"", "error": "",
}  # fmt: skip
NO_PROMPT: Prompt = {"n": 0, "text": "", "contrast": ""}
NO_LIVE_QUERY: LiveQuery = {"n": 0, "row": 0, "panel": False, "thumbnails": False}
NO_TASK: TaskState = {
    "available": False, "prompt": 0, "typed": False, "name": "", "rows": [], "contrasts": [], "answers": [],
    "metric": "", "error": "",
}  # fmt: skip
NO_LIVE: LiveView = {
    "query": 0, "focus": 0, "row": 0, "tokens": [], "keys": [], "triangle": True, "heads": [], "n_heads": 0,
    "next": [], "pending": False, "error": "",
}  # fmt: skip
NO_THUMBNAILS: Thumbnails = {
    "query": 0, "row": 0, "size": 0, "cells": [], "values": b"", "note": "", "pending": False,
}  # fmt: skip
NO_EFFECT: SelectionEffect = {
    "text": "none", "row": 0, "metric": "", "clean": 0.0, "modes": [], "sentence": "", "next": [], "without": [],
    "alone": [], "pending": False, "error": "",
}  # fmt: skip
NO_EXERCISE: ExerciseState = {
    "name": "", "ask": "", "state": "open", "sign": "", "said": "", "feedback": "", "line": "", "clicks": False,
    "tries": 0, "pending": False,
}  # fmt: skip
NO_PROGRESS: ProgressState = {"label": "", "done": 0, "total": 0}


def no_partners(error: str) -> Partners:
    """The partners of a head of which none could be computed, with the reason."""
    return {"arrows": [], "baseline": 0.0, "fence": None, "notes": [], "error": error}
