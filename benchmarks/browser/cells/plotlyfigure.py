"""A FigureWidget with a heat map: a click switches a cell, a box selects a block; the colors follow the set."""

import numpy as np
import plotly.graph_objects as go


def prepare(layers, heads):
    return np.zeros((layers, heads), np.uint8)


def build(selected, layers, heads, note):
    side = max(8, min(24, 900 // max(layers, heads)))
    heat = go.Heatmap(
        z=selected, zmin=0, zmax=1, colorscale=[[0, "#dddddd"], [1, "#1f77b4"]], showscale=False, xgap=1, ygap=1
    )
    figure = go.FigureWidget(heat)
    figure.update_layout(
        width=heads * side + 80, height=layers * side + 80, margin={"l": 40, "r": 40, "t": 40, "b": 40},
        template="none", dragmode="select", yaxis={"autorange": "reversed"},
    )  # fmt: skip

    def clicked(trace, points, state):
        for layer, head in points.point_inds:
            selected[layer, head] ^= 1
        note()
        figure.data[0].z = selected.copy()

    def boxed(layout, _):
        for box in layout.to_plotly_json()["selections"]:  # a heat map has no `on_selection`, and `_` stays empty
            left, right = sorted((box["x0"], box["x1"]))
            top, bottom = sorted((box["y0"], box["y1"]))
            rows = slice(max(0, round(top)), round(bottom) + 1)
            selected[rows, max(0, round(left)) : round(right) + 1] = 1
        note()
        figure.data[0].z = selected.copy()

    figure.data[0].on_click(clicked)
    figure.layout.on_change(boxed, "selections")
    figure._selected = selected
    return figure


def count(figure):
    return int(figure._selected.sum())
