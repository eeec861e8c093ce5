"""A GridBox of ToggleButtons that share their layout and style; one observer keeps the set."""

import ipywidgets as widgets


def prepare(layers, heads):
    return set()


def build(selected, layers, heads, note):
    places = {}
    layout = widgets.Layout(width="22px", height="22px", padding="0", margin="0")
    style = widgets.ToggleButton().style

    def switched(change):
        (selected.add if change["new"] else selected.discard)(places[change["owner"]])
        note()

    for layer in range(layers):
        for head in range(heads):
            button = widgets.ToggleButton(tooltip=f"layer {layer} head {head}", layout=layout, style=style)
            button.observe(switched, "value")
            places[button] = (layer, head)
    box = widgets.Layout(grid_template_columns=f"repeat({heads}, 24px)", grid_gap="0", overflow="visible")
    grid = widgets.GridBox(list(places), layout=box)
    grid.selected = selected
    return grid


def count(grid):
    return len(grid.selected)
