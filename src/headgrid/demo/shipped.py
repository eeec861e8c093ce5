"""The models that ship with headgrid: their names, what each is, and where its files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from headgrid.utils.arguments import integer, one_of, shown

DemoName = Literal["small", "training", "gqa", "names", "types"]

FOLDERS = Path(__file__).parent

FOLDER = FOLDERS / "model"
"""Where the files of the model "small" are: also a checkpoint folder for whatever reads one."""

MODELS: dict[DemoName, str] = {
    "small": "GPT-2, 2 layers of 4 heads: induction, names without any head that notices a repetition, one-hop facts",
    "training": "GPT-2, 2 layers of 2 heads, at eight moments of its training: the jump at which induction is learned",
    "gqa": "Llama, 2 layers of 8 query heads in 2 groups: one induction head among siblings that share its keys",
    "names": "GPT-2, 3 layers of 4 heads: names by three heads in a row, of which the second marks the repeated name",
    "types": "GPT-2, 2 layers of 4 heads: a current-token, a first-token, a previous-token and a duplicate-token head",
}
"""What `headgrid.demo` takes, and what each is; "small" is what it gives without a name."""

CHECKPOINTS = (0, 550, 650, 675, 725, 775, 875, 1050)
"""The numbers of steps after which the model "training" was kept."""


def folder_of(name: DemoName = "small", step: int | None = None) -> Path:
    """The checkpoint folder of a model, and of a step of its training where it has several.

    Raises:
        TypeError, ValueError: for a name or a step that there is not.
    """
    name = one_of("name", name, get_args(DemoName))
    if name != "training":
        if step is not None:
            raise ValueError(f"step is {shown(step)}, and {name!r} has one checkpoint: only 'training' has several")
        return FOLDER if name == "small" else FOLDERS / name
    step = CHECKPOINTS[-1] if step is None else integer("step", step, what="a number of steps, or None for the last")
    if step not in CHECKPOINTS:
        kept = ", ".join(map(str, CHECKPOINTS))
        raise ValueError(f"step is one of {kept}, the checkpoints there are, not {shown(step)}")
    return FOLDERS / name / f"step-{step:04d}"


def tokenizer_folder(name: DemoName) -> Path:
    """Where the files of a model's tokenizer are: only "names" has words of its own."""
    return FOLDERS / "names" if name == "names" else FOLDER
