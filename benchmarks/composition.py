"""Composition scores of all pairs of heads, beside TransformerLens; and what else compares everything with everything.

TransformerLens' `all_composition_scores` is called once for each of Q, K and V on a bridge around the same GPT-2 with
random weights; it has the raw circuits, so headgrid computes them raw as well. At GPT-2 medium it asks for one block of
38.7 GB, so headgrid runs alone there. Token pairs are searched in random and in decaying products of GPT-2's size.
Times are CPU-seconds of one thread. Run it as a script; it takes some minutes and 10 GB.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
import transformers
from measure import interleaved, row

from headgrid.circuits.composition import Composition, compose, partners
from headgrid.circuits.factors import Circuits
from headgrid.circuits.pairs import copying_accuracy, top_pairs
from headgrid.weights import Weights

RUNS = 1

MEDIUM = {"n_layer": 24, "n_head": 16, "n_embd": 1024}

V, K = 50257, 64


def gpt2(**sizes: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)).eval()


def bridged(model: torch.nn.Module) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    model = copy.deepcopy(model)  # bridging rewires it
    return build_bridge_from_module(model, type(model).__name__, hf_config=model.config)


def errors(found: Composition, model: torch.nn.Module, n: int = 60) -> float:
    """The largest relative error of a sample of scores, against dense products in float64."""
    circuits = Circuits(Weights(model), found.ln)
    pairs = found.top(10**9, z=-torch.inf)
    worst = 0.0
    for pair in pairs[:: max(1, len(pairs) // n)]:
        left = circuits.head("ov", *pair.source)
        right = circuits.head("ov" if pair.kind == "v" else "qk", *pair.target)
        left, right = ((one.A.double() @ one.B.double()) for one in (left, right))
        right = right.mT if pair.kind == "k" else right
        truth = float((left @ right).norm() / left.norm() / right.norm())
        worst = max(worst, abs(pair.value / truth - 1))
    return worst


def products() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(V, K, generator=generator), torch.randn(K, V, generator=generator)
    decay = torch.arange(1, K + 1).pow(-0.5)
    lengths = [torch.randn(V, 1, generator=generator).mul(0.3).exp() for _ in range(2)]
    return {
        "flat spectrum, equal lengths": (left, right),
        "singular values 1/sqrt(i)": (left * decay.sqrt(), decay.sqrt()[:, None] * right),
        "singular values 1/i": (left * decay, decay[:, None] * right),
        "flat spectrum, lengths e^N(0, 0.3)": (left * lengths[0], right * lengths[1].mT),
        "rank 8": (left[:, :8] @ torch.randn(8, K, generator=generator), right),
    }


def dense_pairs(left: torch.Tensor, right: torch.Tensor, n: int = 10) -> torch.Tensor:
    """The whole product, in blocks that fit in the cache; sorted only where something is large enough."""
    best = torch.full((n,), -torch.inf)
    for rows in torch.split(left, 512):
        for columns in torch.split(right, 2048, 1):
            product = rows @ columns
            if product.max() > best[-1]:
                best = torch.cat([best, product.flatten().topk(n).values]).topk(n).values
    return best


def main() -> None:
    warnings.filterwarnings("ignore")
    small = gpt2()
    bridge = bridged(small)

    def peer(bridge: Any = bridge) -> list[torch.Tensor]:
        return [bridge.all_composition_scores(kind).scores for kind in "QKV"]

    took = interleaved({"headgrid": lambda: compose(small, ln="raw"), "transformer_lens": peer}, RUNS)
    ours, theirs = took["headgrid"], took["transformer_lens"]
    n = len(ours.result.heads)
    apart = max(
        float(((scores.reshape(n, n).double() - value) / value).nan_to_num().abs().max())
        for scores, value in zip(theirs.result, (ours.result.q, ours.result.k, ours.result.v), strict=True)
    )
    note = f"error {errors(ours.result, small):.0e}, apart {apart:.0e}"
    row("composition, GPT-2 small, Q K V, all pairs", "transformer_lens", ours, theirs, note)
    del took, ours, theirs, bridge, peer  # several GB

    medium = gpt2(**MEDIUM)
    alone = interleaved({"medium": lambda: compose(medium)}, 1)["medium"]
    print(
        f"composition, GPT-2 medium: headgrid {alone.seconds:.1f} s {alone.peak:.0f} MiB, "
        f"error {errors(alone.result, medium):.0e}"
    )
    for name, model in (("small", small), ("medium", medium)):
        circuits = Circuits(Weights(model))
        layer = len(model.transformer.h) // 2
        one = interleaved({"partners": lambda circuits=circuits, layer=layer: partners(circuits, layer, 3)}, 5)[
            "partners"
        ]
        print(f"partners of one head, GPT-2 {name}: {one.seconds * 1e3:.0f} ms; {one.peak:.0f} MiB kept")

    for name, (left, right) in products().items():
        runs = {
            "search": lambda left=left, right=right: top_pairs(left, right),
            "dense": lambda left=left, right=right: dense_pairs(left, right),
        }
        took = interleaved(runs, 1)
        same = torch.allclose(took["search"].result.values.float(), took["dense"].result, rtol=1e-5)
        row(f"top 10 pairs, {name}", "dense blocks", took["search"], took["dense"], "same" if same else "DIFFERENT")
    left, right = products()["flat spectrum, equal lengths"]
    for name, other in (("nothing copies", right), ("everything copies", left.mT)):
        one = interleaved({"copying": lambda other=other: copying_accuracy(left, other)}, 1)["copying"]
        print(f"copying accuracy, all tokens, {name}: {one.seconds:.1f} s, {one.peak:.0f} MiB; {one.result[0]:.3f}")


if __name__ == "__main__":
    main()
