"""The norms around attention and MLP as linear maps of the residual stream, to be folded into weights.

A norm divides by a scale that depends on its input, multiplies by a gain, and as LayerNorm subtracts the mean first.
All but the scale is linear, so it can be folded into the weights that read the norm's output: what is left is a norm
without parameters (Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; TransformerLens' `fold_ln`).

How a norm works is asked of the module: it is run on a probe, and the answer compared with LayerNorm and RMSNorm, with
the stored weight as the gain or 1 + it (Gemma). Biases are constants and in no circuit.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from headgrid.anatomy.anatomy import Slot
from headgrid.torch_state import shielded
from headgrid.weights import Weights

Sublayer = Literal["attn", "mlp"]
Side = Literal["q", "k", "v", ""]
LN = Literal["folded", "raw"]
LNS: tuple[LN, ...] = ("folded", "raw")
"""Whether norms are folded into weights, and the scale of scores with them, or weights are as they are stored."""


@dataclass(frozen=True, eq=False)
class Norm:
    """A norm as a linear map of directions, without its scale.

    Attributes:
        name: the norm's role without its ending, `ln1` or `ln_final`; "" where there is none.
        gain: `[d_model]`, float32 or float64, what each entry is multiplied by (Gemma's 1 is added); None for ones.
        centered: whether the mean is subtracted, as LayerNorm does and RMSNorm does not.
    """

    name: str
    gain: torch.Tensor | None
    centered: bool

    def fold(self, W: torch.Tensor) -> torch.Tensor:
        """Weights that read the norm's output, as weights that read its input: (I - 11^T/m) diag(gain) W.

        Args:
            W: `[*, d_model, x]`.

        Returns:
            `[*, d_model, x]` in float32 or float64; `W` itself where there is nothing to fold.
        """
        if self.gain is not None:
            W = wide(W) * self.gain[:, None]
        return wide(W) - _mean(W, -2) if self.centered else W

    def fold_after(self, W: torch.Tensor) -> torch.Tensor:
        """Weights whose output is normed, as weights that write what comes out: W (I - 11^T/m) diag(gain).

        Args:
            W: `[*, x, d_model]`.

        Returns:
            `[*, x, d_model]` in float32 or float64; `W` itself where there is nothing to fold.
        """
        if self.centered:
            W = wide(W) - _mean(W, -1)
        return W if self.gain is None else wide(W) * self.gain


NONE = Norm("", None, False)

_NORMS_OF: dict[Sublayer, tuple[str, ...]] = {
    "attn": ("ln1.w", "ln1_post.w", "q_norm.w", "k_norm.w", "q_gain", "k_gain", "ln_q.w", "ln_kv.w"),
    "mlp": ("ln2.w", "ln2_post.w"),
}
"""Sublayer -> the roles of the norms around and in it."""


class Norms:
    """The norms of one stack of a model: which ones stand before and after a block, and what they do.

    Gains are read anew each time; how a norm works is asked once of each module, and again where it could not be told.

    Args:
        weights: the stack, as `Weights` reads it.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights, self._stack = weights, weights.stack
        self._forms: dict[str, tuple[torch.nn.Module, NormForm]] = {}
        self._asked: dict[str, Slot] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each norm that was asked for so far and could not be read."""
        return tuple(_note(name) for name, slot in self._asked.items() if self._form(slot) is None)

    def notes_on(self, layer: int, block: Sublayer) -> tuple[str, ...]:
        """A sentence for each norm around or in a block of a layer that could not be read."""
        roles = _NORMS_OF[block]
        if block == "mlp" and not self._has("ln2", layer):
            roles = ("ln1.w", *roles)
        slots = [self._stack.places[role, layer][0] for role in roles if (role, layer) in self._stack.places]
        found = [_note(slot.parameter) for slot in slots if self._form(slot) is None]
        if block == "attn" and self._stack.name == "cross":
            self._encoder.final()
            found += self._encoder.notes
        return tuple(found)

    @property
    def on_stream(self) -> bool:
        """Whether the norms after the blocks act on the stream, the block's input included, as BERT's do.

        Those of a stack that has norms before its blocks as well, and RMSNorms (OLMo-2), act on a block's output alone.
        """
        if any(slot.role == "ln1.w" for slot in self._stack.slots):
            return False
        posts = [slot for slot in self._stack.slots if slot.role in ("ln1_post.w", "ln2_post.w")]
        kind = self._form(posts[0]) if posts else None
        return bool(posts) and (self._says_centered if kind is None else kind.centered)

    def before(self, layer: int, block: Sublayer, side: Side = "") -> Norm:
        """The norm between the residual stream and what a block reads of it.

        Args:
            layer: a layer of the stack.
            block: `attn` or `mlp`. Where both run side by side on one norm (GPT-J, Phi, Cohere), it is that one.
            side: who reads: `k` and `v` of a cross-attention read the encoder's output, through its last norm.
        """
        if self._stack.name == "cross" and side in ("k", "v"):
            return self._encoder.final()
        if block == "mlp" and (self._has("ln2", layer) or self._has("ln2_post", layer)):
            return self._norm("ln2", layer)
        return self._norm("ln1", layer)

    def after(self, layer: int, block: Sublayer) -> Norm | None:
        """The norm on a block's output, before it is added to the stream (Gemma-2, OLMo-2, GLM-4); None without one."""
        name = "ln1_post" if block == "attn" else "ln2_post"
        return self._norm(name, layer) if self._has(name, layer) and not self.on_stream else None

    def final(self) -> Norm:
        """The norm between the last layer and what reads the stack's output: the unembedding, a cross-attention."""
        return self._norm("ln_final", None)

    def inner(self, name: str, layer: int) -> Norm:
        """A norm within attention, of queries, keys or latents.

        Args:
            name: `q_norm`, `k_norm`, `ln_q` or `ln_kv`; `q_gain` or `k_gain`, whose gain is `[n, d_head]`.
            layer: the layer.
        """
        role = name if name.endswith("gain") else f"{name}.w"
        slots = self._stack.places.get((role, layer))
        if not slots:
            return NONE
        weight = wide(finite(self._weights.read(role, layer), role, slots))
        kind = self._form(slots[0])
        if kind is None:
            return NONE
        gain = weight + kind.plus_one
        # a mean over all heads at once (no known model has one) is no matter of one head
        return Norm(name, gain, kind.centered and kind.size == gain.shape[-1])

    @cached_property
    def _encoder(self) -> Norms:
        return Norms(self._weights.at("encoder"))

    @property
    def _says_centered(self) -> bool:
        return (self._weights.anatomy.normalization_type or "").startswith("LN")

    @cached_property
    def _weightless(self) -> bool:
        """Whether the stack has no norm with weights: OLMo-1, and TransformerLens' models once they are folded."""
        return not any(slot.role.startswith(("ln1", "ln2", "ln_final")) for slot in self._stack.slots)

    def _has(self, name: str, layer: int | None) -> bool:
        return (f"{name}.w", layer) in self._stack.places

    def _norm(self, name: str, layer: int | None) -> Norm:
        if not self._has(name, layer):
            return Norm(name, None, True) if self._weightless and self._says_centered else NONE
        role = f"{name}.w"
        slots = self._stack.places[role, layer]
        weight = wide(finite(self._weights.read(role, layer), role, slots))
        kind = self._form(slots[0])
        return NONE if kind is None else Norm(name, weight + kind.plus_one, kind.centered)

    def _form(self, slot: Slot) -> NormForm | None:
        name, (path, _, leaf) = slot.parameter, slot.parameter.rpartition(".")
        module, (known, kind) = self._weights.source.module(path), self._forms.get(name, (None, None))
        if known is module:
            return kind
        self._asked[name], kind = slot, norm_form(module, leaf)
        if kind is None:
            self._forms.pop(name, None)
        else:
            self._forms[name] = module, kind
        return kind


@dataclass(frozen=True)
class NormForm:
    """How a norm works: whether it subtracts the mean, what it adds to its weight, and over how many entries it is."""

    centered: bool
    plus_one: int
    size: int


def norm_form(module: torch.nn.Module, leaf: str) -> NormForm | None:
    """How a norm's module works, by running it on a probe; nothing that is hooked to it sees this.

    Args:
        module: the module.
        leaf: its name for the weight.

    Returns:
        The kind; None where the module is none of LayerNorm and RMSNorm, with the weight or 1 + it as the gain.
    """
    own = dict(module.named_parameters())
    weight = own.pop(leaf)
    shift = next((tensor.detach().double() for tensor in own.values() if tensor.shape == weight.shape), 0.0)
    if len(own) > 1 or weight.is_meta:
        return None
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, 3, *weight.shape, dtype=torch.float32, device="cpu", generator=generator) + 1.5
    probe = probe.to(weight)
    try:
        with shielded():
            found = _unhooked(module).forward(probe).double()
    except Exception:  # whatever it is, it is not a norm as we know them
        return None
    if found.shape != probe.shape:
        return None
    x, gain = probe.double(), weight.detach().double()
    close = 3e-2 if weight.dtype in (torch.bfloat16, torch.float16) else 1e-3
    errors: dict[NormForm, float] = {}
    for centered in (True, False):
        direction = x - x.mean(-1, keepdim=True) if centered else x
        direction = direction / direction.square().mean(-1, keepdim=True).sqrt()
        for plus_one in (0, 1):
            off = (direction * (gain + plus_one) + shift - found).norm()
            errors[NormForm(centered, plus_one, weight.shape[-1])] = float(off / found.norm().clamp(min=1e-30))
    best = min(errors, key=lambda kind: errors[kind])
    return best if errors[best] <= close else None


def _note(parameter: str) -> str:
    return f"The norm of {parameter} works in a way that is not known: it is left out."


def check_finite(weights: Weights, role: str, layer: int | None) -> None:
    """Refuse weights with NaN or inf.

    Raises:
        ValueError: naming the parameter.
    """
    finite(weights.read(role, layer), role, weights.stack.places[role, layer])


def finite(tensor: torch.Tensor, role: str, slots: tuple[Slot, ...]) -> torch.Tensor:
    """The tensor, as long as all of it is finite.

    Raises:
        ValueError: naming the parameters that it lies in.
    """
    # the sum alone is much faster, and NaN and inf never leave it finite
    if not tensor.sum().isfinite() and (bad := int(tensor.isfinite().logical_not().sum())):
        where = ", ".join(dict.fromkeys(slot.parameter for slot in slots))
        raise ValueError(f"{role} has NaN or inf in {bad} of {tensor.numel()} entries: look at {where}")
    return tensor


def _unhooked(module: torch.nn.Module) -> torch.nn.Module:
    """The module with the same parameters and nothing hooked to what is in it, as HookedTransformer's hook points are.

    A copy of its frame: were hooks taken off the module itself, a forward pass in another thread would miss them.
    """
    bare = copy.copy(module)
    vars(bare).update(  # as it is: the modules of some libraries pass on what is set to what they wrap
        _forward_hooks=OrderedDict(),
        _forward_pre_hooks=OrderedDict(),
        _modules={name: None if one is None else _unhooked(one) for name, one in module._modules.items()},
    )
    return bare


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32, or float64 where it is: what products are computed in."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _mean(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    return wide(tensor).mean(dim, keepdim=True)
