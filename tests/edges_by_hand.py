"""Edges measured slowly, by plain hooks of torch: all that is frozen is frozen by hand, one edge at a time.

Written for a few families whose modules and norms are named here; it reads no table of headgrid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

Given = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ByHand:
    """Where things are in one family.

    Attributes:
        layers: the path of the layers; `attn`, `o`, `mlp`, `ln1`, `ln2`, `post`, `post2` are paths within one, "" for
            none.
        final, unembed: paths of the last norm and the unembedding.
        centered, plus_one: LayerNorm or RMSNorm; whether gains are 1 + the weight.
        parallel: whether attention and MLP read the same stream.
        factor: what blocks' outputs are multiplied by.
        sides: the module whose output has a head's q, k or v in it, and which entries these are.
    """

    layers: str
    attn: str
    o: str
    mlp: str
    ln1: str
    ln2: str
    final: str
    unembed: str
    sides: Callable[[Any, str, int], tuple[str, Any]]
    post: str = ""
    post2: str = ""
    centered: bool = False
    plus_one: int = 0
    parallel: bool = False
    factor: float = 1.0


def separate(after: str = "") -> Callable[[Any, str, int], tuple[str, Any]]:
    """q, k and v in modules of their own."""

    def sides(model: Any, side: str, head: int) -> tuple[str, Any]:
        d = model.config.head_dim if getattr(model.config, "head_dim", None) else (
            model.config.hidden_size // model.config.num_attention_heads
        )  # fmt: skip
        path = f"{side}_norm" if after and side != "v" else f"{side}_proj"
        return f"self_attn.{path}", slice(head * d, (head + 1) * d)

    return sides


def gpt2_sides(model: Any, side: str, head: int) -> tuple[str, Any]:
    m, d = model.config.n_embd, model.config.n_embd // model.config.n_head
    first = "qkv".index(side) * m + head * d
    return "attn.c_attn", slice(first, first + d)


def neox_sides(model: Any, side: str, head: int) -> tuple[str, Any]:
    d = model.config.hidden_size // model.config.num_attention_heads
    first = (3 * head + "qkv".index(side)) * d
    return "attention.query_key_value", slice(first, first + d)


LLAMA = ByHand("model.layers", "self_attn", "self_attn.o_proj", "mlp", "input_layernorm", "post_attention_layernorm",
               "model.norm", "lm_head", separate())  # fmt: skip
HANDS = {
    "gpt2": ByHand("transformer.h", "attn", "attn.c_proj", "mlp", "ln_1", "ln_2", "transformer.ln_f", "lm_head",
                   gpt2_sides, centered=True),
    "llama with grouped-query attention": LLAMA,
    "granite": ByHand(**{**vars(LLAMA), "factor": 0.22}),
    "gemma2": ByHand(**{**vars(LLAMA), "ln2": "pre_feedforward_layernorm", "post": "post_attention_layernorm",
                        "post2": "post_feedforward_layernorm", "plus_one": 1}),
    "olmo2": ByHand(**{**vars(LLAMA), "ln1": "", "ln2": "", "post": "post_attention_layernorm",
                       "post2": "post_feedforward_layernorm", "sides": separate("norm")}),
    "gpt_neox": ByHand("gpt_neox.layers", "attention", "attention.dense", "mlp", "input_layernorm",
                       "post_attention_layernorm", "gpt_neox.final_layer_norm", "lm_head", neox_sides, centered=True,
                       parallel=True),
}  # fmt: skip


@contextmanager
def hooked(*hooks: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class SlowEdges:
    """Edges of one model, from a run on `base` with senders' results as `other` has them (None: zeros)."""

    def __init__(self, family: str, model: Any, base: Given, other: Given | None) -> None:
        self.hand, self.model, self.base = HANDS[family], model, base
        self.before, self.after = self._run(base), None if other is None else self._run(other)

    def at(self, layer: int, path: str) -> Any:
        return self.model.get_submodule(f"{self.hand.layers}.{layer}" + (f".{path}" if path else ""))

    def _run(self, given: Given) -> dict[Any, torch.Tensor]:
        """What enters and leaves the modules that matter."""
        seen: dict[Any, torch.Tensor] = {}
        hooks = []
        names = [(layer, path) for layer in range(self.model.config.num_hidden_layers)
                 for path in ("", self.hand.attn, self.hand.o, self.hand.mlp, self.hand.ln1, self.hand.ln2,
                              self.hand.post, self.hand.post2)]  # fmt: skip
        modules = [((*name, end), self.at(*name)) for name in names for end in ("in", "out")]
        modules += [((end,), self.model.get_submodule(self.hand.final)) for end in ("in", "out")]
        for name, module in modules:

            def see(_: Any, args: Any, kwargs: Any, out: Any, name: Any = name) -> None:
                x = args[0] if args else kwargs.get("hidden_states", kwargs.get("input"))
                seen[name] = x if name[-1] == "in" else out[0] if isinstance(out, tuple) else out

            hooks.append(module.register_forward_hook(see, with_kwargs=True))
        with torch.no_grad(), hooked(*hooks):
            self.model(**given)
        return seen

    def frozen(self, module: Any, x: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """A norm of a change with the scale that it had on x."""
        eps = next(getattr(module, name) for name in ("variance_epsilon", "eps") if hasattr(module, name))
        if self.hand.centered:
            scale = (x.var(-1, correction=0, keepdim=True) + eps).sqrt()
            change = change - change.mean(-1, keepdim=True)
        else:
            scale = (x.square().mean(-1, keepdim=True) + eps).sqrt()
        return (module.weight + self.hand.plus_one) * change / scale

    def change(self, sender: str) -> torch.Tensor:
        """What is added to the stream when a sender has its other result."""
        hand = self.hand
        if sender == "embed":
            return self._other((0, "", "in"))
        if sender.endswith("mlp"):
            layer = int(sender[1 : sender.index(" ")])
            return self._other((layer, hand.post2 or hand.mlp, "out")) * hand.factor
        layer, head = int(sender[1 : sender.index("h")]), int(sender[sender.index("h") + 1 :])
        o = self.at(layer, hand.o)
        z = self._other((layer, hand.o, "in"))
        d = z.shape[-1] // self.model.config.num_attention_heads
        weight = o.weight if type(o).__name__ == "Conv1D" else o.weight.T
        found = z[..., head * d : (head + 1) * d] @ weight[head * d : (head + 1) * d]
        if hand.post:
            found = self.frozen(self.at(layer, hand.post), self.before[layer, hand.post, "in"], found)
        return found * hand.factor

    def _other(self, key: Any) -> torch.Tensor:
        return (0 if self.after is None else self.after[key]) - self.before[key]

    def output(self, sender: str, receiver: str, keep: torch.Tensor | None = None) -> Any:
        """The model's output with one edge changed, at the positions where `keep [pos]` is True."""
        hand, change = self.hand, self.change(sender)
        if keep is not None:
            change = change * keep[:, None]
        if receiver == "logits":
            norm = self.model.get_submodule(hand.final)
            read = self.frozen(norm, self.before["in",], change)
            hook = self.model.get_submodule(hand.unembed).register_forward_pre_hook(lambda _, x: (x[0] + read,))
        elif receiver.endswith("mlp"):
            layer = int(receiver[1 : receiver.index(" ")])
            if hand.ln2:
                change = self.frozen(self.at(layer, hand.ln2), self.before[layer, hand.ln2, "in"], change)
            hook = self.at(layer, hand.mlp).register_forward_pre_hook(lambda _, x: (x[0] + change,))
        else:
            layer, side = int(receiver[1 : receiver.index(receiver[2])]), receiver[-1]
            number = int(receiver[receiver.index(receiver[2]) + 1 : receiver.index(".")])
            if hand.ln1:
                change = self.frozen(self.at(layer, hand.ln1), self.before[layer, hand.ln1, "in"], change)
            path, entries = hand.sides(self.model, side, number)
            module, attn = self.at(layer, path), self.at(layer, hand.attn)
            seen: list[torch.Tensor] = []

            def see(_: Any, args: Any, kwargs: Any) -> Any:  # the attention's whole input, changed, in a pass aside
                if args:
                    return ((args[0] + change, *args[1:]), kwargs)
                return (args, {**kwargs, "hidden_states": kwargs["hidden_states"] + change})

            with torch.no_grad(), hooked(
                attn.register_forward_pre_hook(see, with_kwargs=True),
                module.register_forward_hook(lambda _, __, out: seen.append(out)),
            ):  # fmt: skip
                self.model(**self.base)

            def put(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
                new = out.clone()
                new[..., entries] = seen[0][..., entries]
                return new

            hook = module.register_forward_hook(put)
        with torch.no_grad(), hooked(hook):
            return self.model(**self.base)
