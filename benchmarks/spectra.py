"""Spectra: headgrid beside TransformerLens' `FactoredMatrix` and the full decomposition of its `SVDInterpreter`.

Three shapes, random float32 weights (bfloat16 for one head's directions), one torch thread, in turn in one process.
Whole models of GPT-2's shapes are scanned with flat random weights, and with weights whose spectra are spread as those
of trained models are: by their inputs, or along singular directions of each head. The errors are relative to float64:
each singular value's to itself. Run it as a script; `--models` scans the models alone, `--large` adds the MLP of the
largest shape, where the peer takes about a minute a run.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import transformer_lens
import transformers
from measure import interleaved, row

from headgrid.circuits.scan import scan
from headgrid.linalg.factored import FactoredMatrix
from headgrid.linalg.svd import spectrum_of
from headgrid.weights import Weights

SHAPES = {  # heads, key/value heads, d_model, d_head, d_mlp
    "GPT-2 small": (12, 12, 768, 64, 3072),
    "GPT-2 medium": (16, 16, 1024, 64, 4096),
    "Llama-3-8B": (32, 8, 4096, 128, 14336),
}


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return ((found.double() - exact) / exact).abs().max().item()


def exact_values(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """From QR decompositions in float64, with which the tests compare the dense product."""
    left, right = (torch.linalg.qr(x.double(), mode="r")[1] for x in (A, B.mT))
    return torch.linalg.svdvals(left @ right.mT)


def heads(name: str, n: int, g: int, m: int, h: int) -> None:
    """The singular values of OV and QK of all heads of one layer; the peer is given each query head its own copy."""
    W_V, W_K = torch.randn(g, 1, m, h), torch.randn(g, 1, m, h)
    W_O, W_Q = torch.randn(g, n // g, h, m), torch.randn(g, n // g, m, h)
    each = {name: w.expand(g, n // g, *w.shape[2:]).reshape(n, *w.shape[2:]) for name, w in (("V", W_V), ("K", W_K))}
    O, Q = W_O.flatten(0, 1), W_Q.flatten(0, 1)  # noqa: E741

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        return FactoredMatrix(W_V, W_O).singular_values(), FactoredMatrix(W_Q, W_K.mT).singular_values()

    def theirs() -> tuple[Any, Any]:
        lens = transformer_lens.FactoredMatrix
        return lens(each["V"], O).S, lens(Q, each["K"].mT).S

    found = interleaved({"ours": ours, "theirs": theirs})
    exact = exact_values(W_V, W_O).flatten(0, 1), exact_values(W_Q, W_K.mT).flatten(0, 1)
    errors = [
        max(error(s.reshape(n, -1), e) for s, e in zip(found[who].result, exact, strict=True))
        for who in ("ours", "theirs")
    ]
    note = f"error {errors[0]:.0e} / {errors[1]:.0e}"
    row(f"{name}: OV + QK of a layer, {n} heads", "FactoredMatrix.S", found["ours"], found["theirs"], note)

    A, B = each["V"][0].bfloat16(), O[0].bfloat16()
    head, other = FactoredMatrix(A, B), transformer_lens.FactoredMatrix(A, B)
    found = interleaved({"ours": lambda: head.svd(10), "theirs": lambda: _fresh(other)})
    whole = torch.linalg.svd(torch.linalg.qr(A.double())[1] @ torch.linalg.qr(B.double().mT)[1].mT)[1][:10]
    note = f"error {error(found['ours'].result[1], whole):.0e} / {error(found['theirs'].result[1][:10], whole):.0e}"
    row(f"{name}: svd(10) of one head, bfloat16", "FactoredMatrix.svd", found["ours"], found["theirs"], note)


def _fresh(matrix: Any) -> Any:
    """The peer keeps what it has decomposed: a new one every time."""
    return transformer_lens.FactoredMatrix(matrix.A, matrix.B).svd()


MODELS = {
    "GPT-2 small": {"n_layer": 12, "n_head": 12, "n_embd": 768},
    "GPT-2 medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024},
}
SPECTRA = ("flat", "inputs spread", "directions spread")


@torch.no_grad()
def spread(model: Any, how: str) -> None:
    """Spread the spectra of a GPT-2's heads by 100: the inputs of every matrix, or each head's directions."""
    for block in model.transformer.h:
        attn = block.attn
        if how == "inputs spread":
            for W in (attn.c_attn.weight, attn.c_proj.weight):
                W.mul_(torch.logspace(0, -2, len(W))[:, None])
        elif how == "directions spread":
            for W in attn.c_attn.weight.split(attn.head_dim, dim=1):
                U, _, Vh = torch.linalg.svd(W, full_matrices=False)
                W.copy_(U * torch.logspace(0, -2, attn.head_dim) @ Vh)


def whole_model(name: str, how: str) -> None:
    """The singular values of OV and QK of all heads of a model; both are given the weights: headgrid as `Weights`,
    the peer as factors, layer by layer."""
    config = transformers.GPT2Config(**MODELS[name], vocab_size=64, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config).eval()
    spread(model, how)
    weights, lens = Weights(model), transformer_lens.FactoredMatrix
    layers = list(zip(weights.W_V, weights.W_O, weights.W_Q, weights.W_K, strict=True))

    def theirs() -> list[tuple[Any, Any]]:
        return [(lens(V, W_O).S, lens(Q, K.mT).S) for V, W_O, Q, K in layers]

    found = interleaved({"ours": lambda: scan(weights, ("ov", "qk"), ln="raw"), "theirs": theirs}, 9)
    ours = found["ours"].result
    with torch.no_grad():
        exact = [(exact_values(V, W_O), exact_values(Q, K.mT)) for V, W_O, Q, K in layers]
    errors = [
        max(error(s, e) for one, other in zip(of, exact, strict=True) for s, e in zip(one, other, strict=True))
        for of in (zip(ours.ov.singular_values, ours.qk.singular_values, strict=True), found["theirs"].result)
    ]
    note = f"error {errors[0]:.0e} / {errors[1]:.0e}"
    row(f"{name}: scan of OV + QK, {how}", "FactoredMatrix.S", found["ours"], found["theirs"], note)


def mlp(name: str, m: int, f: int, runs: int) -> None:
    """All singular values and 10 directions of an MLP's weights; the peer makes square U and V."""
    W = torch.randn(m, f)
    found = interleaved({"ours": lambda: spectrum_of(W, 10), "theirs": lambda: torch.linalg.svd(W.T)}, runs)
    exact = torch.linalg.svdvals(W.double())
    ours, theirs = found["ours"].result, found["theirs"].result
    residual = (W.double() @ ours.right.mT - ours.left * ours.values[:10]).norm(dim=0).max() / ours.values[0]
    note = f"error {error(ours.values, exact):.0e} / {error(theirs[1], exact):.0e}, residual {residual:.0e} s_1"
    row(f"{name}: MLP [{m}, {f}], values and 10 directions", "linalg.svd", found["ours"], found["theirs"], note)


if __name__ == "__main__":
    torch.manual_seed(0)
    for name in MODELS:
        for how in SPECTRA:
            whole_model(name, how)
    for name, (n, g, m, h, f) in ({} if "--models" in sys.argv else SHAPES).items():
        heads(name, n, g, m, h)
        if m < 4096 or "--large" in sys.argv:
            mlp(name, m, f, 5 if m < 4096 else 1)
