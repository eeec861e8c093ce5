"""A checked guess for a family that is not in the table: a row made from names, shapes and the config alone.

A guess places every parameter and passes every check that a row of the table passes, or it is refused. What it cannot
know is what shapes do not show: whether the rows of a fused projection are all of q, then k, then v, or q, k and v of
head 0 and then of head 1. Such a question has its likeliest answer first, and the others make further guesses; forward
passes tell which is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.models.binding import NamedShapes, bind
from headgrid.models.detect.evidence import Questions
from headgrid.models.detect.outside import Detected
from headgrid.models.detect.report import refusal, written
from headgrid.models.detect.stacks import find
from headgrid.models.family import Family
from headgrid.models.vocabulary import vocabulary

__all__ = ["Guess", "guess", "guesses", "written"]


@dataclass(frozen=True)
class Guess:
    """One way in which a model may store its heads.

    Attributes:
        rows: a row for each stack, as the table would have them; the first names the model type.
        anatomy: the model's anatomy by these rows; its provenance is `guess`.
        caveats: what shapes leave open, each with the answer that this guess gives; none where they tell everything.
    """

    rows: tuple[Family, ...]
    anatomy: Anatomy
    caveats: tuple[str, ...]


def guess(config: Any, named: NamedShapes) -> Guess:
    """The likeliest guess.

    Args:
        config: the config of a model; anything with such attributes.
        named: its parameters.

    Raises:
        AnatomyError: when no guess places every parameter; it says what matched, what did not, and the row to write.
    """
    return next(guesses(config, named))


def guesses(config: Any, named: NamedShapes) -> Iterator[Guess]:
    """Every guess that passes all checks, the likeliest first; they differ in what shapes leave open.

    Raises:
        AnatomyError: when there is none, as `guess`.
    """
    questions = Questions()
    first = find(config, named, questions)
    asked = {question: len(answers) for question, answers in questions.asked.items()}
    faults: list[str] = []
    none = True
    for numbers in itertools.product(*(range(count) for count in asked.values())):
        questions = Questions(dict(zip(asked, numbers, strict=True)))
        found = find(config, named, questions)
        if found.strangers or found.faults:
            continue
        try:
            checked = _checked(found, config, named, questions)
        except (AnatomyError, RuntimeError) as fault:  # RuntimeError: a config that will not speak for all its layers
            faults.append(str(fault))
            continue
        none = False
        yield checked
    if none:
        raise AnatomyError(refusal(config, named, first, faults[:1]))


def _checked(found: Detected, config: Any, named: NamedShapes, questions: Questions) -> Guess:
    family = str(getattr(config, "model_type", "") or "unknown")
    rows = (replace(found.rows[0], model_types=(family,)), *found.rows[1:])
    caveats = questions.caveats()
    anatomy = bind(rows, config, named, family, provenance="guess", caveats=caveats, **vocabulary(config))
    for stack in anatomy.stacks:
        for layer in range(stack.n_layers):
            roles = {role for role, at in stack.places if at == layer}
            for of, needs in NEEDS.items():
                if of in roles and not any(need <= roles for need in needs):
                    raise AnatomyError(f"layer {layer} has {of} without {' and '.join(sorted(needs[0] - roles))}")
    return Guess(rows, anatomy, caveats)


NEEDS: dict[str, tuple[set[str], ...]] = {
    "W_O": ({"W_Q", "W_K", "W_V"}, {"W_UQ", "W_UK", "W_UV"}),
    "W_out": ({"W_in"},),
    "expert.W_out": ({"expert.W_in", "router.W"},),
    "expert.W_in": ({"expert.W_out", "router.W"},),
    "W_in": ({"W_out"},),
}
"""Role -> what a layer that has it must have as well, one of these sets."""
