"""Direct contributions: what each part writes along the answer's direction in the last residual stream.

All norms are taken as they stood in the run: a norm whose scale is fixed is linear, and so is everything else between
what a part writes and the logits. So the contributions of embeddings, positions, heads, MLPs and biases sum to the
logit (Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; direct logit attribution). A soft cap on
logits is shared out by its secant: each contribution is multiplied by the capped logit over the logit before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.norms import wide
from headgrid.experiments.contributions import Contributions
from headgrid.experiments.copies import once_each
from headgrid.experiments.effects import interval
from headgrid.experiments.frozen_norms import FrozenNorm, norms_beyond, owner_of
from headgrid.experiments.metrics import answer_metric
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.singles import Singles
from headgrid.experiments.task import logits_of
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.stream import norms_on_stream
from headgrid.hooks.taps import Act, ModuleTap, Tap
from headgrid.models.scaling import logit_cap, residual_multiplier
from headgrid.selection.activations import ActivationKind, Where
from headgrid.torch_state import shielded
from headgrid.weights import Weights

CLOSE = 1e-3
"""How far the sum of all terms may be from the logit, relative to the largest of these; 5e-2 in half precision."""


@dataclass
class _Batch:
    """What a pass leaves on some rows at the scored positions, `[rows, k, d_model]`, and where it leads.

    Attributes:
        seen: the stream before and after layers, and what enters and leaves norms.
        direction: the gradient of the metric at what the unembedding reads.
        value: the metric.
        bias: what the unembedding's bias adds to it.
    """

    seen: dict[str, torch.Tensor] = field(default_factory=dict)
    direction: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    value: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    bias: torch.Tensor = field(default_factory=lambda: torch.zeros(1))


@shielded()
def contributions(runs: Runs, stack: Stack, *, seed: int = 0) -> Contributions:
    """What each part writes along the direction of a task's answers.

    Args:
        runs: the model and the task.
        stack: its decoder.
        seed: of the intervals over rows.

    Returns:
        Contributions to the logit difference of the task, or to the mean logit of its answers where none are wrong.

    Raises:
        ValueError: when the task has no answers, the model has several stacks on the way, a norm works in a way that is
            not known, or the terms do not sum to the logit.
    """
    if runs.task.answers is None:
        raise ValueError("direct contributions are to the logits of answers: give the task answers=[...]")
    if stack.name:
        raise ValueError(
            f"direct contributions are of decoders alone, and {stack.name!r} of {runs.anatomy.name} is one of several "
            "stacks that write to its logits"
        )
    metric = "logit" if runs.task.wrong is None else "logit_diff"
    parts = [_of_rows(runs, stack, rows, metric) for rows in runs.batches()]
    names = list(dict.fromkeys(name for terms, _ in parts for name in terms))
    terms = {name: torch.cat([one[name] for one, _ in parts]) for name in names}
    values = torch.cat([value for _, value in parts])
    table = Singles(runs.anatomy, stack, "head").table(runs.task.n_rows)
    for layer in range(table.shape[1]):
        for number in range(table.shape[2]):
            if (name := f"l{layer}h{number}") in terms:
                table[:, layer, number] = terms[name]
    largest = max(float(one.abs().max()) for one in (values, *terms.values()))
    half = any(one.dtype in (torch.float16, torch.bfloat16) for one in runs.model.parameters())
    error = float((sum(terms.values()) - values).abs().max())
    if not error <= (5e-2 if half else CLOSE) * largest:
        raise ValueError(
            f"the terms of {runs.anatomy.name} do not sum to its logits: they are {error:.3g} apart, so something that "
            "is not known stands between its layers and its logits"
        )
    low, high = interval(table, seed=seed)
    notes = ("The task has one row: there is no interval.",) if runs.task.n_rows == 1 else ()
    if runs.task.metric != metric:
        said = "mean logit of the answers" if metric == "logit" else "logit difference"
        notes = (
            *notes,
            f"Contributions are to the {said}; the metric of the task is another, {runs.task.metric_name}.",
        )
    return Contributions(
        table.mean(0), runs.anatomy, stack, "head", metric, float(values.mean()), None,
        Receipt((runs.anatomy.name, runs.fingerprint), runs.task.fingerprint, "direct", {"seed": seed}),
        rows=table, low=low, high=high, notes=notes, terms=terms,
    )  # fmt: skip


def _of_rows(runs: Runs, stack: Stack, rows: slice, metric: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    places = runs.task.scored[rows]

    def take(x: torch.Tensor) -> torch.Tensor:
        """What stands at the scored positions, where a table of positions has no rows and an MLP may flatten them."""
        together = x.ndim == 2 and len(x) == len(places) * runs.task.ids.shape[1]
        x = x.reshape(len(places), -1, x.shape[-1]) if together else x if x.ndim == 3 else x[None]
        x = x.expand(len(places), -1, -1)
        at = places.clamp(min=0).to(x.device)[..., None].expand(-1, -1, x.shape[-1])
        return wide(x.detach()).gather(1, at).clone()

    batch = _first_pass(runs, stack, rows, metric, take)
    norms = _Norms(runs, stack, batch.seen)
    last = stack.n_layers - 1
    ends: dict[str, torch.Tensor] = {}
    along = batch.direction
    final = norms.of("ln_final", None)
    if final is not None:
        ends["ln_final.b"] = _dot(along, final.shift) if final.shifts else torch.zeros(len(places))
        along = final.pulled(along)
    ends["unembed.b"] = batch.bias
    directions, per_layer = {}, {}
    for layer in range(last, -1, -1):
        extra: dict[str, torch.Tensor] = {}
        out = along
        mlp_norm, attn_norm = norms.of("ln2_post", layer), norms.of("ln1_post", layer)
        if norms.on_stream and mlp_norm is not None and attn_norm is not None:
            extra[f"l{layer}.ln2_post.b"] = _dot(along, mlp_norm.shift)
            mlp = mlp_norm.pulled(along)
            extra[f"l{layer}.ln1_post.b"] = _dot(mlp, attn_norm.shift)
            attn = head = along = attn_norm.pulled(mlp)
        else:
            mlp = attn = head = along
            head = head if attn_norm is None else attn_norm.pulled(head)
            if attn_norm is not None and attn_norm.shifts:
                extra[f"l{layer}.ln1_post.b"] = _dot(along, attn_norm.shift)
        head = head * residual_multiplier(runs.model, stack, layer)
        if ("b_O", layer) in stack.places:
            extra[f"l{layer}.b_O"] = _dot(head, wide(norms.weights.read("b_O", layer)))
        directions[layer] = {"mlp out": mlp, "attn out": attn, "result": head}
        per_layer[layer] = extra, _dot(out, batch.seen[f"l{layer} out"]) - _dot(along, batch.seen[f"l{layer} in"])
    written = _second_pass(runs, stack, rows, directions, take)
    terms = {"embed": _dot(along, batch.seen["l0 in"])}
    if "pos" in batch.seen:
        terms["pos"] = _dot(along, batch.seen["pos"])
        terms["embed"] = terms["embed"] - terms["pos"]
    for layer in range(stack.n_layers):
        extra, whole = per_layer[layer]
        terms |= _of_layer(runs, stack, layer, written, extra, whole)
    has = {slot.role for slot in (*stack.slots, *stack.tied)}
    terms |= {name: value for name, value in ends.items() if {"unembed.b": "b_U"}.get(name, name) in has}
    return {name: value.cpu().double() for name, value in terms.items()}, batch.value.cpu().double()


def _of_layer(
    runs: Runs, stack: Stack, layer: int, written: Mapping[Where, torch.Tensor], extra: Mapping[str, torch.Tensor],
    whole: torch.Tensor,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """The terms of a layer."""
    terms: dict[str, torch.Tensor] = {}
    heads = written.get(("result", stack.name, layer))
    attn, mlp = (written.get((kind, stack.name, layer)) for kind in ("attn out", "mlp out"))
    known = torch.zeros_like(whole)
    if attn is not None and heads is not None:
        there = Singles(runs.anatomy, stack, "head").wanted["z", stack.name, layer]
        terms |= {f"l{layer}h{number}": heads[:, i] for i, number in enumerate(there)}
        known = known + attn
    if mlp is not None:
        terms[f"l{layer} mlp"] = mlp
        known = known + mlp
    if ("mixer", layer) in stack.places or attn is None or mlp is None:
        terms[f"l{layer} {'mixer' if ('mixer', layer) in stack.places else 'rest'}"] = whole - known
    return terms | dict(extra)


class _Norms:
    """The norms between what is written and the logits, as they stood."""

    def __init__(self, runs: Runs, stack: Stack, seen: Mapping[str, torch.Tensor]) -> None:
        self.weights, self._stack, self._seen = Weights(runs.model, stack=stack.name), stack, seen
        self.on_stream = norms_on_stream(stack)

    def of(self, name: str, layer: int | None) -> FrozenNorm | None:
        """A norm; None where there is none."""
        text = name if layer is None else f"l{layer} {name}"
        if f"{text} before" not in self._seen:
            return None
        gain, shift = (
            self.weights.read(role, layer) if (role, layer) in self._stack.places else None
            for role in (f"{name}.w", f"{name}.b")
        )
        return FrozenNorm.of(text, self._seen[f"{text} before"], self._seen[f"{text} after"], gain, shift)


def _first_pass(
    runs: Runs, stack: Stack, rows: slice, metric: str, take: Callable[[torch.Tensor], torch.Tensor]
) -> _Batch:
    """The stream, the norms, and the direction of the answers."""
    batch = _Batch()
    leaves: list[torch.Tensor] = []

    def keep(name: str) -> Act:
        def act(read: torch.Tensor) -> None:
            batch.seen[name] = take(read)

        return act

    def leaf(read: torch.Tensor) -> torch.Tensor:
        leaves.append(read.detach().clone().requires_grad_())
        return leaves[-1]

    ends: dict[Where, tuple[int, ...]] = {
        (kind, stack.name, layer): () for layer in range(stack.n_layers) for kind in ("in", "out")
    }
    acts = [(tap, keep(f"l{tap.where[2]} {tap.where[0]}")) for tap in tapped(runs.model, runs.anatomy, ends)]
    for name, module in norms_beyond(runs.model, stack).items():
        acts += [(_tap(f"{name} {'after' if after else 'before'}", module, after),
                  keep(f"{name} {'after' if after else 'before'}")) for after in (False, True)]  # fmt: skip
    if ("W_pos", None) in stack.places and ("ln_embed.w", None) not in stack.places:
        acts.append((_tap("pos", owner_of(runs.model, stack, "W_pos", None), True), keep("pos")))
    tops = [tap for tap, _ in acts if tap.name == "ln_final after"]
    acts.append((tops[0] if tops else tapped(runs.model, runs.anatomy, {("out", "", stack.n_layers - 1): ()})[0], leaf))
    with torch.enable_grad():
        with Attached(runs.model, lambda: once_each(acts, "recorded")):
            output, at = runs.call(runs.arguments(rows), runs.task.scored[rows])
        logits, cap = logits_of(output), logit_cap(runs.model)
        where = (runs.task.scored[rows] if at is None else at).clamp(min=0).to(logits.device)
        read = wide(logits.gather(1, where[..., None].expand(-1, -1, logits.shape[-1])))
        task = runs.task_of(rows)
        assert task.answers is not None
        answers, wrong = task.answers.to(read.device), task.wrong
        batch.value = answer_metric(metric, read.detach(), answers, wrong)
        secant = torch.ones_like(read).detach()
        if cap is not None:
            part = read.detach() / cap
            secant = torch.where(part == 0, 1.0, part / part.atanh())
            read = read * (secant / (1 - part.square()))  # instead of the slope there
        if (shift := _unembedding_bias(runs, stack)) is not None:
            batch.bias = answer_metric(metric, shift.to(secant) * secant, answers, wrong)
        (slope,) = torch.autograd.grad(answer_metric(metric, read, answers, wrong).sum(), leaves)
    batch.direction = take(slope)
    return batch


def _unembedding_bias(runs: Runs, stack: Stack) -> torch.Tensor | None:
    has = any(slot.role == "b_U" for slot in (*stack.slots, *stack.tied))
    return wide(Weights(runs.model, stack=stack.name).read("b_U")) if has else None


def _tap(name: str, module: torch.nn.Module, after: bool) -> ModuleTap:
    return ModuleTap(("out" if after else "in", "", 0), name=name, module=module, after=after)


def _second_pass(
    runs: Runs, stack: Stack, rows: slice, directions: Mapping[int, Mapping[str, torch.Tensor]],
    take: Callable[[torch.Tensor], torch.Tensor],
) -> dict[Where, torch.Tensor]:  # fmt: skip
    """What heads, attention and MLPs write along a direction, `[rows]`, of heads `[rows, n]`."""
    found: dict[Where, torch.Tensor] = {}

    def act(tap: Tap) -> Act:
        kind, _, layer = tap.where
        along = directions[layer][kind]

        def dot(read: torch.Tensor) -> None:
            if kind != "result":
                found[tap.where] = _dot(take(read), along)
                return
            places = runs.task.scored[rows]
            each = take(read.flatten(2)).reshape(*places.shape, *read.shape[2:])  # [rows, k, n, d_model]
            found[tap.where] = (each * along[:, :, None]).sum((1, 3))

        return dot

    heads = Singles(runs.anatomy, stack, "head").wanted
    wanted: list[tuple[ActivationKind, int, tuple[int, ...]]] = []
    for layer in range(stack.n_layers):
        if ("z", stack.name, layer) in heads:
            wanted += [("result", layer, heads["z", stack.name, layer]), ("attn out", layer, ())]
        wanted.append(("mlp out", layer, ()))
    taps = []
    for kind, layer, numbers in wanted:
        try:
            taps += tapped(runs.model, runs.anatomy, {(kind, stack.name, layer): numbers})
        except ValueError:  # no MLP there: what the layer writes besides is a term of its own
            if kind != "mlp out":
                raise
    acts = [(tap, act(tap)) for tap in taps]
    with Attached(runs.model, lambda: once_each(acts, "recorded")):
        runs.call(runs.arguments(rows), runs.task.scored[rows])
    return found


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product at each position, summed: `[rows]`."""
    return (left * right).sum((1, 2))
