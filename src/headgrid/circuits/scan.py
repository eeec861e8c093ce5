"""Every head of a model in numbers, at once: spectra of OV and QK, copying scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float64

from headgrid.anatomy.anatomy import count_of
from headgrid.circuits import scores
from headgrid.circuits.factors import Circuits
from headgrid.circuits.norms import LN
from headgrid.circuits.progress import STOP, Progress, steps
from headgrid.circuits.tokens import Vocabulary
from headgrid.linalg.factored import FactoredMatrix
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.arguments import some_of
from headgrid.utils.frames import dataframe
from headgrid.weights import Weights

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("ov", "qk", "copying")


@dataclass(frozen=True, eq=False)
class Spectra:
    """The singular values of one circuit of every head, and what follows from them; NaN where a layer has no heads.

    Attributes:
        singular_values: `[n_layers, n_heads, r]`, float64, from large to small.
    """

    singular_values: Float64[torch.Tensor, "n_layers n_heads r"]

    @property
    @shielded()
    def norm(self) -> Float64[torch.Tensor, "n_layers n_heads"]:
        """The Frobenius norm, `[n_layers, n_heads]`."""
        return scores.norm(self.singular_values)

    @property
    @shielded()
    def top(self) -> Float64[torch.Tensor, "n_layers n_heads"]:
        """The largest singular value, `[n_layers, n_heads]`."""
        return self.singular_values[..., 0]

    @property
    @shielded()
    def stable_rank(self) -> Float64[torch.Tensor, "n_layers n_heads"]:
        """Squared norm over squared largest singular value, `[n_layers, n_heads]`."""
        return self._defined(scores.stable_rank(self.singular_values))

    @property
    @shielded()
    def entropy_rank(self) -> Float64[torch.Tensor, "n_layers n_heads"]:
        """The effective rank of Roy and Vetterli, exp of the entropy of sigma / sum sigma, `[n_layers, n_heads]`."""
        return self._defined(scores.entropy_rank(self.singular_values))

    def _defined(self, found: torch.Tensor) -> torch.Tensor:
        return torch.where(self.singular_values[..., 0].isnan(), torch.nan, found)


@dataclass(frozen=True, eq=False)
class Scan:
    """Every head of one stack in numbers; what was not asked for is None.

    Attributes:
        ln: whether norms are folded into the weights.
        stack: the name of the stack.
        ov, qk: the spectra of both circuits.
        copying_score: sum(lambda) / sum|lambda| of W_E OV W_U, `[n_layers, n_heads]`; NaN for heads that write nothing
            and where a layer has no heads.
        notes: what static weights cannot say, which layers have no heads, and why something is missing.
    """

    ln: LN
    stack: str
    ov: Spectra | None
    qk: Spectra | None
    copying_score: Float64[torch.Tensor, "n_layers n_heads"] | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = [f"{label} {list(values.shape)}" for label, values in self.metrics().items()]
        return f"Scan(norms {self.ln}: {', '.join(found) or 'nothing'})"

    def metrics(self) -> dict[str, Float64[torch.Tensor, "n_layers n_heads"]]:
        """Every number of every head by its name, such as `ov_norm` and `copying_score`; each `[n_layers, n_heads]`."""
        found = {}
        for name, spectra in (("ov", self.ov), ("qk", self.qk)):
            if spectra is not None:
                for what in ("norm", "top", "stable_rank", "entropy_rank"):
                    found[f"{name}_{what}"] = getattr(spectra, what)
        if self.copying_score is not None:
            found["copying_score"] = self.copying_score
        return found

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head: layer, head, and every metric.

        Raises:
            ImportError: when pandas is not installed.
        """
        metrics = self.metrics()
        if not metrics:
            return dataframe([], ["layer", "head"])
        n_layers, n_heads = next(iter(metrics.values())).shape
        index = torch.cartesian_prod(torch.arange(n_layers), torch.arange(n_heads))
        columns = {name: values.flatten().numpy() for name, values in metrics.items()}
        return dataframe({"layer": index[:, 0].numpy(), "head": index[:, 1].numpy(), **columns})


@shielded()
def scan(
    model: Any,
    metrics: str | Iterable[str] = METRICS,
    *,
    ln: LN = "folded",
    stack: str | None = None,
    progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Scan:
    """Every head's numbers at once, layer by layer, exact to float64's rounding of the stored weights.

    Args:
        model: a live model of any kind that `dissect` takes, its `Weights`, or the path of its safetensors.
        metrics: which of `ov`, `qk` (spectra: singular values, norms, effective ranks) and `copying`; one or several.
        ln: `folded` scans what the model computes, up to the scale of each norm: gains, centring and the attention's
            scale are in the weights. `raw` scans the stored weights alone: W_V W_O and W_Q W_K^T.
        stack: the stack, of a model that has several; its main one by default.
        progress: True shows a bar; a function is called with the layers done and their number.
        cancelled: asked before each layer whether to stop.

    Returns:
        A `Scan`, on the CPU.

    Raises:
        ValueError: for another metric or `ln`, a stack without heads, and NaN or inf in a weight, which it names.
        AnatomyError: when there are no weights to read.
        TypeError: for an argument of another kind.
        Cancelled: when `cancelled` says so.
    """
    metrics = some_of("metrics", metrics, METRICS)
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    weights = Weights.of(model, stack)
    circuits, stack_ = Circuits(weights, ln, checked="copying" in metrics), weights.stack
    layers = [layer for layer in range(stack_.n_layers) if circuits.has(layer)]
    if not layers:
        raise ValueError(f"{weights.anatomy.name} has no heads to scan in its stack {stack_.name or 'main'!r}")
    notes, vocabulary = _notes(circuits, layers, metrics), None
    if "copying" in metrics:
        vocabulary = Vocabulary(weights, ln=ln)
        if why := vocabulary.why_no_reads or vocabulary.why_no_writes:
            notes, vocabulary = (*notes, f"There is no copying score. {why}"), None
        else:
            notes = tuple(dict.fromkeys((*notes, *vocabulary.notes)))
    found: dict[str, list[torch.Tensor]] = {}
    for layer in steps(layers, len(layers), "reading every head", progress, cancelled):
        for name, values in _layer(circuits, layer, metrics, vocabulary):
            found.setdefault(name, []).append(values)
    whole = {name: _padded(values, layers, stack_.n_layers) for name, values in found.items()}
    return Scan(
        ln=ln,
        stack=stack_.name,
        ov=Spectra(whole["ov"]) if "ov" in whole else None,
        qk=Spectra(whole["qk"]) if "qk" in whole else None,
        copying_score=whole.get("copying"),
        notes=notes,
    )


def _layer(
    circuits: Circuits, layer: int, metrics: Sequence[str], vocabulary: Vocabulary | None
) -> Iterator[tuple[str, torch.Tensor]]:
    """The numbers of one layer, each `[n_heads, ...]`."""
    ov: FactoredMatrix | None = None
    if "ov" in metrics or vocabulary is not None:
        ov = circuits.ov(layer)
    if ov is not None and "ov" in metrics:
        yield "ov", _values(ov, circuits, "ov", layer)
    if "qk" in metrics:
        yield "qk", _values(circuits.qk(layer), circuits, "qk", layer)
    if ov is not None and vocabulary is not None:
        yield "copying", scores.copying_score(ov, vocabulary.W_UE()).flatten()


def _values(of: FactoredMatrix, circuits: Circuits, kind: Literal["ov", "qk"], layer: int) -> torch.Tensor:
    """The singular values of the heads of a layer, `[n_heads, r]`; a ValueError names a parameter with NaN or inf."""
    try:
        return of.singular_values().flatten(0, 1).cpu()
    except ValueError:
        again = Circuits(circuits.weights, circuits.ln)
        _ = again.ov(layer) if kind == "ov" else again.qk(layer)
        raise


def _padded(values: list[torch.Tensor], layers: list[int], n_layers: int) -> torch.Tensor:
    """The layers' numbers, `[n_layers, n_heads, ...]`, with NaN for those that have no heads, or fewer of them."""
    shape = [max(one.shape[axis] for one in values) for axis in range(values[0].dim())]
    whole = torch.full((n_layers, *shape), torch.nan, dtype=torch.float64)
    for layer, one in zip(layers, values, strict=True):
        whole[layer][tuple(slice(n) for n in one.shape)] = one
    return whole


def _notes(circuits: Circuits, layers: list[int], metrics: Sequence[str]) -> tuple[str, ...]:
    """The caveats of all layers that are scanned, and which layers are not."""
    asked: dict[Literal["ov", "qk"], set[str]] = {"ov": {"ov", "copying"}, "qk": {"qk"}}
    kinds = [kind for kind, by in asked.items() if by.intersection(metrics)]
    found = [note for layer in layers for kind in kinds for note in circuits.notes(kind, layer)]
    missing = circuits.weights.stack.n_layers - len(layers)
    if missing:
        found.append(f"{count_of(missing, 'layer has', 'layers have')} no heads: NaN stands there.")
    return tuple(dict.fromkeys(found))
