"""Numbers of one circuit, each by its published definition: several things are called effective rank."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64

from headgrid.linalg.factored import FactoredMatrix


def norm(singular_values: Float64[torch.Tensor, "*heads r"]) -> Float64[torch.Tensor, "*heads"]:
    """The Frobenius norm, `[*]`: the root of the sum of squares of the singular values `[*, r]`."""
    return singular_values.square().sum(-1).sqrt()


def stable_rank(singular_values: Float64[torch.Tensor, "*heads r"]) -> Float64[torch.Tensor, "*heads"]:
    """The stable rank, `[*]`: the squared Frobenius norm over the squared largest singular value; 0 of a zero matrix.

    Of singular values 1, 1/2, ..., 1/16 it is 1.58. Source: Rudelson and Vershynin 2007, Sampling from large matrices.
    """
    square = singular_values.square()
    return _ratio(square.sum(-1), square[..., 0], 0.0)


def entropy_rank(singular_values: Float64[torch.Tensor, "*heads r"]) -> Float64[torch.Tensor, "*heads"]:
    """The effective rank of Roy and Vetterli (2007), `[*]`: exp of the entropy of sigma / sum sigma.

    Of singular values 1, 1/2, ..., 1/16 it is 10.6; the entropy of their squares would say 3.87. A zero matrix has 0.
    """
    shares = _ratio(singular_values, singular_values.sum(-1, keepdim=True), 0.0)
    entropy = -torch.special.xlogy(shares, shares).sum(-1)
    return torch.where(singular_values[..., 0] > 0, entropy.exp(), 0.0)


def copying_score(ov: FactoredMatrix, W_UE: Float[torch.Tensor, "d_model d_model"]) -> Float64[torch.Tensor, "*heads"]:
    """How much a head raises the tokens that it attends to: sum(lambda) / sum|lambda| of W_E OV W_U, from -1 to 1.

    The eigenvalues that are not zero are those of the small matrix W_O (W_U W_E) W_V. A head that copies perfectly has
    1, one that suppresses what it reads -1; random heads lie around 0 (standard deviation about 0.025 in GPT-2 small).
    Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits.

    Args:
        ov: the circuits, `[*, d_model, d_model]`.
        W_UE: W_U W_E, `[d_model, d_model]`, see `Vocabulary.W_UE`.

    Returns:
        Float64 `[*]`; NaN for a head that writes nothing.
    """
    W_UE = W_UE.to(ov.A.device)
    # one product for all heads, with the side of which grouped-query attention has fewer
    *batch, m, k = ov.A.shape
    values = ov.A.movedim(-2, 0).reshape(m, -1).to(W_UE.dtype)
    read = (W_UE @ values).reshape(m, *batch, k).movedim(0, -2)
    return positive_share((ov.B.to(W_UE.dtype) @ read).double().cpu())


def positive_share(small: Float64[torch.Tensor, "*heads k k"]) -> Float64[torch.Tensor, "*heads"]:
    """sum(lambda) / sum|lambda| of each small matrix `[*, k, k]`; NaN where all eigenvalues are 0.

    Complex eigenvalues come in pairs, so their sum is the trace.
    """
    values: torch.Tensor = torch.linalg.eigvals(small)
    return _ratio(small.diagonal(dim1=-2, dim2=-1).sum(-1), values.abs().sum(-1), torch.nan)


def _ratio(above: torch.Tensor, below: torch.Tensor, otherwise: float) -> torch.Tensor:
    return torch.where(below > 0, above / torch.where(below > 0, below, 1.0), otherwise)
