"""Exercises: questions about a model whose answers are checked, in notebooks, on the grid, and by graders.

`Exercise` asks for a selection, heads in an order, a number or a choice; `Prediction` for what somebody expects before
it is shown. `seal` hides an answer from whoever reads the notebook. `report` is what the exercises of a session came
to, and `collect` what those of a folder of notebooks did.
"""

from headgrid.course.collecting import Collected, collect
from headgrid.course.exercise import Exercise, seal
from headgrid.course.prediction import Prediction
from headgrid.course.registry import exercise
from headgrid.course.report import Report, report
from headgrid.course.result import Result
from headgrid.course.sealing import Sealed, sealed

__all__ = [
    "Collected",
    "Exercise",
    "Prediction",
    "Report",
    "Result",
    "Sealed",
    "collect",
    "exercise",
    "report",
    "seal",
    "sealed",
]
