"""A grid that was saved with its notebook, opened again when the kernel that made it is gone."""

from __future__ import annotations

from playwright.sync_api import expect

from .grids import GRID, SET_UP, Open, box_of, cell, holds, save_state_with_notebooks, shows


def test_a_saved_grid_is_drawn_again_and_says_that_it_has_no_kernel(open_notebook: Open) -> None:
    # The new kernel does not know the widget. With no kernel at all JupyterLab draws no widget, whoever made it:
    # https://github.com/jupyter-widgets/ipywidgets/issues/3773
    notebook = open_notebook("saved", [SET_UP, GRID])
    save_state_with_notebooks(notebook)
    try:
        notebook.run_all()
        cell(notebook.view(), "l1h2").click()
        holds(notebook, "l1h2")
        expect(box_of(notebook.view())).to_have_value("l1h2")  # so the page has what Python answered
        notebook.in_lab("jupyterapp.commands.execute('docmanager:save')")
        notebook.in_lab("panel.sessionContext.shutdown()")
        notebook.reopen(views=1)
        shows(notebook.view(), "l1h2")
        expect(notebook.view().get_by_text("No kernel: this is the last state")).to_be_visible()
        expect(box_of(notebook.view())).to_have_value("l1h2")
        cell(notebook.view(), "l0h0").click()
        shows(notebook.view(), "l1h2")
    finally:
        notebook.close()
