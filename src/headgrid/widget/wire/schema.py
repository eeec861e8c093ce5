"""What crosses between Python and the browser, as types: the only description of the wire.

`js/src/model/wire.ts` is generated from this file (`python -m headgrid.widget.wire.schema`), so the two sides
cannot drift apart.
Each trait has one writer; whole states are sent, never streams of events, because a busy kernel merges messages and
only the last state of a trait is sure to arrive. What a browser edits is a command, which it shows at once, on whatever
else there is.

Cells are numbered band by band, row by row, column by column, from 0. A set of cells is a `Bits`: cell `i` is bit
`i % 8` of byte `i // 8`, so 16,128 cells are 2,016 bytes. Bytes that are missing at the end of `partial` and of
`SavedSelection.cells` count as zero.

A model of several stacks, such as an encoder and a decoder, sends the bands of all of them; a browser shows one stack
at a time. Numbers and bits run over all bands, so what is selected in a stack that is not shown stays selected.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Provenance
from headgrid.selection.code import Library
from headgrid.selection.words import CellKind

VERSION = 9

Ln = Literal["folded", "raw"]
Tab = Literal["ov", "qk", "mlp", "composition"]
Composes = Literal["Q", "K", "V"]
Do = Literal["undo", "redo", "edit", "only", "query", "save", "recall", "remove", "tint", "check"]
AnswerState = Literal["open", "right", "partly", "wrong"]


class Row(TypedDict):
    """One row of a band: a layer, or the single row of the embeddings."""

    label: str  # what the row header shows: "0"
    name: str  # how it is spoken: "layer 0", "encoder layer 0"; "" where a row stands for no layer
    word: str  # its beginning of a cell's text: "l0"; "" where a row stands for no layer
    tooltip: int  # which of `Band.tooltips` says what its cells are


class Column(TypedDict):
    """One column of a band."""

    label: str  # what the column header shows: "3", "MLP", "mamba", "embed"
    name: str  # how it is spoken: "head 3", "MLP", "expert 5"
    word: str  # its end of a cell's text: "h3", " mlp", "embed"
    kind: CellKind  # a "mixer" mixes tokens without heads; the heads, and so the experts, stand side by side
    group: int  # heads with the same number read one key/value head; -1 where there is nothing to share


class Tooltip(TypedDict):
    """What stands behind a cell: many cells are alike."""

    shapes: list[str]  # "W_Q, W_K, W_V 96 x 24", "W_O 24 x 96": the canonical shapes
    count: int  # its parameters
    shared: int  # of these, what all heads have that read the same key/value head
    note: str  # "W_K and W_V are those of 4 heads"; "" where there is nothing to add


class Handle(TypedDict):
    """A narrow column of a band that stands for several of its columns: one click selects the attention of a layer."""

    label: str  # "attn", "mlp"
    name: str  # how it is spoken: "attention", "MLP"
    word: str  # its end of a row's text: " attn", " mlp"
    before: int  # the column that it stands in front of
    columns: list[int]  # what it stands for


class Band(TypedDict):
    """A block of rows and columns; the embeddings before and after the layers are bands of one row."""

    title: str
    stack: str  # the stack it belongs to; "" for the only stack, or for what all stacks share
    rows: list[Row]
    columns: list[Column]
    handles: list[Handle]
    tooltips: list[
        list[int]
    ]  # of each kind of row, and of each column: its number in `GridSpec.tooltips`; -1 for an absent cell


class StackTab(TypedDict):
    """One stack that can be shown: the bands that bear its name, and the bands that belong to no tab's stack."""

    name: str  # what `Band.stack` says; "" for the main stack of a model whose other stack is, say, "vision"
    label: str  # what the tab shows: "encoder", "text"
    title: str  # its tooltip: "12 layers of 16 heads"


class Metric(TypedDict):
    """One number of every head that the grid can be colored by."""

    name: str  # "copying"; what `Recolor.metric` says
    label: str  # "copying score"
    help: str  # one sentence that says what it measures
    live: bool  # whether it is of the text of the task, and not of the weights alone


class GridSpec(TypedDict):
    """The grid, without its state: sent once. (`layout` is taken: ipywidgets means the CSS of a widget by it.)"""

    version: int
    model: str  # one line that names the model
    provenance: Provenance  # of its layout: from the table of families, from it but doubted, guessed, or proven
    provenance_note: str  # one sentence on that; "" for a layout from the table
    stacks: list[StackTab]  # what there is to switch between; empty or one: everything is shown
    bands: list[Band]
    tooltips: list[Tooltip]  # what `Band.tooltips` counts
    metrics: list[Metric]  # what the "color by" menu offers; empty where there are no weights to read
    absent: bytes  # Bits: cells with no parameters behind them, such as heads of a layer without attention
    zero: bytes  # Bits: cells whose output weights (W_O; W_out and b_out) are all zero, so that they write nothing


class QueryError(TypedDict):
    """Why the text of a query was refused; the selection is kept."""

    message: str
    start: int  # the place in the text, in UTF-16 units as the browser counts, end exclusive
    end: int


class Complete(TypedDict):
    """A text that is being typed into the box."""

    n: int  # counts up
    text: str
    at: int  # where the caret is, in UTF-16 units


class Completion(TypedDict):
    """One word that may stand there."""

    text: str  # "l1h2"
    note: str  # what it is: "layer 1 head 2", "all heads of layer 1"; "" where the word says it
    begun: bool  # whether it waits for a number: "l1h", "l1 mlp n"


class CompletionList(TypedDict):
    """What may stand at the caret. A browser drops it when `complete` is not the last number that it asked for."""

    complete: int  # the `n` that it answers
    start: int  # what a chosen word replaces, in UTF-16 units, end exclusive
    end: int
    items: list[Completion]  # the likeliest first


class Command(TypedDict):
    """Something that the browser wants done once, and that a busy kernel must neither lose nor do twice.

    Cells are named by a piece of `Bits`: the number of its first byte and its bytes in base64, as in `12:CAE=`; all
    others are zero, and "" names no cell.
    """

    n: int  # counts up
    by: str  # who asks: two pages may count alike
    do: Do  # "only" selects some cells and nothing else; "query" what a text says: Python has the only parser;
    # "check" grades what is selected as the answer of the exercise
    name: str  # of a saved selection; "" for all else
    value: str  # its color, for a tint; the text of a query; the cells that an "edit" or "only" switches on
    off: str  # the cells that an "edit" switches off; "" otherwise


class History(TypedDict):
    """How far the selection can go back and forth."""

    done: int  # the number of the last command that was done, or refused
    undo: int  # steps
    redo: int


class SavedSelection(TypedDict):
    """A selection that has a name."""

    name: str
    text: str
    counts: str
    color: str  # "#d55e00"
    cells: bytes  # Bits: the cells of which it has anything


class SavedSelections(TypedDict):
    """The selections that were saved, in the order in which they were."""

    items: list[SavedSelection]


class Text(TypedDict):
    """The selection in words."""

    selection: str  # "l1h2 | l0 mlp"; "none"
    counts: str  # "1 head, 1 MLP"; "nothing is selected"
    n_selected: int  # parameters
    n_params: int
    query: int  # the `n` of the last command that was a query, or was refused; 0 before the first
    error: QueryError | None


class Focus(TypedDict):
    """The cell that the inspector describes."""

    n: int  # counts up
    cell: int  # its number; -1 for none
    ln: Ln  # whether the norms are folded into the weights that are described


class Recolor(TypedDict):
    """What the user wants the cells colored by."""

    n: int  # counts up
    metric: str  # a `Metric.name`; "" for no colors, which also stops a scan that is running
    ln: Ln


class WeightLocation(TypedDict):
    """Where one weight of a cell is stored."""

    role: str  # "W_Q"
    parameter: str  # "transformer.h.1.attn.c_attn.weight"
    index: str  # "[:, 48:72]"
    shape: str  # the canonical shape, "96 x 24"
    count: int  # its entries


class Score(TypedDict):
    """One number with its name, ready to read."""

    name: str  # "copying score"
    value: str  # "0.98"
    help: str  # its definition, in a sentence


class Tokens(TypedDict):
    """What one direction reads or writes, in tokens: the largest logits and the smallest."""

    top: list[str]
    top_values: list[float]
    bottom: list[str]
    bottom_values: list[float]


class Direction(TypedDict):
    """One singular direction of a circuit."""

    value: float  # its singular value
    unclear: bool  # its singular value nearly equals a neighbor's: any rotation of both would do as well
    left: Tokens | None  # None where there is nothing to read it through
    right: Tokens | None


class TokenPair(TypedDict):
    """Two tokens and the circuit's score of them."""

    source: str
    target: str
    value: float


class Circuit(TypedDict):
    """One matrix of a head or an MLP: what a tab of the inspector shows, or one of its parts."""

    tab: Tab
    title: str  # "OV", "QK", "W_in", "l0h1 + l1h2"
    left: str  # what the left side of a direction is: "reads", "query"; "" where there is no such side
    right: str  # "writes", "key"
    n_values: int  # how many singular values there are; `spectrum` may have the first of them only
    spectrum: list[float]
    scores: list[Score]
    directions: list[Direction]
    pairs_title: str  # "what it writes when it attends to a token"
    pairs: list[TokenPair]
    offsets: list[float]  # mean score of a key so many positions before the query, from 0; where positions are learned
    notes: list[str]  # what static weights cannot say, and what was not computed
    error: str  # why there is nothing else to show; "" where there is


class Arrow(TypedDict):
    """How strongly one head's output reaches another head's input."""

    source: int  # a cell
    target: int
    kind: Composes
    value: float
    z: float  # standard deviations above random orientations
    carries: float | None  # what its edge does to the metric of the task; None where it was not measured
    stands_out: bool  # whether that is more than every random write as large


class Partners(TypedDict):
    """The heads that one head composes with, strongest first."""

    arrows: list[Arrow]
    baseline: float  # the root-mean-square of random orientations
    fence: float | None  # the z above which one is an outlier among them all; None where they are too few to say
    notes: list[str]  # the first is what z does not say
    error: str


class Summary(TypedDict):
    """The answer to a focus. A browser drops it when `focus` is not the last number that it asked for.

    It is sent several times as more of it is known; `pending` says what is still to come.
    """

    focus: int  # the `n` that it answers
    cell: int
    title: str  # "l1h2"
    name: str  # "layer 1 head 2"
    locations: list[WeightLocation]
    notes: list[str]  # what else there is to say: shared key/value heads, tied tensors, zero weights
    ln: Ln
    tabs: list[Tab]  # the tabs that this cell has, besides that of its locations; empty for norms, embeddings, ...
    circuits: list[Circuit]
    partners: Partners | None
    pending: list[Tab]  # the tabs that are not complete yet


class SelectedHead(TypedDict):
    """One of several selected heads."""

    cell: int
    title: str
    circuits: list[Circuit]  # with its scores and a few directions


class HeadsSummary(TypedDict):
    """The selected heads side by side; nothing where fewer than two heads are selected."""

    heads: list[SelectedHead]  # the first of them
    n_heads: int  # how many are selected
    summed: Circuit | None  # the sum of their OV circuits
    ln: Ln
    pending: bool


class HeadsTable(TypedDict):
    """All selected heads with the metrics that are known of them; nothing where no head is selected."""

    columns: list[Metric]  # those of `GridSpec.metrics` that have been computed, of the weights and of the text
    cells: list[int]  # a row for each
    values: bytes  # little-endian float32, row by row; NaN where there is none
    note: str  # why rows or columns are missing: "the first 1,024 of 16,128 selected heads"; "" where none are
    ln: Ln
    pending: bool


class CodeQuery(TypedDict):
    """The code that the user wants the selection as."""

    n: int  # counts up; 0 before the first
    library: Library


class Code(TypedDict):
    """A runnable snippet that has the selection. A browser drops it when `query` is not the last that it asked for."""

    query: int  # the `n` of the `CodeQuery` that it answers
    library: Library
    selection: str  # of which it is: "l0h1 | l1h2"
    text: str
    error: str  # why there is none; "" where there is


class Arrows(TypedDict):
    """Composition among the selected heads, strongest first; drawn on the grid."""

    arrows: list[Arrow]
    baseline: float
    fence: float | None  # the z above which one is an outlier among all pairs; None where they are too few to say
    note: str  # why there are none, or how many of the selected heads were compared


class Colors(TypedDict):
    """A color for every cell."""

    recolor: int  # the `n` that it answers; where Python chose them, the last that was asked before
    metric: str  # a `Metric.name`; "" for an array of the user's, or for none
    label: str  # "" for none: the cells have no colors
    ln: str  # "folded", "raw"; "" for an array of the user's
    low: float  # the ends of the scale; a value beyond one has its color and a mark
    high: float
    range: str  # what the legend adds: "4.98 to 5.08, a spread of 2%"
    diverging: bool  # whether the middle of the scale means zero
    values: bytes  # one little-endian float32 for each cell; NaN where there is none
    error: str  # why there are none; "" where there are


class Prompt(TypedDict):
    """A text that was typed for the model to read. Python makes a task of it."""

    n: int  # counts up; 0 before the first
    text: str
    contrast: str  # a text of as many tokens, which effects by patching take values of; "" for none


class LiveQuery(TypedDict):
    """What a view shows of what heads do on the text: nothing else is computed."""

    n: int  # counts up
    row: int  # which row of the task, from 0
    panel: bool  # whether the Live tab is open
    thumbnails: bool  # whether the cells show patterns


class TaskState(TypedDict):
    """The task: what the model is asked."""

    available: bool  # whether there is a live model, which can be run
    prompt: int  # the `n` of the prompt that it answers
    typed: bool  # whether it was typed, and not given by Python
    name: str  # "names, 64 rows"; "" for a typed text
    rows: list[str]  # the text of each row, 1,000 of them at most
    contrasts: list[str]  # the contrast text of each; empty where there are none
    answers: list[str]  # of each row what is scored, in words: "' mary' rather than ' john'"; empty for losses
    metric: str  # "logit difference"; "" before there is a task
    error: str  # why the text that was typed is no task; the last one stays


class NextToken(TypedDict):
    """A token that may come next."""

    token: str
    p: float


class TypeScore(TypedDict):
    """How far a head is of a known type on this row."""

    name: str  # "previous token"
    value: float
    base: float  # what chance gives
    against: str  # what that is: "even attention" for types that are about places, else "shuffled tokens"


class HeadPattern(TypedDict):
    """What one head attends to."""

    cell: int
    title: str  # "l1h2"
    values: bytes  # a byte for each query and key that `LiveView.triangle` says: 255 times the root of the attention
    scores: list[TypeScore]  # what is most above its base first


class LiveView(TypedDict):
    """What the looked-at head and the selected heads attend to on one row, and what the model says next.

    A browser drops it when `query` is not the last number that it asked for. It is sent several times as more of it is
    known.
    """

    query: int  # the `n` of the `LiveQuery` that it answers
    focus: int  # the `n` of the `Focus` that it answers
    row: int
    tokens: list[str]  # of the row, without what only fills up the batch
    keys: list[str]  # what is attended to, where that is another text (cross-attention); else empty: the tokens
    triangle: bool  # whether values are those of the lower triangle alone, row by row, the diagonal included
    heads: list[HeadPattern]  # the looked-at head first, then those that are selected, eight at most
    n_heads: int  # how many are looked at or selected
    next: list[NextToken]  # at the last position that is scored, likeliest first
    pending: bool
    error: str  # why there is nothing to show: "" where there is


class Thumbnails(TypedDict):
    """Patterns of all heads on one row, made small: drawn in the cells."""

    query: int  # the `n` of the `LiveQuery` that it answers
    row: int
    size: int  # each is so many values wide and high; 0 where there are none
    cells: list[int]
    values: bytes  # a byte for each, cell by cell, row by row: 255 times the root of the largest attention there
    note: str  # "16 x 16 of 41 tokens: each square is the largest of several"; or why there are none
    pending: bool


class ModeEffect(TypedDict):
    """What replacing the selection does to the metric, in one mode."""

    mode: str  # "zero", "mean", "resample", "patch"
    value: float
    low: float  # its interval over rows; both are `value` for one row
    high: float
    controls: list[float]  # the same for random sets of as many heads in the same layers


class SelectionEffect(TypedDict):
    """What the selection does on the task: the metric and the next tokens without it, beside random sets."""

    text: str  # the selection: "l0h1 | l1h2"
    row: int  # that the next tokens are of; effects are means over all rows
    metric: str
    clean: float
    modes: list[ModeEffect]
    sentence: str  # "Without l0h1 | l1h2 ... : more than any of 20 random sets"
    next: list[NextToken]  # of the untouched model
    without: list[NextToken]  # with the selection at its mean (or zero, which the sentence says)
    alone: list[NextToken]  # with all other heads so
    pending: bool
    error: str


class ExerciseState(TypedDict):
    """The question that is asked of the grid, and what the last answer came to; nothing where it has no name."""

    name: str  # "induction head"; "" where nothing is asked
    ask: str  # the question
    state: AnswerState  # of the last answer; "open" before there is one that can be graded
    sign: str  # that of the state
    said: str  # "Partly right, 0.5 of 1 point"
    feedback: str  # the likely mistake, or why there is no answer; "" where there is nothing to say
    line: str  # what keeps the answer in the notebook: 'ex.check("l1h2")'; "" where there is no answer by clicks
    clicks: bool  # whether what is selected is an answer; others are given in the notebook
    tries: int  # how many answers were graded
    pending: bool  # whether an answer is being graded


class ProgressState(TypedDict):
    """Long work that is running."""

    label: str  # "reading every head"
    done: int
    total: int  # 0: nothing runs


def pack(bits: npt.NDArray[np.bool_]) -> bytes:
    """Bits of a boolean array, shape `[n_cells]`: cell `i` is bit `i % 8` of byte `i // 8`."""
    return np.packbits(bits, bitorder="little").tobytes()


def unpack(data: bytes, n_cells: int) -> npt.NDArray[np.bool_]:
    """The boolean array, shape `[n_cells]`, of such bits.

    Raises:
        ValueError: when the length is not that of `n_cells` cells, or when a bit beyond the last cell is set.
    """
    if len(data) != (n_cells + 7) // 8:
        raise ValueError(f"{len(data)} bytes came for {n_cells} cells, which take {(n_cells + 7) // 8}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little").astype(np.bool_)
    if bits[n_cells:].any():
        raise ValueError(f"a bit beyond the last of {n_cells} cells is set")
    return bits[:n_cells]


TRAITS: dict[str, tuple[Any, str]] = {
    "spec": (GridSpec, "Python writes, once"),
    "cells": (bytes, "Python writes: the cells that are on"),
    "partial": (bytes, "Python writes: the cells of which some parts are selected, but not all"),
    "text": (Text, "Python writes"),
    "complete": (Complete, "the browser writes"),
    "completions": (CompletionList, "Python writes"),
    "commands": (list[Command], "the browser writes: those that `history` does not call done yet"),
    "history": (History, "Python writes"),
    "saved": (SavedSelections, "Python writes"),
    "focus": (Focus, "the browser writes"),
    "summary": (Summary, "Python writes"),
    "selected_heads": (HeadsSummary, "Python writes"),
    "arrows": (Arrows, "Python writes"),
    "recolor": (Recolor, "the browser writes"),
    "colors": (Colors, "Python writes"),
    "progress": (ProgressState, "Python writes"),
    "prompt": (Prompt, "the browser writes"),
    "task_state": (TaskState, "Python writes"),
    "live_query": (LiveQuery, "the browser writes"),
    "live": (LiveView, "Python writes"),
    "thumbnails": (Thumbnails, "Python writes"),
    "effect": (SelectionEffect, "Python writes"),
    "heads_table": (HeadsTable, "Python writes"),
    "code_query": (CodeQuery, "the browser writes"),
    "code": (Code, "Python writes"),
    "exercise": (ExerciseState, "Python writes"),
    "precomputed": (list[Summary], "Python writes, into files only: summaries that can be shown without a kernel"),
    "precomputed_live": (
        list[LiveView],
        "Python writes, into files only: of each stack, the patterns of all heads",
    ),
    "precomputed_colors": (list[Colors], "Python writes, into files only: metrics that cells can be colored by"),
}


STRUCTS = (
    Row, Column, Tooltip, Handle, Band, StackTab, Metric, GridSpec, QueryError, Complete, Completion, CompletionList,
    Command, History, SavedSelection, SavedSelections, Text, Focus, Recolor, WeightLocation, Score, Tokens, Direction,
    TokenPair, Circuit, Arrow, Partners, Summary, SelectedHead, HeadsSummary, HeadsTable, CodeQuery, Code, Arrows,
    Colors, Prompt, LiveQuery, TaskState, NextToken, TypeScore, HeadPattern, LiveView, Thumbnails, ModeEffect,
    SelectionEffect, ExerciseState, ProgressState,
)  # fmt: skip
"""What the traits are made of, each after what it uses."""


def _typescript(hint: Any) -> str:
    if hint is bytes:
        return "Bits"
    if hint in (int, float):
        return "number"
    if hint is bool:
        return "boolean"
    if hint is str:
        return "string"
    if hint is type(None):
        return "null"
    if is_typeddict(hint):
        return str(hint.__name__)
    if get_origin(hint) is Literal:
        return " | ".join(f'"{value}"' for value in get_args(hint))
    if get_origin(hint) is list:
        member = _typescript(get_args(hint)[0])
        return f"({member})[]" if " | " in member else f"{member}[]"
    members = get_args(hint)
    if members:
        return " | ".join(_typescript(member) for member in members)
    raise TypeError(f"no TypeScript for {hint!r}")


def typescript() -> str:
    """The text of `js/src/model/wire.ts`."""
    lines = [
        "// Generated from src/headgrid/widget/wire/schema.py by `python -m headgrid.widget.wire.schema`. Do not edit.",
        "",
        f"export const VERSION = {VERSION};",
        "",
        "/** A set of cells: cell i is bit i % 8 of byte i // 8. Python's bytes arrive as a DataView. */",
        "export type Bits = DataView;",
    ]
    for struct in STRUCTS:
        hints = get_type_hints(struct)
        lines += ["", f"export interface {struct.__name__} {{"]
        lines += [f"  {field}: {_typescript(hint)};" for field, hint in hints.items()]
        lines += ["}"]
    lines += ["", "/** The traits of the widget's model. */", "export interface Wire {"]
    for trait, (hint, who) in TRAITS.items():
        lines += [f"  /** {who} */", f"  {trait}: {_typescript(hint)};"]
    lines += ["}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(typescript())
