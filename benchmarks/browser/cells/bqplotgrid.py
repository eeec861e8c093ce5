"""A GridHeatMap of bqplot: a click switches a cell, and a BrushSelector selects a block, once it is switched on."""

import bqplot
import ipywidgets as widgets
import numpy as np


def prepare(layers, heads):
    return np.zeros((layers, heads), np.uint8)


def build(values, layers, heads, note):
    side = max(8, min(24, 900 // max(layers, heads)))
    x, y = bqplot.LinearScale(min=0, max=heads), bqplot.LinearScale(min=0, max=layers, reverse=True)
    heat = bqplot.GridHeatMap(
        color=values, row=np.arange(layers), column=np.arange(heads),
        scales={"row": y, "column": x, "color": bqplot.ColorScale(min=0, max=1, colors=["#dddddd", "#1f77b4"])},
    )  # fmt: skip
    layout = widgets.Layout(
        width=f"{heads * side + 80}px", height=f"{layers * side + 80}px", min_width="0", min_height="0"
    )
    figure = bqplot.Figure(
        marks=[heat], layout=layout, padding_x=0, padding_y=0, min_aspect_ratio=0.01, max_aspect_ratio=100,
        fig_margin={"top": 40, "bottom": 40, "left": 40, "right": 40}, animation_duration=0,
    )  # fmt: skip
    # `heat.selected` and its observer would be less to write, but any selection raises: bqplot's issue 1632
    figure.brush = bqplot.interacts.BrushSelector(x_scale=x, y_scale=y)
    figure.selected = values

    def clicked(heat, event):
        place = event["data"]["rowNum"], event["data"]["columnNum"]
        values[place] = not values[place]
        note()
        heat.color = values.copy()

    def brushed(change):
        if figure.brush.brushing or figure.brush.selected_x is None:
            return
        (left, right), (top, bottom) = (np.sort(ends) for ends in (figure.brush.selected_x, figure.brush.selected_y))
        values[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = 1
        note()
        heat.color = values.copy()

    heat.on_element_click(clicked)
    figure.brush.observe(brushed, "brushing")
    return figure


def count(figure):
    return int(figure.selected.sum())


def before_brush(figure):
    figure.interaction = figure.brush


def after_brush(figure):
    figure.interaction = None
