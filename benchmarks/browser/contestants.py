"""Who takes part, and what has to be installed for it. What each of them builds stands in `cells`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Contestant:
    """One way to select cells of a grid in a notebook.

    Attributes:
        kind: the name of its entry in `probe.js`.
        file: the name of its file in `cells`; that of its kind by default.
        prepare: the function of that file that returns what its `build` takes.
        acts_on: the event by which its click is complete.
        brushes: whether a drag selects a block; where it does not, a user clicks each cell.
    """

    kind: str
    name: str
    package: str
    acts_on: str = "pointerup"
    brushes: bool = True
    file: str = ""
    prepare: str = "prepare"

    @property
    def version(self) -> str:
        """The installed version; "" where it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


HEADGRID = Contestant("headgrid", "headgrid", "headgrid")
CONTESTANTS = (
    HEADGRID,
    Contestant(
        "headgridlive",
        "headgrid, of a live model with a cell in focus",
        "headgrid",
        file="headgrid",
        prepare="prepare_live",
    ),
    Contestant("togglebuttons", "ipywidgets ToggleButton", "ipywidgets", brushes=False),
    Contestant("plotlyfigure", "plotly FigureWidget", "plotly"),
    Contestant("bqplotgrid", "bqplot GridHeatMap", "bqplot"),
    Contestant("datagrid", "ipydatagrid", "ipydatagrid", acts_on="pointerdown"),
)
