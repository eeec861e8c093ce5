"""OV and QK of every head, and the matrices of MLPs, kept in factors: as they are stored, or with the norms folded in.

With row vectors, a head adds `x OV` to the stream for a token `x` that it attends to, and scores a query `x` and a key
`y` by `x QK y^T` (Elhage et al. 2021, A Mathematical Framework for Transformer Circuits):

    raw       OV = W_V W_O             QK = W_Q W_K^T
    folded    OV = N W_V W_O P         QK = N W_Q G (N W_K G)^T scaling

N is the norm before the block (its centring and its gain), P a norm on the block's output (Gemma-2), G what a norm of
queries or keys does. `x` is then the stream, divided by the norm's scale. Of latent attention (DeepSeek-V2) W_V is
W_DKV W_UV, and W_Q and W_K are the parts without and with rotary position side by side; folded, the gains of the
latents' norms are in between. What no fixed matrix can say is said by `notes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.anatomy.roles import ROLES
from headgrid.circuits.caveats import notes_on_scores
from headgrid.circuits.measured import Measured, measured
from headgrid.circuits.norms import LN, LNS, NONE, Norm, Norms, check_finite, finite, wide
from headgrid.linalg.factored import FactoredMatrix
from headgrid.models import scaling
from headgrid.utils.arguments import one_of
from headgrid.weights import Weights

__all__ = ["LN", "CircuitName", "Circuits", "check_finite"]

CircuitName = Literal["ov", "qk", "mlp"]
Factors = tuple[torch.Tensor, torch.Tensor]


READ: dict[CircuitName, tuple[str, ...]] = {
    "ov": ("ln1.w", "W_V", "W_DKV", "ln_kv.w", "W_UV", "W_O", "ln1_post.w"),
    "qk": ("ln1.w", "W_Q", "W_DQ", "ln_q.w", "W_UQ", "W_QR", "W_K", "W_DKV", "ln_kv.w", "W_UK", "W_KR", "q_norm.w",
           "k_norm.w", "q_gain", "k_gain"),
    "mlp": ("ln2.w", "W_in", "W_gate", "W_out", "expert.W_in", "expert.W_gate", "expert.W_out", "ln2_post.w"),
}  # fmt: skip
"""Circuit -> the roles that it is made of, where a layer has them."""


class Circuits:
    """The circuits of one stack of a model.

    Weights are read anew each time: a later change of a parameter is seen. What is not folded is not copied.

    Args:
        weights: the stack, as `Weights` reads it.
        ln: `folded` or `raw`.
        checked: whether weights are looked through for NaN and inf. Who sees them in the result, as in singular values,
            reads the weights once instead of twice.

    Raises:
        ValueError: for another `ln`.
    """

    def __init__(self, weights: Weights, ln: LN = "folded", *, checked: bool = True) -> None:
        self.weights, self.ln, self.norms = weights, one_of("ln", ln, LNS), Norms(weights)
        self._checked = checked
        self._stack = weights.stack

    def has(self, layer: int) -> bool:
        """Whether a layer has heads."""
        return ("W_O", layer) in self._stack.places

    def ov(self, layer: int) -> FactoredMatrix:
        """OV of every head of a layer.

        Returns:
            `[n_kv_heads, n_heads // n_kv_heads, d_model, d_model]`, the heads in order; A is `[g, 1, m, h]`, once for
            the heads that share their values, B `[g, each, h, m]`. float32 or wider where anything is folded in.

        Raises:
            AnatomyError: when the layer has no heads, or its weights are on the meta device.
            ValueError: when a parameter has NaN or inf; it is named.
        """
        return FactoredMatrix(*self._ov(self._headed(layer), None))

    def qk(self, layer: int) -> FactoredMatrix:
        """QK of every head of a layer; a query's side is on the left.

        Returns:
            As `ov` does, with A `[g, each, m, k]` and B `[g, 1, k, m]`, once for the heads that share their keys.
        """
        return FactoredMatrix(*self._qk(self._headed(layer), None))

    def head(self, kind: Literal["ov", "qk"], layer: int, head: int) -> FactoredMatrix:
        """OV or QK of one head, `[d_model, d_model]`; the weights of other heads are not read.

        Raises:
            IndexError: when there is no such head; otherwise as for `ov`.
        """
        layer = self._headed(layer)
        if not 0 <= head < self._stack.n_heads:
            raise IndexError(f"there is no head {head}; the heads of layer {layer} are 0 to {self._stack.n_heads - 1}")
        if kind not in ("ov", "qk"):
            raise ValueError(f"kind is {kind!r}; a head's circuits are 'ov' and 'qk'")
        A, B = (self._ov if kind == "ov" else self._qk)(layer, head)
        return FactoredMatrix(A[0, 0], B[0, 0])

    def mlp(
        self, which: Literal["in", "gate", "out"], layer: int, expert: int | None = None
    ) -> Float[torch.Tensor, "read written"]:
        """A matrix of an MLP or of an expert.

        Args:
            which: `in`, `gate` (of gated MLPs) or `out`.
            layer: the layer.
            expert: the expert's number, where the layer has a mixture of them.

        Returns:
            `in` and `gate` `[d_model, d_mlp]`, `out` `[d_mlp, d_model]`; as stored, or in float32 or wider where a norm
            is folded in.

        Raises:
            AnatomyError: when the layer has no such matrix; it says what the layer has.
            IndexError: when there is no such expert.
            ValueError: for another `which`, and when a parameter has NaN or inf.
        """
        if which not in ("in", "gate", "out"):
            raise ValueError(f"which is {which!r}; an MLP's matrices are 'in', 'gate' and 'out'")
        layer = self._layer(layer)
        role = f"W_{which}" if expert is None else f"expert.W_{which}"
        if (role, layer) not in self._stack.places:
            mixed = (f"expert.{role}", layer) in self._stack.places
            hint = f": say which of its {self._stack.n_experts} experts" if mixed else ""
            raise AnatomyError(f"layer {layer} has no {role}{hint}; it has {self._there(layer)}")
        if expert is not None and not 0 <= expert < self._stack.n_experts:
            last = self._stack.n_experts - 1
            raise IndexError(f"there is no expert {expert}; the experts of layer {layer} are 0 to {last}")
        W = self._read(role, layer) if expert is None else self._read(role, layer, expert)[0]
        if self.ln == "raw":
            return W
        after = self.norms.after(layer, "mlp")
        if which == "out":
            return W if after is None else after.fold_after(W)
        return self.norms.before(layer, "mlp").fold(W)

    # ---- the two products of a head, of one or of all

    def _ov(self, layer: int, head: int | None) -> Factors:
        before, after = self._before(layer, "v"), self.norms.after(layer, "attn")
        if ("W_UV", layer) in self._stack.places:
            V = wide(self._latent(layer, "W_DKV", "ln_kv", before)) @ wide(self._read("W_UV", layer, head))
        else:
            V = before.fold(self._read("W_V", layer, head))
        out = self._read("W_O", layer, head)
        if self.ln == "folded" and after is not None:
            out = after.fold_after(out)
        return V[:, None], self._grouped(out)

    def _qk(self, layer: int, head: int | None) -> Factors:
        (Q, K), turning = self._latent_qk(layer, head) if self._is_latent(layer) else self._plain_qk(layer, head)
        if self.ln == "folded":
            scale, gain, n_turning = self._scale(layer)
            Q = wide(Q) * scale
            if gain != 1:  # both queries and keys are multiplied, so their product is by its square
                turning = turning if turning.start else slice(0, n_turning or None)
                Q[..., turning] *= gain**2
        return self._grouped(Q), K.mT[:, None]

    def _scale(self, layer: int) -> tuple[float, float, int]:
        """The factor of q.k: as attributes of the attention say, unless another factor is measured."""
        model, stack = self.weights.model, self._stack
        factor, seen = scaling.scaling(model, self.weights.anatomy, stack, layer), measured(self.weights, layer)
        if isinstance(seen, Measured) and seen.scale is not None:
            factor *= seen.scale
        return factor, *scaling.rotary_gain(model, stack, layer)

    def _plain_qk(self, layer: int, head: int | None) -> tuple[Factors, slice]:
        Q = self._before(layer, "q").fold(self._read("W_Q", layer, head))
        K = self._before(layer, "k").fold(self._read("W_K", layer, head))
        if self.ln == "folded":
            Q, K = self._inner(layer, "q", head).fold_after(Q), self._inner(layer, "k", head).fold_after(K)
        return (Q, K), slice(0, None)

    def _latent_qk(self, layer: int, head: int | None) -> tuple[Factors, slice]:
        before = self._before(layer, "q")
        up = wide(torch.cat([self._read(role, layer, head) for role in ("W_UQ", "W_QR")], -1))
        if ("W_DQ", layer) in self._stack.places:
            Q = wide(self._latent(layer, "W_DQ", "ln_q", before)) @ up
        else:
            Q = before.fold(up)
        K = wide(self._latent(layer, "W_DKV", "ln_kv", before)) @ wide(self._read("W_UK", layer, head))
        rotary = wide(before.fold(self._read("W_KR", layer)))
        return (Q, torch.cat([K, rotary.expand(len(K), -1, -1)], -1)), slice(K.shape[-1], None)

    def _latent(self, layer: int, role: str, norm: str, before: Norm) -> torch.Tensor:
        """The matrix from the stream to a latent, `[d_model, width]`, with the gain of the latent's own norm."""
        W = before.fold(self._read(role, layer))
        return self.norms.inner(norm, layer).fold_after(W) if self.ln == "folded" else W

    def _inner(self, layer: int, side: Literal["q", "k"], head: int | None) -> Norm:
        """The norm of queries or keys, `[h]` for all heads or `[n, 1, h]`."""
        norm = self.norms.inner(f"{side}_gain", layer)
        if norm.gain is None:
            return self.norms.inner(f"{side}_norm", layer)
        gain = norm.gain if head is None else norm.gain[self._part("n" if side == "q" else "g", head)][None]
        return Norm(norm.name, gain[:, None], norm.centered)

    def _before(self, layer: int, side: Literal["q", "k", "v"]) -> Norm:
        return self.norms.before(layer, "attn", side) if self.ln == "folded" else NONE

    def _grouped(self, of_heads: torch.Tensor) -> torch.Tensor:
        groups = self._stack.n_kv_heads if len(of_heads) == self._stack.n_heads else 1
        return of_heads.reshape(groups, -1, *of_heads.shape[1:])

    def _is_latent(self, layer: int) -> bool:
        return ("W_DKV", layer) in self._stack.places

    # ---- what there is

    def _read(self, role: str, layer: int, part: int | None = None) -> torch.Tensor:
        """The weights of a role, or `[1, ...]` of the one part of a head or expert without touching the others."""
        slots = self._stack.places.get((role, layer), ())
        letter = ROLES[role].part_axis
        if part is None or letter is None:
            found = self.weights.read(role, layer)
            return finite(found, role, slots) if self._checked else found
        at = self._part(letter, part)
        for slot in slots:
            if at in range(slot.first, slot.first + slot.n_parts):
                one = self.weights.piece(slot, at - slot.first)
                one = one.to(device=self.weights.device, dtype=self.weights.dtype)
                return finite(one, role, (slot,)) if self._checked else one
        raise AnatomyError(f"layer {layer} has no {role} of number {at}")

    def _part(self, letter: str, head: int) -> int:
        return int(self._stack.kv_head_of[head]) if letter == "g" else head

    def _layer(self, layer: int) -> int:
        n_layers = self._stack.n_layers
        if not -n_layers <= layer < n_layers:
            raise IndexError(f"there is no layer {layer}; the layers are 0 to {n_layers - 1}")
        return layer % n_layers

    def _headed(self, layer: int) -> int:
        layer = self._layer(layer)
        if not self.has(layer):
            others = ", ".join(str(other) for other in range(self._stack.n_layers) if self.has(other))
            raise AnatomyError(
                f"layer {layer} has no heads: it has {self._there(layer)}. Layers with heads: {others or 'none'}"
            )
        return layer

    def _there(self, layer: int) -> str:
        return ", ".join(role for role in ROLES if (role, layer) in self._stack.places)

    # ---- what matrices cannot say

    def notes(self, kind: CircuitName, layer: int) -> tuple[str, ...]:
        """The caveats of the matrices of a layer, in sentences.

        Args:
            kind: `ov`, `qk` or `mlp`.
            layer: the layer.
        """
        if kind not in ("ov", "qk", "mlp"):
            raise ValueError(f"kind is {kind!r}; it should be 'ov', 'qk' or 'mlp'")
        layer = self._layer(layer)
        return tuple(self._notes(kind, layer))

    def _notes(self, kind: CircuitName, layer: int) -> Iterator[str]:
        there = {role for role, at in self._stack.places if at == layer}
        if kind == "qk":
            yield from notes_on_scores(self.weights, self.ln, layer)
        if "W_OG" in there and kind == "ov":
            yield "A gate that depends on the token multiplies what each head writes: OV is shown without it."
        if "W_DKV" in there and kind != "mlp":
            yield (
                "Latent attention: the latents are normalized, so parts of a product have scales that depend on the "
                "token; only gains are folded in."
            )
        yield from self.weights.notes(*(role for role in READ[kind] if role in there), layer=layer)
        multiplier = scaling.residual_multiplier(self.weights.model, self._stack, layer)
        if multiplier != 1 and kind != "qk":
            yield f"What a block adds to the stream is multiplied by {multiplier:g} first: this is shown without it."
        if self._stack.uses > 1:
            yield f"The weights of this layer are used {self._stack.uses} times in a forward pass."
        if self.ln == "folded":
            if self.norms.on_stream:
                yield (
                    "The norms act on the stream after a block has written to it: what is read is normalized already, "
                    "and no gain is folded in."
                )
            yield from self.norms.notes_on(layer, "mlp" if kind == "mlp" else "attn")
