"""What comes from the browser: a trait takes what a browser of this version sends, and refuses everything else.

A refusal keeps the state, says so in the box for queries, and sends the state back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from typing_extensions import Buffer

from headgrid.widget.wire import Focus, Ln, Query, Recolour, unpack

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid


def cells(data: object, grid: HeadGrid) -> bytes:
    """The cells that are on."""
    try:
        found = bytes(cast(Buffer, data))
        unpack(found, len(grid._silent))
    except (TypeError, ValueError) as error:
        grid._refuse("cells", f"the cells that the browser sent were refused: {error}")
        return grid.cells
    return found


def query(data: object, grid: HeadGrid) -> dict[str, Any]:
    """Text that was typed."""
    if isinstance(data, dict) and isinstance(data.get("n"), int) and isinstance(data.get("text"), str):
        return dict(Query(n=data["n"], text=data["text"]))
    grid._refuse("query", "the query that the browser sent was refused: it is no numbered text")
    return grid.query


def focus(data: object, grid: HeadGrid) -> dict[str, Any]:
    """The cell to describe."""
    if isinstance(data, dict) and isinstance(data.get("n"), int) and isinstance(data.get("cell"), int) and _ln(data):
        return dict(Focus(n=data["n"], cell=data["cell"], ln=data["ln"]))
    grid._refuse("focus", "the focus that the browser sent was refused: it is no numbered cell, folded or raw")
    return grid.focus


def recolour(data: object, grid: HeadGrid) -> dict[str, Any]:
    """The number to colour by."""
    if isinstance(data, dict) and isinstance(data.get("n"), int) and isinstance(data.get("metric"), str) and _ln(data):
        return dict(Recolour(n=data["n"], metric=data["metric"], ln=data["ln"]))
    grid._refuse(
        "recolour", "the colour that the browser asked for was refused: it is no numbered metric, folded or raw"
    )
    return grid.recolour


def _ln(data: dict[str, Any]) -> bool:
    return data.get("ln") in get_args(Ln)
