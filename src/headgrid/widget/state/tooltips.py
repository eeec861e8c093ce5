"""What stands behind the cells: shapes and numbers of parameters, said once for all cells that are alike.

A model of 126 layers x 128 heads has some 16,000 cells and a handful of tooltips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from headgrid.anatomy.anatomy import Anatomy, Slot, Stack
from headgrid.anatomy.roles import ROLES, role_of
from headgrid.selection.lexer import listed
from headgrid.selection.words import LAYER_WORDS
from headgrid.widget.wire.schema import Handle, Tooltip

MOST = 8
"""How many lines of shapes a tooltip has at most: a mixer may have a dozen tensors."""

ColumnRun = tuple[tuple[str, ...], str, int]
"""Neighboring columns: the owners of their parts, the letter that counts them ("" for one column), and how many."""


class Tooltips:
    """Gathers the tooltips of one grid.

    Attributes:
        tooltips: each tooltip once, in the order in which they were met.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.tooltips: list[Tooltip] = []
        self._number: dict[tuple[tuple[str, ...], int, int, str], int] = {}

    def of(self, stack: Stack, runs: Sequence[ColumnRun], n_rows: int) -> tuple[list[int], list[list[int]]]:
        """The tooltips of one band.

        Returns:
            The kind of each row, and for each kind of row the number of each column's tooltip; -1 for no cell.
        """
        keys = stack.roles(*(owner for owners, _, _ in runs for owner in owners))
        kinds: dict[tuple[tuple[str, int, tuple[int, ...]], ...], int] = {}
        of_rows: list[int] = []
        table: list[list[int]] = []
        for row in range(n_rows):
            # layers whose weights have the same shapes look the same in every column
            alike = tuple((key, slot.first, slot.canonical_shape) for key in keys for slot in self._slots(key, row))
            if alike not in kinds:
                kinds[alike] = len(table)
                table.append([self._tooltip(stack, row, *cell) for run in runs for cell in _cells(run)])
            of_rows.append(kinds[alike])
        return of_rows, table

    def _slots(self, key: str, row: int) -> tuple[Slot, ...]:
        return self.anatomy.slots_at.get((key, row), ())

    def _tooltip(self, stack: Stack, row: int, owners: tuple[str, ...], letter: str, number: int) -> int:
        lines: dict[tuple[int, ...], list[str]] = {}
        count, common, shared = 0, 0, []
        for key in stack.roles(*owners):
            axis = role_of(key).part_axis
            part = stack.kv_head_of[number] if (letter, axis) == ("n", "g") else number
            for slot in self._slots(key, row):
                if letter and not slot.first <= part < slot.first + slot.n_parts:
                    continue
                axes, sizes = ROLES[slot.role].axes.split(), slot.canonical_shape
                if letter:
                    sizes = tuple(size for a, size in zip(axes, sizes, strict=True) if a != axis)
                names = lines.setdefault(sizes, [])
                if (name := _name(slot)) not in names:
                    names.append(name)
                count += prod(sizes)
                if (letter, axis) == ("n", "g") and stack.n_kv_heads < stack.n_heads:
                    shared.append(name)
                    common += prod(sizes)
        if not lines:
            return -1
        shapes = [f"{', '.join(names)} {' x '.join(map(str, sizes)) or '1'}" for sizes, names in lines.items()]
        if len(shapes) > MOST:
            shapes = [*shapes[: MOST - 1], f"and {len(shapes) - MOST + 1} other shapes"]
        note = f"{stack.n_heads // stack.n_kv_heads} heads share {_all_of(shared)}" if shared else ""
        return self._add({"shapes": shapes, "count": count, "shared": common, "note": note})

    def _add(self, tooltip: Tooltip) -> int:
        alike = tuple(tooltip["shapes"]), tooltip["count"], tooltip["shared"], tooltip["note"]
        number = self._number.setdefault(alike, len(self.tooltips))
        if number == len(self.tooltips):
            self.tooltips.append(tooltip)
        return number


def handles(runs: Sequence[ColumnRun]) -> list[Handle]:
    """The narrow columns of a layer's band that stand for several: `attn`, and `mlp` where it is a mixture.

    A word without numbers has one where its parts are shown in several columns. A mixer is one column, and so is an
    MLP without experts: they need none.
    """
    found: list[Handle] = []
    for word in (word for word in LAYER_WORDS.values() if word.text and not word.axis):
        columns: list[int] = []
        start = 0
        for mine, _, n in runs:
            columns += range(start, start + n) if set(mine) <= set(word.owners) else ()
            start += n
        if len(columns) > 1:
            handle: Handle = {
                "label": word.text, "name": word.noun, "word": word.after_layer, "before": columns[0],
                "columns": columns,
            }  # fmt: skip
            found.append(handle)
    return found


def _cells(run: ColumnRun) -> Iterator[tuple[tuple[str, ...], str, int]]:
    owners, letter, n = run
    yield from ((owners, letter, number) for number in range(n))


def _name(slot: Slot) -> str:
    """What a weight is called in its cell: `W_Q`; `w` of a norm; its own name where it is shown but not taken apart."""
    if ROLES[slot.role].axes == "...":
        name = re.sub(r"^.*?\.\d+\.", "", slot.parameter).removesuffix(".weight")
        return name.partition(".")[2] or name if slot.role == "mixer" else name
    return slot.role.removeprefix(f"{ROLES[slot.role].owner}.")


def _all_of(names: Sequence[str]) -> str:
    return listed(names).replace(" or ", " and ")
