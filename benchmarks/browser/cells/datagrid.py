"""An ipydatagrid of empty cells; its own selection of cells and blocks is the selection."""

import ipydatagrid
import numpy as np
import pandas as pd


def prepare(layers, heads):
    return pd.DataFrame(np.zeros((layers, heads), np.int8), columns=[str(head) for head in range(heads)])


def build(frame, layers, heads, note):
    grid = ipydatagrid.DataGrid(
        frame, selection_mode="cell", base_row_size=22, base_column_size=22, base_row_header_size=44,
        base_column_header_size=22, layout={"width": f"{min(1100, 44 + 22 * heads + 20)}px",
                                            "height": f"{min(620, 22 + 22 * layers + 20)}px"},
    )  # fmt: skip
    grid.selected = set()

    def chosen(change):
        grid.selected = {
            (layer, head)
            for block in change["new"]
            for layer in range(block["r1"], block["r2"] + 1)
            for head in range(block["c1"], block["c2"] + 1)
        }
        note()

    grid.observe(chosen, "selections")
    return grid


def count(grid):
    return len(grid.selected)
