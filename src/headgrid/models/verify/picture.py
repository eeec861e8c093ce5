"""Whether a layer attends as the proof pictures it, whatever the table says.

The picture: a softmax over `[batch, head, query, key]`; what moves the scores of one head acts on its `z` through them
alone, from the query's position as its query and from the others as its keys; and each head puts its `z` into entries
of its own. Where a model attends otherwise, statements about sides are about something that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headgrid.anatomy.anatomy import Bools, count_of
from headgrid.models.verify.expected import Layer, index, numbered
from headgrid.models.verify.findings import Found
from headgrid.models.verify.watch import ANYWHERE, BEFORE, LAST, Site


def odd_site(site: Site, rows: int, n_tokens: int) -> Iterator[str]:
    """The oddities of a softmax's shape.

    Args:
        site: where the model attends.
        rows: the rows of the batch.
        n_tokens: the number of tokens, which is no size of the model's.
    """
    shape = list(site.whole.shape)
    said = f"it takes a softmax of {shape}, for a batch of {rows} rows"
    if len(shape) > 4 or (len(shape) == 4 and shape[0] != rows):
        yield f"{said}: over pieces of the text, and not over [batch, head, query, key]"
    elif len(shape) == 4 and shape[1] == n_tokens:
        yield f"{said} of {n_tokens} tokens: where its heads should be are positions"
    elif n_tokens in shape[-2:-1] and shape[-1] not in (shape[-2], shape[-2] + 1):
        yield f"{said} of {n_tokens} tokens: not over positions"


def oddities(layer: Layer, runs: Sequence[Found], per_pass: int) -> list[str]:
    """What does not fit the picture in any run of a layer; nothing where it fits.

    Args:
        layer: the layer, whose table is not asked.
        runs: what was found of each of its runs.
        per_pass: how often the layer should run.
    """
    found = [sentence for one in runs for sentence in (*one.odd, *_two_ways(layer, one), *_mixed(one))]
    if len(runs) > per_pass:
        found.append(f"it attends {count_of(len(runs), 'time')} in a forward pass, where {per_pass} was expected")
    return list(dict.fromkeys(found))


def _two_ways(layer: Layer, found: Found) -> Iterator[str]:
    """Weights of single heads that act on a head in two ways."""
    for name in sorted({name for _, name in found.reached}):
        shape = layer.anatomy.parameters[name]
        nothing = layer.nothing(name, 3, found.n_heads)
        scores, values = (found.reached.get((what, name), nothing) & ~layer.free(name) for what in ("scores", "values"))
        for both, said in (
            (scores[LAST] & scores[BEFORE], "moves its scores as a query and as a key at once"),
            (scores[ANYWHERE] & values[ANYWHERE], "moves its scores, and its z beside them as well"),
        ):
            single = both & ~both.all(axis=0)
            heads = np.flatnonzero(single.any(axis=tuple(range(1, single.ndim)))).tolist()
            if heads and found.n_heads > 1:
                yield f"{name}{index(single[heads[0]], shape)} of head {heads[0]} {said}"


def _mixed(found: Found) -> Iterator[str]:
    """Heads that lie in the same entries of what the output projection reads."""
    heads = sorted(found.columns)
    for head in heads:
        others = [other for other in heads if other > head and _meet(found.columns[head], found.columns[other])]
        if others:
            yield (
                f"the output projection {found.projection} reads {numbered('head', [head, *others])} in the same "
                "entries: heads are mixed between the softmax and it"
            )
            return
    for head in sorted(found.through):
        yield f"the z of head {head} depends on the scores of {numbered('head', found.through[head])}, beside its own"
        return


def _meet(one: Bools, other: Bools) -> bool:
    return one.shape == other.shape and bool((one & other).any())
