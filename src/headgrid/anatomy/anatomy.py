"""The anatomy of a model: where each of its weights is stored, as names and shapes. READ THIS FIRST.

The rest of headgrid reads this one table.

A head is a *place in a stored tensor*. A `Slot` writes that place down once, as data: the parameter's name and how its
stored axes are made of the field's letters (einops notation):

    n  query heads        h  d_head      f  d_mlp       v  d_vocab      i/k  piece i of k equal pieces, from 0
    g  key/value heads    m  d_model     p  positions   e  experts      1    an axis of one entry

    family     role   parameter                              stored axes
    GPT-2      W_Q    h.0.attn.c_attn.weight                 m (0/3 n h)    q, k and v side by side
    GPT-NeoX   W_K    layers.0.attention.query_key_value...  (n 1/3 h) m    q, k and v of head 0, then of head 1, ...
    Llama      W_V    layers.0.self_attn.v_proj.weight       (g h) m        fewer key/value heads than query heads
    Phi-3      W_K    layers.0.self_attn.qkv_proj.weight     (n h + [g h] + g h) m    unequal pieces; this one in [ ]
    DeepSeek   W_UV   layers.0.self_attn.kv_b_proj.weight    (g (k + [h])) c          the same within each head

Letters of rarer axes are `a, c, k, r` (latent attention: the latents of queries and of keys and values, and a key's
parts without and with rotary position), `s` (width of a shared expert), `t` (token types), `x` (rank of an adapter).

The *role* (`W_Q`, `b_K`, `W_out`, `ln1.w`, ...) is what those entries do; it fixes one canonical orientation, that of
TransformerLens (a row vector times a matrix: `W_Q [n_heads, d_model, d_head]`). The table is read three ways:

    read the weight through the slot          `slot.of(tensor)` is a view of that tensor, never a copy
    write True into an array through it       `slot.along(array)`: the parameter's mask, before it is expanded
    take the module that owns W_O             where to record or ablate a head's `z`

So masks, weights and hooks cannot disagree. A *part* is one index of one role in one layer: what can be selected on its
own. Head 3 of a layer is the parts with index 3 of `W_Q, b_Q, W_O`, and those of the key/value head that it reads.
Every entry of every parameter belongs to exactly one part; an `Anatomy` that breaks this cannot be built.

A *stack* is a sequence of layers with heads. Most models have one, without a name; an encoder-decoder has `encoder`,
`decoder` and `cross` (the decoder's attention to the encoder), a vision-language model has `vision` beside its language
model. Nothing here needs a tensor, so an anatomy exists for a model on the meta device as well, or for a config alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.slots import AnatomyError, Slot, misspelled, overlaps
from headgrid.anatomy.stacks import Bools, Stack, count_of
from headgrid.utils.arguments import printable, shown, text
from headgrid.utils.frozen import Frozen, read_only

if TYPE_CHECKING:
    from headgrid.selection.selection import Selectable, Selection

__all__ = ["Anatomy", "AnatomyError", "Bools", "Slot", "Stack", "count_of"]

Provenance = Literal["table", "doubted", "guess", "proven"]


@dataclass(frozen=True, eq=False)
class Anatomy(Frozen):
    """The anatomy of one model: its dimensions, parameters, and the slots that place every entry of them.

    Two anatomies are equal when their parameters and slots are: two models of one shape share their selections.
    `n_layers, n_heads, n_kv_heads, d_model, d_head, d_mlp, n_experts, places` and `kv_head_of` are those of the
    stack `main`.

    Attributes:
        name: what to call the model in a sentence.
        family: the row of the table that it was read by, e.g. `gpt2`.
        stacks: its sequences of layers; most models have one.
        d_vocab: the number of tokens that it embeds; 0 where it embeds none.
        parameters: name -> stored shape, in the order of `named_parameters()`; a tied tensor is there once.
        aliases: other name -> name in `parameters`, for tied tensors.
        provenance: where it comes from: the `table` of families; the table, but `doubted`, for caveats; a `guess`; or
            a guess that was `proven` by forward passes.
        caveats: sentences about what is not certain: what shapes do not show of a guess, with the answer that it
            gives; and which parameters (an adapter's) change heads without being in them.
        altered: name of a parameter -> what acts on it (an adapter), so that its values alone are not the weights that
            are used.
        n_ctx, act_fn, normalization_type, positional_embedding_type: TransformerLens' words for a config; None where
            nothing says so.
        unused: parameters that the model holds and its forward pass never reads; they are in no part.

    Raises:
        AnatomyError: when an entry of a parameter belongs to no part, or to more than one.
    """

    name: str
    family: str
    stacks: tuple[Stack, ...]
    d_vocab: int
    parameters: Mapping[str, tuple[int, ...]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = "table"
    caveats: tuple[str, ...] = ()
    n_ctx: int | None = None
    act_fn: str | None = None
    normalization_type: str | None = None
    positional_embedding_type: str | None = None
    unused: tuple[str, ...] = ()
    altered: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("name", "family"):  # of a config, which anybody may have written
            object.__setattr__(self, name, printable(getattr(self, name)))
        object.__setattr__(self, "caveats", tuple(map(printable, self.caveats)))
        object.__setattr__(self, "parameters", read_only(self.parameters))
        object.__setattr__(self, "aliases", read_only(self.aliases))
        for stack in self.stacks:
            if stack.n_heads and (stack.n_kv_heads < 1 or stack.n_heads % stack.n_kv_heads):
                raise AnatomyError(
                    f"{self.name} has {stack.n_heads} query heads for {stack.n_kv_heads} key/value heads: "
                    "the first must be a multiple of the second"
                )
        for role, axes, one in {(slot.role, slot.axes, slot.n_parts == 1): None for slot in self.slots}:
            if fault := misspelled(role, axes, one):
                raise AnatomyError(f"{role} of {self.name} cannot be stored as {axes!r}: {fault}")
        for name, shape in self.parameters.items():
            slots = self.slots_of[name]
            if not slots:
                raise AnatomyError(f"{name} of {self.name}, shape {list(shape)}, belongs to no part")
            for slot in slots:
                if slot.shape != shape:
                    raise AnatomyError(f"{name} has the shape {list(shape)}; {slot.role} expects {list(slot.shape)}")
            for place, times in overlaps(slots):
                raise AnatomyError(f"entry {list(place)} of {name} belongs to {times} parts instead of 1")
        for key, bits in self.exists.items():
            entries = [slot.n_parts for slot in self.slots if slot.key == key]
            if sum(entries) != bits.sum():
                raise AnatomyError(f"two slots of {key} of {self.name} claim the same part")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Anatomy):
            return NotImplemented
        return self is other or (list(self.parameters.items()), self.slots) == (
            list(other.parameters.items()),
            other.slots,
        )

    def __hash__(self) -> int:
        return hash((self.family, self.n_layers, self.n_heads, len(self.parameters)))

    def __repr__(self) -> str:
        return f"Anatomy({self.title}, d_model {self.d_model}, d_head {self.d_head}, {self.n_params:,} parameters)"

    def stack(self, name: str) -> Stack:
        """The stack of this name.

        Raises:
            ValueError: when there is none, naming those that there are.
        """
        text("stack", name)
        for stack in self.stacks:
            if stack.name == name:
                return stack
        names = ", ".join(repr(stack.name) for stack in self.stacks)
        raise ValueError(f"{self.name} has no stack {shown(name)}; it has {names}")

    @cached_property
    def main(self) -> Stack:
        """The stack whose words need no prefix; of an encoder-decoder, where all need one, the decoder."""
        layered = [stack for stack in self.stacks if stack.n_layers]
        return next((stack for stack in layered if stack.name in ("", "decoder")), layered[0])

    @property
    def n_layers(self) -> int:
        """The number of layers of the main stack."""
        return self.main.n_layers

    @property
    def n_heads(self) -> int:
        """The number of query heads in a layer of the main stack."""
        return self.main.n_heads

    @property
    def n_kv_heads(self) -> int:
        """The number of key/value heads in a layer of the main stack."""
        return self.main.n_kv_heads

    @property
    def d_model(self) -> int:
        """The width of the main stack's residual stream."""
        return self.main.d_model

    @property
    def d_head(self) -> int:
        """The width of a head's `z` in the main stack."""
        return self.main.d_head

    @property
    def d_mlp(self) -> int:
        """The number of neurons of an MLP, or of an expert, in the main stack."""
        return self.main.d_mlp

    @property
    def n_experts(self) -> int:
        """The number of experts of a mixture in the main stack; 0 without one."""
        return self.main.n_experts

    @property
    def places(self) -> dict[tuple[str, int | None], tuple[Slot, ...]]:
        """The slots of a role in a layer of the main stack."""
        return self.main.places

    @property
    def kv_head_of(self) -> npt.NDArray[np.intp]:
        """The key/value head that each query head of the main stack reads."""
        return self.main.kv_head_of

    @property
    def title(self) -> str:
        """One line that names the model: `GPT2LMHeadModel (gpt2), 2 layers x 4 heads`."""
        layered = [stack for stack in self.stacks if stack.n_layers]
        if len(layered) > 1:
            sizes = ", ".join(f"{stack.name or 'text'} {stack.n_layers} x {stack.n_heads}" for stack in layered)
        else:
            sizes = layered[0].size
        return f"{self.name} ({self.family}), {sizes}"

    @cached_property
    def n_params(self) -> int:
        """The number of entries of all parameters; a tied tensor counts once.

        TransformerLens' `cfg.n_params` is another number: that of the projections of attention and MLP alone, without
        embeddings, biases and norms. PyTorch's `sum(p.numel() for p in model.parameters())` is this one.
        """
        return sum(prod(shape) for shape in self.parameters.values())

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of what equality compares: the parameters and where everything is placed in them."""
        places = [(slot.key, slot.layer, slot.parameter, slot.axes, slot.shape, slot.first) for slot in self.slots]
        return hashlib.sha256(repr((list(self.parameters.items()), places)).encode()).hexdigest()[:16]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every place in every stack, in the order of the parameters."""
        order = {name: i for i, name in enumerate(self.parameters)}
        every = [slot for stack in self.stacks for slot in stack.slots]
        for slot in every:
            if slot.parameter not in order:
                raise AnatomyError(f"{slot.role} is placed in {slot.parameter}, which {self.name} does not have")
        return tuple(sorted(every, key=lambda slot: order[slot.parameter]))

    @property
    def tied(self) -> tuple[Slot, ...]:
        """Slots of every stack that read a tensor which another slot owns."""
        return tuple(slot for stack in self.stacks for slot in stack.tied)

    @cached_property
    def slots_of(self) -> dict[str, tuple[Slot, ...]]:
        """Parameter name -> the slots that lie in it."""
        found: dict[str, list[Slot]] = {name: [] for name in self.parameters}
        for slot in self.slots:
            found[slot.parameter].append(slot)
        return read_only({name: tuple(slots) for name, slots in found.items()})

    @cached_property
    def slots_at(self) -> dict[tuple[str, int], tuple[Slot, ...]]:
        """Key of a role and row of its parts -> the slots in which these parts lie."""
        found: dict[tuple[str, int], tuple[Slot, ...]] = {}
        for slot in self.slots:
            at = slot.key, slot.layer or 0
            found[at] = (*found.get(at, ()), slot)
        return read_only(found)

    @cached_property
    def exists(self) -> dict[str, Bools]:
        """Key of a role -> which of its parts there are, of all stacks: as in `Stack.exists`."""
        return read_only({key: bits for stack in self.stacks for key, bits in stack.exists.items()})

    @cached_property
    def names(self) -> dict[str, str]:
        """Every parameter name, exact and in lower case, tied names included -> its name in `parameters`."""
        exact = {**self.aliases, **{name: name for name in self.parameters}}
        return read_only({name.lower(): stored for name, stored in exact.items()} | exact)

    def select(self, what: Selectable) -> Selection:
        """The set of parts that a text names.

        Args:
            what: a text such as `l1h2 | l0 mlp`; a (layer, head) pair; a selection of an equal anatomy; a boolean
                array `[n_layers, n_heads]` of numpy, torch or pandas, as `scores > 0.4` is one, or its `nonzero()` or
                `argwhere`; a dictionary `{layer: [heads]}`; or a list of these, which stands for their union.

        Returns:
            The selection.

        Raises:
            SelectionError: when the text does not parse or names what this model does not have; it shows the place.
            TypeError: for what selects nothing: a number, scores without a threshold, True.
            ValueError: for an array of another shape, or one that could be read in two ways.
        """
        from headgrid.selection.selection import Selection  # the one doorway up: a selection is made from its anatomy

        return Selection.of(self, what)
