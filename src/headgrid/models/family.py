"""The type of the table's rows: where a family of models stores each weight, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One line of a row: a weight of a family.

    Attributes:
        role: what the weight does, a key of `headgrid.anatomy.roles.ROLES`.
        path: the name of its parameter, relative to the layer, the body or the model.
        axes: its stored axes.
    """

    role: str
    path: str
    axes: str


@dataclass(frozen=True)
class Family:
    """One row of the table: how the models of some types store one stack of layers.

    `lines` reads the lines of `layer` and `outside` from a text, a weight in each: `role  path  stored axes`, in the
    notation of `headgrid.anatomy` and three more:

        path `a.*.weight`    one place for each number that stands there: a module per head, or per expert
        path `a.**`          every parameter below; with the axes `...`, each of any shape
        axes `(*/g ...)`     one place for each of the g pieces, and within a piece n and g are its own
        axes `v m'`          a width of its own, which is not d_model

    Attributes:
        model_types: the values of `config.model_type` that it serves.
        body: the module that holds everything but the unembedding; a bare model is that module itself.
        layers: the list of layers within the body; "" for a row without layers.
        layer: the lines of a layer, their paths relative to it.
        outside: the lines of what belongs to no layer, their paths relative to the body or to the whole model.
        when: what a config must say for this row, where one family stores its weights in several ways.
        stack: the name of its stack; "" for the only or main one.
        others: the rows of the model's other stacks.
        nested: stacks that are models of a family of their own: stack -> (body, attribute of the config).
        config: the attribute of the config that describes this stack; "" for the config itself.
        n_layers, n_heads, kv_heads, d_model, d_head: the attributes of the config that say so; a number for `kv_heads`
            where the config's is not to be believed. Shapes decide; what the config says is compared with them.
        shared: whether `n_layers` counts runs of layers and there are fewer layers than that.
    """

    model_types: tuple[str, ...] = ()
    body: str = ""
    layers: str = ""
    layer: tuple[Line, ...] = ()
    outside: tuple[Line, ...] = ()
    when: Mapping[str, bool] = field(default_factory=dict)
    stack: str = ""
    others: tuple[Family, ...] = ()
    nested: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    config: str = ""
    n_layers: str = "num_hidden_layers"
    n_heads: str = "num_attention_heads"
    kv_heads: str | int = "num_key_value_heads"
    d_model: str = "hidden_size"
    d_head: str = "head_dim"
    shared: bool = False


def lines(text: str) -> tuple[Line, ...]:
    """The lines of a row, from a text with one in each line; empty lines are passed over."""
    return tuple(Line(*line.split(maxsplit=2)) for line in filter(None, map(str.strip, text.splitlines())))
