"""The proof: that the slots of each head are that head, asked of the model's own attention.

A head is one index of the attention scores `[batch, head, query, key]` that the model computes. The table is never
asked what a head is; it is compared with what the scores, and what comes of them, depend on:

    query    the entries that move the last row of head h's scores from the last position
    key      the entries that move it from the positions before: those of the key/value head that h reads
    value    the entries that move the output projection's input from the positions before, when h alone attends
    output   the entries of the output projection that read what h alone puts there; zeroing them is ablating h
    block    the heads and the bias add up to the attention's output, and no entry of the attention is left over

What lies in no head must move all heads alike: an entry that moves the scores or values of single heads is theirs.
Nothing else is asked about the rest: neurons, embeddings, norms outside the attention; the proof lists them. Where a
layer does not attend as all this supposes, no head of it is blamed: the proof says what it did not understand.

A forward pass asks this of every head of every layer: each row of the batch holds the same few tokens, and in each
another head attends. In the order of reading:

    `stand_in.py`     a copy of the model with random weights: the model itself is never touched
    `watch.py`        a forward pass seen from inside: which calls read which parameters, where the model attends
    `frozen.py`       norms whose scale is held fixed
    `expected.py`     what an anatomy says of each head
    `findings.py`     what a pass shows of each head
    `passes.py`       the passes that it takes to ask about every head
    `picture.py`      whether a layer attends as the proof supposes
    `statements.py`   the two compared, and the difference in words
    `proof.py`        the result
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.roles import rank
from headgrid.models.proven import mark
from headgrid.models.verify.expected import SIDES
from headgrid.models.verify.findings import Found
from headgrid.models.verify.passes import OnPass, Passes, StackLayer
from headgrid.models.verify.picture import oddities
from headgrid.models.verify.proof import Proof
from headgrid.models.verify.stand_in import VerifyError
from headgrid.models.verify.statements import Check, compare
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.offloaded import not_here, offloaded

__all__ = ["SIDES", "Check", "Proof", "VerifyError", "verify"]


def verify(
    model: torch.nn.Module,
    anatomy: Anatomy | None = None,
    *,
    inputs: Mapping[str, torch.Tensor] | None = None,
    progress: bool | OnPass | None = None,
) -> Proof:
    """Prove by forward passes, with the model's own attention, that the slots of each head are that head.

    The passes run on a copy of the model's modules with random weights. So the model is never touched, may be on the
    meta device, and may hold heads whose weights are zero.

    Args:
        model: a transformers model, on any device, the meta device included; of a module with one inside, that one is
            run and proven.
        anatomy: what to prove of it; `dissect(model)` if not given, and where that is a guess which does not hold, the
            other guesses that the shapes allow: the first that holds is what `dissect(model)` gives from then on.
        inputs: what to call it with, a batch of one of a few positions; tokens, a picture or features if not given.
        progress: called for each layer of each pass with how many are done, how many there are, and its name; True
            prints it.

    Returns:
        What was found. It is false when a statement does not hold; its `raise_if_failed` raises then.

    Raises:
        TypeError, ValueError: for an argument of a wrong kind, and for inputs that are empty.
        VerifyError: when nothing could be proven: no attention was seen, the model cannot be run or copied, its weights
            are quantized, or the anatomy is of another model.
    """
    arguments.model(model)
    if anatomy is not None:
        arguments.of_kind("anatomy", anatomy, Anatomy, "an Anatomy, as headgrid.dissect makes it")
    if inputs is not None:
        _check_inputs(inputs)
    progress = arguments.progress(progress)
    if anatomy is not None:
        return _verify(model, anatomy, inputs, progress)
    from headgrid.models import dissect
    from headgrid.models.wrappers import unwrap

    if not hasattr(model, "config") and (inside := unwrap(model).model) is not None:
        return verify(inside, inputs=inputs, progress=progress)
    proof = _verify(model, dissect(model), inputs, progress)
    for other in () if proof or proof.anatomy.provenance in ("table", "doubted") else _others(model, proof.anatomy):
        another = _verify(model, other, inputs, progress)
        if another:
            return another
    return proof


def _check_inputs(inputs: Mapping[str, torch.Tensor]) -> None:
    arguments.of_kind("inputs", inputs, Mapping, "a dictionary from the names of the model's arguments to tensors")
    if not inputs:
        raise ValueError("inputs are empty: give what the model is called with, such as {'input_ids': ids}, or None")
    for name, value in inputs.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or not value.ndim or value.is_meta:
            said = f"{arguments.shown(name)} is {arguments.shown(value)}"
            raise TypeError(f"inputs are tensors by the names of the model's arguments, each a batch of one; {said}")


def _others(model: torch.nn.Module, anatomy: Anatomy) -> Iterator[Anatomy]:
    """The other guesses that shapes allow, of a model whose likeliest one did not hold."""
    from headgrid.models.detect import guesses
    from headgrid.models.huggingface import named

    if hasattr(model, "config"):
        yield from (guess.anatomy for guess in guesses(model.config, named(model)) if guess.anatomy != anatomy)


def _verify(
    model: torch.nn.Module,
    anatomy: Anatomy,
    inputs: Mapping[str, torch.Tensor] | None,
    progress: bool | OnPass | None,
) -> Proof:
    """Prove one anatomy of a model, and remember it if it was a guess."""
    began = time.perf_counter()
    if (name := offloaded(model)) is not None:
        raise VerifyError(not_here(model, name))
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name not in anatomy.unused}
    if shapes != dict(anatomy.parameters):
        odd = sorted(name for name, _ in {*shapes.items()} ^ {*anatomy.parameters.items()})
        raise VerifyError(f"the anatomy is of another model than {type(model).__name__}: they differ in {odd[0]}")
    checks: list[Check] = []
    not_understood: dict[str, str] = {}
    coupled: dict[str, list[str]] = {}
    with shielded(), torch.enable_grad():
        passes = Passes(model, anatomy, inputs, _print if progress is True else progress or None)
        findings = passes.run(frozen=False)
        held_fixed: Mapping[StackLayer, Sequence[Found]] | None = None
        for place, found in findings.items():
            here = compare(passes.layers[place], found)
            if any(not check.ok for check in here if check.head is not None):
                held_fixed = held_fixed or passes.run(frozen=True)
                again = compare(passes.layers[place], held_fixed[place])
                if all(check.ok for check in again):
                    sides = [side for side in SIDES if any(check.side == side and not check.ok for check in here)]
                    coupled.setdefault(" and ".join(sides), []).append(again[-1].where)
                    here = again
            if not all(check.ok for check in here):
                runs = [*found, *(() if held_fixed is None else held_fixed[place])]
                layer = passes.layers[place]
                if what := oddities(layer, runs, layer.stack.uses * (1 if held_fixed is None else 2)):
                    not_understood[here[-1].where] = what[0]
                    continue
            checks += here
    missing, notes = _unseen(anatomy, findings, passes.refused)
    complete = not notes  # every stack that has heads was seen
    asked = {slot for layer in passes.layers.values() for slot in layer.slots if not layer.free(slot.parameter).any()}
    not_asked = dict.fromkeys(sorted({slot.role for slot in anatomy.slots if slot not in asked}, key=rank))
    if not_asked:
        notes.append(
            f"not asked about: {', '.join(not_asked)}; of what is in the attention's way, only that no entry moves "
            "single heads"
        )
    for kinds, places in coupled.items():
        notes.append(
            f"{', '.join(places)}: a norm over all heads couples their {kinds} sides, so changing one head moves the "
            "others a little; with the norm's scale held fixed each head is its own"
        )
    seconds = time.perf_counter() - began
    proof = Proof(anatomy, (*checks, *missing), tuple(notes), seconds, not_understood, tuple(not_asked))
    return replace(proof, anatomy=mark(model, anatomy)) if proof and complete else proof


def _print(done: int, total: int, name: str) -> None:
    end = "\n" if done == total else ""
    print(f"\rverified {done} of {total} layers ({arguments.printable(name)})", end=end, file=sys.stderr, flush=True)


def _unseen(
    anatomy: Anatomy, findings: Mapping[StackLayer, object], refused: Mapping[str, str]
) -> tuple[list[Check], list[str]]:
    """Layers that should attend and were not seen to: a failure, or a note where their whole stack was not seen."""
    checks: list[Check] = []
    notes: list[str] = []
    for stack in anatomy.stacks:
        layers = sorted({slot.layer for slot in stack.slots if slot.role == "W_O" and slot.layer is not None})
        unseen = [layer for layer in layers if (stack.name, layer) not in findings]
        if unseen and unseen == layers:
            why = refused.get(stack.name, "its attention did not run, or was not seen to")
            notes.append(f"{stack.name or 'the main stack'}: not proven: {why}")
        else:
            text = "the table has heads here, but no attention was seen"
            checks += [Check(stack.name, layer, None, "block", False, inf, text) for layer in unseen]
    return checks, notes
