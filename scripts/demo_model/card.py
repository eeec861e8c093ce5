"""Write or check the models' cards, from `scripts`: ``python -m demo_model.card [NAME ...] [--check]``.

Every figure of a card is measured here, on the shipped file. ``--check`` measures again and compares: the words must
be the same, the numbers nearly so (another processor may round differently).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

from demo_model.gqa import figures as gqa
from demo_model.jump import figures as jump
from demo_model.names import figures as names
from demo_model.small import figures as small
from demo_model.tables import differences
from demo_model.training import one_thread
from demo_model.types import figures as types
from headgrid.demo.shipped import FOLDER, FOLDERS, MODELS, DemoName
from headgrid.utils import files

Figures = Callable[[], Mapping[str, str]]

FIGURES: dict[DemoName, tuple[Path, Figures]] = {
    "small": (Path(small.__file__), small.figures),
    "training": (Path(jump.__file__), jump.figures),
    "gqa": (Path(gqa.__file__), gqa.figures),
    "names": (Path(names.__file__), names.figures),
    "types": (Path(types.__file__), types.figures),
}
"""What measures each model, and beside which module its card's words stand."""


def path_of(name: DemoName) -> Path:
    """Where a model's card is."""
    return (FOLDER if name == "small" else FOLDERS / name) / "README.md"


def render(name: DemoName) -> str:
    """Measure a shipped model and write its card."""
    beside, figures = FIGURES[name]
    with one_thread():
        found = figures()
    return Template(beside.with_name("card.md").read_text(encoding="utf-8")).substitute(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; write cards, or compare them."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.card", description="Write the models' cards.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(MODELS)}; all by default")
    parser.add_argument("--check", action="store_true", help="compare with the card instead of writing it")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(MODELS)):
        parser.error(f"there is no model {', '.join(unknown)}: there are {', '.join(MODELS)}")
    for name in MODELS:
        if options.names and name not in options.names:
            continue
        card, path = render(name), path_of(name)
        if not options.check:
            files.write(path, card)
        elif found := differences(path.read_text(encoding="utf-8"), card):
            raise SystemExit("\n".join([f"{name}:", *found]))


if __name__ == "__main__":
    main()
