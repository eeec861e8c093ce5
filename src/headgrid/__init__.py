"""headgrid: click heads of a transformer in a notebook, get parameter masks."""

from typing import TYPE_CHECKING

from headgrid import course, plots
from headgrid.anatomy.anatomy import Anatomy
from headgrid.circuits.composition import compose
from headgrid.circuits.scan import scan
from headgrid.circuits.summarize import summarize
from headgrid.demo import demo
from headgrid.experiments.attention import attention
from headgrid.experiments.effect import effect
from headgrid.experiments.faithfulness import faithfulness
from headgrid.experiments.paths import paths
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task
from headgrid.hooks import ablate, patch, record, steer
from headgrid.library import library
from headgrid.linalg.factored import FactoredMatrix
from headgrid.models import dissect
from headgrid.models.verify import verify
from headgrid.selection.preview import preview
from headgrid.selection.selection import Selection, SelectionError
from headgrid.weights import Weights

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

__all__ = [
    "Anatomy",
    "FactoredMatrix",
    "HeadGrid",
    "Selection",
    "SelectionError",
    "Task",
    "Weights",
    "ablate",
    "attention",
    "compose",
    "course",
    "demo",
    "dissect",
    "effect",
    "faithfulness",
    "library",
    "patch",
    "paths",
    "plots",
    "preview",
    "record",
    "scan",
    "steer",
    "summarize",
    "sweep",
    "verify",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The widget, imported with the libraries of widgets only once it is asked for."""
    if name == "HeadGrid":
        from headgrid.widget.head_grid import HeadGrid

        globals()[name] = HeadGrid
        return HeadGrid
    raise AttributeError(f"module 'headgrid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "HeadGrid"]
