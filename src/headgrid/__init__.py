"""headgrid: click heads of a transformer in a notebook, get parameter masks."""

from headgrid.anatomy import Anatomy
from headgrid.demo import demo
from headgrid.hooks import ablate, record
from headgrid.models import dissect
from headgrid.models.verify import verify
from headgrid.preview import preview
from headgrid.selection import Selection, SelectionError
from headgrid.weights import Weights
from headgrid.widget.head_grid import HeadGrid

__all__ = [
    "Anatomy",
    "HeadGrid",
    "Selection",
    "SelectionError",
    "Weights",
    "ablate",
    "demo",
    "dissect",
    "preview",
    "record",
    "verify",
]
__version__ = "0.1.0"
