"""docs/equivalents.md is run: every line of its tables, beside the call of the other library that it stands for.

TransformerLens is the original. ModelContext is on no registry: `Context` below does what its source says with the
files that it reads, in torch alone; where that is compared with the original is said in the page.
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
import transformers
from bridges import bridged, fresh

import headgrid as hg
from headgrid.circuits.factors import Circuits
from headgrid.circuits.norms import Norms
from headgrid.demo import repeated_tokens
from headgrid.linalg.factored import FactoredMatrix

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parent.parent / "docs" / "equivalents.md").read_text()

GROUPED = "llama with grouped-query attention"
GEMMA = "gemma with one key/value head"
FAMILIES = ("gpt2", GROUPED, GEMMA)
"""The first has LayerNorm and learned positions, the others RMSNorm and rotary ones."""

Scope = dict[str, Any]


@functools.cache
def model(family: str) -> transformers.PreTrainedModel:
    return fresh(family)


@functools.cache
def lens(family: str) -> Any:
    """The same model in TransformerLens: its own copy, because a bridge renames what it is put around."""
    return bridged(fresh(family))


def interpreter(of: Any) -> Any:
    from transformer_lens import SVDInterpreter

    return SVDInterpreter(of)


# ---- the page


def tables() -> dict[str, list[list[str]]]:
    """The rows of each table of the page, by the heading above it: four cells each."""
    found: dict[str, list[list[str]]] = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\|(.*)\|$", section, flags=re.MULTILINE)
        cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
        found[section.partition("\n")[0]] = [row for row in cells if len(row) == 4 and row[1].startswith("`")]
    return found


def setup(section: str) -> str:
    return re.findall(r"```python\n(.*?)```", PAGE.split(f"## {section}")[1].split("\n## ")[0], flags=re.DOTALL)[0]


def run(line: str, scope: Scope) -> Any:
    """What the line in backticks is, or what it assigns."""
    code = line.strip("`")
    try:
        return eval(code, scope)
    except SyntaxError:
        exec(code, scope)
        return scope[re.findall(r"\w+", code)[0]]


def cases() -> Iterator[Any]:
    for section, rows in tables().items():
        for theirs, ours, same, _ in rows:
            for family in FAMILIES[:1] if section == "ModelContext" else FAMILIES:
                yield pytest.param(section, family, theirs, ours, same, id=f"{family}: {theirs}")


@pytest.mark.parametrize(("section", "family", "theirs", "ours", "same"), list(cases()))
def test_a_line_of_the_page_is_what_its_table_says(
    section: str, family: str, theirs: str, ours: str, same: str
) -> None:
    tokenizer = bytes_tokenizer() if section == "ModelContext" else words_tokenizer()
    scope: Scope = {"model": model(family), "tokenizer": tokenizer, "text": TEXT}
    exec(setup(section), scope)
    other = model_context_scope() if section == "ModelContext" else transformer_lens_scope(family)
    verdict = same.split(", ")[0 if family == "gpt2" else -1]
    if verdict == "none":
        with pytest.raises(AttributeError):
            run(theirs, other)
        with pytest.raises(AttributeError):
            run(ours, scope)
        return
    right = run(ours, scope)
    assert right is not None
    if verdict == "ours":
        return
    assert all(part.isfinite().all() for part in parts(right))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs, of `Vh`
        left = run(theirs, other)
    assert VERDICTS[verdict](left, right), (left, right)


def transformer_lens_scope(family: str) -> Scope:
    from transformer_lens import FactoredMatrix as TheirFactoredMatrix
    from transformer_lens.utilities import composition_scores

    bridge = lens(family)
    OV, QK = bridge.OV[1, 2], bridge.QK[1, 2]
    with torch.no_grad():
        _, theirs = bridge.run_with_cache(torch.tensor([[3, 8, 5, 9, 11], [4, 4, 7, 12, 6]]))
    group = 2 * bridge.cfg.n_key_value_heads // bridge.cfg.n_heads if bridge.cfg.n_key_value_heads else 2
    return {
        "torch": torch, "bridge": bridge, "theirs": theirs, "group": group, "svd": interpreter(bridge),
        "OV": OV, "QK": QK, "FactoredMatrix": TheirFactoredMatrix, "composition_scores": composition_scores,
    }  # fmt: skip


def test_every_kind_of_verdict_is_on_the_page() -> None:
    verdicts = {word for rows in tables().values() for row in rows for word in row[2].replace(",", "").split()}
    assert verdicts >= {*VERDICTS, "ours", "none"}
    assert sum(map(len, tables().values())) > 60


# ---- what same means


def parts(value: Any) -> list[torch.Tensor]:
    if isinstance(value, tuple | list) and not all(isinstance(one, int | str) for one in value):
        return [part for one in value for part in parts(one)]
    if hasattr(value, "AB"):
        return [value.AB]
    if isinstance(value, torch.Tensor):
        return [value.detach()]
    try:
        return [torch.as_tensor(value, dtype=torch.float64)]
    except (ValueError, TypeError):
        return [torch.tensor([float(byte) for byte in str(value).encode()])]


def close(left: torch.Tensor, right: torch.Tensor, digits: float = 3e-5) -> bool:
    """To single precision, in which TransformerLens computes."""
    if left.shape != right.shape:
        return False
    wide = torch.complex128 if left.is_complex() else torch.float64
    a, b = left.to(wide), right.to(wide)
    return bool((a - b).abs().max() <= digits * a.abs().max()) if a.numel() else True


def equal(left: Any, right: Any) -> bool:
    a, b = parts(left), parts(right)
    return len(a) == len(b) and all(map(close, a, b))


def up_to_sign(left: Any, right: Any) -> bool:
    return len(parts(left)) == len(parts(right)) and all(map(directions_agree, parts(left), parts(right)))


def directions_agree(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether rows, or columns, are equal up to the sign of each, and to what single precision makes of small gaps."""
    if left.shape != right.shape:
        return False
    a, b = left.double(), right.double()
    if a.ndim == 1:
        return close(a, b)
    axes = [axis for axis in (-1, -2, 0) if a.shape[axis] > 1]
    return any(close(a, b * (a * b).sum(axis, keepdim=True).sign(), 1e-3) for axis in axes)


def reordered(left: torch.Tensor, right: torch.Tensor) -> bool:
    """The same numbers, whatever their order."""
    far = (left.to(torch.complex128)[:, None] - right.to(torch.complex128)).abs()
    return len(left) == len(right) and bool(max(far.amin(0).max(), far.amin(1).max()) < 1e-4 * right.abs().max())


VERDICTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": equal,
    "±": up_to_sign,
    "≠": lambda left, right: not up_to_sign(left, right),
    "reordered": reordered,
}


def w_in_read_outs(layer: int, centered: bool) -> torch.Tensor:
    """The first three directions that GPT-2's W_in reads, with the gain of ln2, by dense float64: `[d_vocab, 3]`."""
    weights = hg.Weights(model("gpt2"), dtype=torch.float64)
    matrix = weights["ln2.w"][layer][:, None] * weights.W_in[layer]
    if centered:
        matrix = matrix - matrix.mean(0)
    return (torch.linalg.svd(matrix)[0][:, :3].T @ weights.W_U).T


def off(theirs: torch.Tensor, right: torch.Tensor) -> float:
    """How far the read-outs of directions are from the right ones, in the norm of these, whatever their signs."""
    a, b = theirs.reshape(right.shape).double(), right.double()
    return float(((a * (a * b).sum(0).sign() - b).norm(dim=0) / b.norm(dim=0)).max())


# ---- SVDInterpreter, where it is right


@pytest.mark.parametrize("family", [*FAMILIES, "gemma2", "gpt_neox", "qwen3", "bloom", "phi3"])
def test_ov_and_w_out_of_svd_interpreter_are_the_raw_ones_here(family: str) -> None:
    svd, weights = interpreter(lens(family)), hg.Weights(model(family))
    for layer in range(weights.stack.n_layers):
        mlp = hg.summarize(model(family), f"l{layer} mlp", ln="raw", k=3)
        assert off(svd.get_singular_vectors("w_out", layer, 3), (mlp.w_out.writes @ weights.W_U.double()).T) < 1e-4
        for head in range(weights.stack.n_heads):
            ours = hg.summarize(model(family), f"l{layer}h{head}", ln="raw", k=3, pairs=0)
            theirs = svd.get_singular_vectors("OV", layer, 3, head)
            assert off(theirs, (ours.ov.writes @ weights.W_U.double()).T) < 1e-4


@pytest.mark.parametrize("family", [GROUPED, GEMMA, "gemma2", "qwen3", "phi3"])
def test_w_in_of_svd_interpreter_is_the_folded_one_of_rms_norms(family: str) -> None:
    svd, weights = interpreter(lens(family)), hg.Weights(model(family))
    for layer in range(weights.stack.n_layers):
        ours = hg.summarize(model(family), f"l{layer} mlp", k=3).w_in.reads
        assert off(svd.get_singular_vectors("w_in", layer, 3), (ours @ weights.W_U.double()).T) < 1e-4


def processed(family: str) -> Any:
    bridge = bridged(fresh(family))
    bridge.enable_compatibility_mode(disable_warnings=True)
    return interpreter(bridge)


def through_the_final_norm(family: str, directions: torch.Tensor) -> torch.Tensor:
    """Read-outs as of a processed model, whose unembedding has the final norm in it and no mean over the tokens."""
    found = Norms(hg.Weights(model(family))).final().fold(hg.Weights(model(family), dtype=torch.float64).W_U)
    return (directions @ (found - found.mean(1, keepdim=True))).T


def test_svd_interpreter_on_processed_weights_is_the_folded_summary_of_stored_ones() -> None:
    svd = processed(GROUPED)
    for layer, head in ((0, 1), (1, 2), (2, 5)):
        head_ours = hg.summarize(model(GROUPED), f"l{layer}h{head}", k=3, pairs=0).ov
        theirs = svd.get_singular_vectors("OV", layer, 3, head)
        assert off(theirs, through_the_final_norm(GROUPED, head_ours.writes)) < 1e-4
        mlp = hg.summarize(model(GROUPED), f"l{layer} mlp", k=3)
        for which, ours in (("w_in", mlp.w_in.reads), ("w_out", mlp.w_out.writes)):
            assert off(svd.get_singular_vectors(which, layer, 3), through_the_final_norm(GROUPED, ours)) < 1e-4


def test_processing_of_layer_norm_models_centers_what_heads_write_as_well() -> None:
    svd = processed("gpt2")
    ov = Circuits(hg.Weights(model("gpt2"), dtype=torch.float64)).head("ov", 1, 2)
    theirs = svd.get_singular_vectors("OV", 1, 3, 2)
    centered = FactoredMatrix(ov.A, ov.B - ov.B.mean(-1, keepdim=True)).svd(3)[2]
    assert off(theirs, through_the_final_norm("gpt2", centered)) < 1e-4
    assert 1e-3 < off(theirs, through_the_final_norm("gpt2", ov.svd(3)[2])) < 0.2
    ours = hg.summarize(model("gpt2"), "l1 mlp", k=3).w_in.reads
    assert off(svd.get_singular_vectors("w_in", 1, 3), through_the_final_norm("gpt2", ours)) < 1e-4


# ---- SVDInterpreter, where it is not right: each number is on the page


def turned() -> transformers.PreTrainedModel:
    """GPT-2 as it was, with every head's values in another basis: W_V R and R^T W_O."""
    found = fresh("gpt2")
    weights, generator = hg.Weights(found), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in range(3):
            for head in range(4):
                R = torch.linalg.qr(torch.randn(7, 7, generator=generator))[0]
                weights.W_V[layer, head].copy_(weights.W_V[layer, head] @ R)
                weights.W_O[layer, head].copy_(R.T @ weights.W_O[layer, head])
    return found


def test_signs_of_svd_interpreter_flip_with_the_basis_of_a_head() -> None:
    models, svds = (model("gpt2"), turned()), (interpreter(lens("gpt2")), interpreter(bridged(turned())))
    flipped, unlike = 0, 0
    for layer in range(3):
        for head in range(4):
            left, right = (svd.get_singular_vectors("OV", layer, 7, head)[:, 0] for svd in svds)
            flips = (left * right).sum(0) < 0
            flipped += int(flips.sum())
            for i in flips.nonzero()[:, 0].tolist():
                unlike += not set(left[:, i].topk(5).indices.tolist()) & set(right[:, i].topk(5).indices.tolist())
            ours, same = (hg.summarize(one, f"l{layer}h{head}", ln="raw", k=7, pairs=0).ov for one in models)
            assert ((ours.writes * same.writes).sum(1) > 0.99).all()
    assert 25 <= flipped <= 59, "about half of 84"
    assert unlike == flipped


def with_equal_singular_values(seed: int) -> transformers.PreTrainedModel:
    """OV of l1h2 has the singular values 5, 5, 3, 2, ... and noise of 1e-6."""
    found, generator = fresh("gpt2"), torch.Generator().manual_seed(3)
    U, V = (torch.linalg.qr(torch.randn(28, 7, generator=generator))[0] for _ in range(2))
    noise = 1e-6 * torch.randn(28, 7, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        hg.Weights(found).W_V[1, 2].copy_(U * torch.tensor([5, 5, 3, 2, 1.5, 1, 0.5]) + noise)
        hg.Weights(found).W_O[1, 2].copy_(V.T)
    return found


def test_svd_interpreter_does_not_say_that_equal_directions_are_arbitrary() -> None:
    models = [with_equal_singular_values(seed) for seed in (1, 2)]
    ours = [hg.summarize(one, "l1h2", ln="raw", k=4, pairs=0).ov for one in models]
    assert [one.unclear.tolist() for one in ours] == [[True, True, False, False]] * 2
    left, right = (interpreter(bridged(one)).get_singular_vectors("OV", 1, 4, 2)[:, 0] for one in models)
    cosines = torch.nn.functional.cosine_similarity(left, right, dim=0).abs()
    assert (cosines[:2] < 0.5).all()
    assert (cosines[2:] > 0.9999).all()


def test_svd_interpreter_leaves_the_norms_around_ov_out() -> None:
    """On the model that ships: which 20 tokens the first direction of each head raises and lowers most."""
    trained, shared = hg.demo()[0].float(), 0
    svd = interpreter(bridged(hg.demo()[0].float()))
    for layer in range(2):
        for head in range(4):
            raw, folded = (
                hg.summarize(trained, f"l{layer}h{head}", ln=ln, k=1, pairs=0).ov for ln in ("raw", "folded")
            )
            assert not raw.unclear[0]
            assert not folded.unclear[0]
            ours, same = (
                {*one.write_tokens.ids[0].tolist(), *one.write_tokens.bottom_ids[0].tolist()} for one in (folded, raw)
            )
            logits = svd.get_singular_vectors("OV", layer, 1, head)[:, 0, 0]
            theirs = {*logits.topk(10).indices.tolist(), *logits.topk(10, largest=False).indices.tolist()}
            assert theirs == same
            shared += len(theirs & ours)
    assert 60 < shared < 130, "of 160"


def test_w_in_of_svd_interpreter_is_not_centered() -> None:
    svd = interpreter(lens("gpt2"))
    for layer in range(3):
        theirs = svd.get_singular_vectors("w_in", layer, 3)
        assert off(theirs, w_in_read_outs(layer, centered=False)) < 1e-4
        right = w_in_read_outs(layer, centered=True)
        assert 0.2 < off(theirs, right) < 0.9
        ours = hg.summarize(model("gpt2"), f"l{layer} mlp", k=3).w_in.reads
        assert off((ours @ hg.Weights(model("gpt2")).W_U.double()).T, right) < 1e-4


def test_what_w_in_reads_here_is_what_moves_the_models_own_neurons() -> None:
    """The judge of the above: ln2 and c_fc themselves, moved along a direction, at the same scale of the norm."""
    block = fresh("gpt2").double().transformer.h[1]
    direction = hg.summarize(model("gpt2"), "l1 mlp", k=1).w_in
    x = torch.randn(5, 28, dtype=torch.float64)
    x = x - direction.reads[0] * (x @ direction.reads[0])[:, None]
    with torch.no_grad():
        scale = x.std(-1, correction=0, keepdim=True)
        step = 1e-6 * scale * direction.reads[0]
        moved = (block.mlp.c_fc(block.ln_2(x + step)) - block.mlp.c_fc(block.ln_2(x - step))).norm(dim=-1) / 2e-6
    # the direction has no mean and x no part along it, so that the norm's scale stays as it is
    assert (moved / direction.singular_values[0] - 1).abs().max() < 1e-5


def test_svd_interpreter_gives_directions_that_are_not_there() -> None:
    svd, weights = interpreter(lens("gpt2")), hg.Weights(model("gpt2"), dtype=torch.float64)
    theirs = svd.get_singular_vectors("w_in", 0, 28)[:, 0].double()
    directions = torch.linalg.lstsq(weights.W_U.T, theirs).solution
    read = ((weights["ln2.w"][0][:, None] * weights.W_in[0]).T @ directions).norm(dim=0)
    assert (read[22:] < 1e-6 * read[0]).all()
    assert (read[:22] > 1e-4 * read[0]).all()
    with pytest.raises(ValueError, match="k can be 1 to 22"):
        hg.summarize(model("gpt2"), "l0 mlp", k=28)


def test_svd_interpreter_mixes_old_and_new_weights() -> None:
    bridge = bridged(fresh(GROUPED))
    svd, weights = interpreter(bridge), hg.Weights(bridge)
    torch.manual_seed(1)
    old_values = weights.W_V[1, 2].clone()
    with torch.no_grad():
        for parameter in bridge.parameters():
            parameter.normal_(0, 0.3)
    right = interpreter(bridge).get_singular_vectors("OV", 1, 3, 2)
    assert off(svd.get_singular_vectors("OV", 1, 3, 2), right) > 1
    mixed = torch.linalg.svd(old_values.double() @ weights.W_O[1, 2].double())[2][:3] @ weights.W_U.double()
    assert off(svd.get_singular_vectors("OV", 1, 3, 2), mixed.T) < 1e-4
    ours = hg.summarize(bridge, "l1h2", ln="raw", k=3, pairs=0).ov.writes
    assert off((ours @ weights.W_U.double()).T, right) < 1e-4


def test_svd_interpreter_leaves_the_norm_after_a_block_out() -> None:
    svd, weights = interpreter(lens("gemma2")), hg.Weights(model("gemma2"), dtype=torch.float64)
    errors = []
    for layer in range(3):
        written = weights.W_out[layer] * (1 + weights["ln2_post.w"][layer])
        right = (torch.linalg.svd(written)[2][:3] @ weights.W_U).T
        errors.append(off(svd.get_singular_vectors("w_out", layer, 3), right))
        ours = hg.summarize(model("gemma2"), f"l{layer} mlp", k=3).w_out.writes
        assert off((ours @ weights.W_U).T, right) < 1e-4
    assert min(errors) > 0.5


def test_svd_interpreter_reads_other_heads_of_falcon_40b() -> None:
    """Which rows are values is asked of the model: with one token to attend to, a head's z is its value."""
    family = "falcon-40b"
    svd, weights = interpreter(lens(family)), hg.Weights(model(family))
    wrong = []
    for layer in range(3):
        for head in range(6):
            ov = weights.W_OV[layer, head]
            right = (ov.svd(3)[2] @ weights.W_U.double()).T
            wrong.append(off(svd.get_singular_vectors("OV", layer, 3, head), right) > 0.1)
    assert wrong == [True, True, True, False, False, False] * 3
    read: list[torch.Tensor] = []
    attention = model(family).transformer.h[0].self_attention
    handle = attention.query_key_value.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    with torch.no_grad(), hg.record(model(family), "l0h1") as cache:
        model(family)(torch.tensor([[5]]))
    handle.remove()
    torch.testing.assert_close(cache["l0h1"][0, 0], read[0][0, 0] @ weights.W_V[0, 1], rtol=1e-4, atol=1e-4)


def test_experts_are_refused_by_svd_interpreter_and_summarized_here() -> None:
    svd, weights = interpreter(lens("mixtral")), hg.Weights(model("mixtral"), dtype=torch.float64)
    for which in ("w_in", "w_out"):
        with pytest.raises(NotImplementedError, match="Sparse MoE layers require"):
            svd.get_singular_vectors(which, 0, 3)
    ours = hg.summarize(model("mixtral"), "l0e3", ln="raw", k=3).w_out
    _, S, Vh = torch.linalg.svd(weights["expert.W_out"][0, 3], full_matrices=False)
    torch.testing.assert_close(ours.singular_values, S)
    torch.testing.assert_close((ours.writes * Vh[:3]).sum(1).abs(), torch.ones(3, dtype=torch.float64))


def test_svd_interpreter_has_no_w_gate() -> None:
    with pytest.raises(Exception, match="w_gate"):
        interpreter(lens(GROUPED)).get_singular_vectors("w_gate", 0, 3)
    weights = hg.Weights(model(GROUPED), dtype=torch.float64)
    gate = weights["ln2.w"][0][:, None] * weights.W_gate[0]
    ours = hg.summarize(model(GROUPED), "l0 mlp").w_gate
    assert ours is not None
    torch.testing.assert_close(ours.singular_values, torch.linalg.svdvals(gate), rtol=1e-5, atol=1e-6)


def test_factored_matrix_of_transformer_lens_loses_digits_where_this_one_does_not() -> None:
    from transformer_lens import FactoredMatrix as TheirFactoredMatrix

    generator = torch.Generator().manual_seed(0)

    def orthonormal(n: int, k: int) -> torch.Tensor:
        return torch.linalg.qr(torch.randn(n, k, generator=generator, dtype=torch.float64))[0]

    spectrum = torch.logspace(0, -math.log10(1.5e5), 64, dtype=torch.float64)
    A, B = (orthonormal(300, 64) * spectrum @ orthonormal(64, 64)).float(), orthonormal(300, 64).T.float()
    exact = torch.linalg.svdvals(A.double() @ B.double())[:64]
    assert ((TheirFactoredMatrix(A, B).S - exact).abs() / exact).max() > 3e-5
    assert ((FactoredMatrix(A, B).singular_values() - exact).abs() / exact).max() < 1e-9

    A, B = (torch.randn(*shape, generator=generator).bfloat16() for shape in ((300, 64), (64, 300)))
    exact = A.double() @ B.double()
    assert (TheirFactoredMatrix(A, B).AB.double() - exact).norm() > 1e-3 * exact.norm()
    assert (FactoredMatrix(A, B).dense().double() - exact).norm() < 1e-6 * exact.norm()
    values = torch.linalg.eigvals(B.double() @ A.double())
    for found, low, high in (
        (TheirFactoredMatrix(A, B).eigenvalues, 1e-3, 1e-2),
        (FactoredMatrix(A, B).eigenvalues(), 0, 1e-9),
    ):
        far = (found.to(torch.complex128)[:, None] - values).abs().amin(1).max() / values.abs().max()
        assert low <= far < high


# ---- ModelContext


TEXT = " the other in a her naïve ☃<|endoftext|>"
RECORDED = [258, 32, 111, 256, 260, 32, 259, 262, 32, 104, 260, 32, 110, 97, 195, 175, 118, 101, 32, 226, 152, 131, 263]
"""What the original makes of the text: tiktoken with a token for each byte, and then those of MERGES."""

MERGES = [("t", "h"), ("Ġ", "th"), ("Ġth", "e"), ("i", "n"), ("e", "r"), ("h", "e"), ("Ġ", "a")]


def words_tokenizer() -> Any:
    """As many tokens as the models of `tiny` have."""
    from tokenizers import Tokenizer, models

    vocabulary = {f"word{i}": i for i in range(31)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="word0"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="word0")


@functools.cache
def bytes_tokenizer() -> Any:
    """A byte-level tokenizer of transformers with the tokens that the recording has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    vocabulary = {letters[byte]: byte for byte in range(256)}
    vocabulary |= {left + right: 256 + i for i, (left, right) in enumerate(MERGES)}
    tokenizer = Tokenizer(models.BPE(vocabulary, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )


class Context:
    """What ModelContext's source says, in torch: pieces of the folder, split into heads and turned.

    `SOURCES`: location -> the piece, the axis that is split into heads, its einsum, the dimensions of the result.
    """

    SOURCES: ClassVar[dict[str, tuple[str, int | None, str, str]]] = {
        "MLP_TO_HIDDEN": ("mlp.in_layer.weight", None, "hr->rh", "RESIDUAL_STREAM_CHANNELS MLP_ACTS"),
        "MLP_TO_RESIDUAL": ("mlp.out_layer.weight", None, "rh->hr", "MLP_ACTS RESIDUAL_STREAM_CHANNELS"),
        "EMBEDDING": ("tok_embed.weight", None, "", "VOCAB_SIZE RESIDUAL_STREAM_CHANNELS"),
        "UNEMBEDDING": ("unembed.weight", None, "vr->rv", "RESIDUAL_STREAM_CHANNELS VOCAB_SIZE"),
        "POSITION_EMBEDDING": ("pos_embed.weight", None, "", "MAX_CONTEXT_LENGTH RESIDUAL_STREAM_CHANNELS"),
        "ATTN_TO_QUERY": ("q_proj.weight", 0, "hqr->hrq", "ATTN_HEADS RESIDUAL_STREAM_CHANNELS QUERY_AND_KEY_CHANNELS"),
        "ATTN_TO_KEY": ("k_proj.weight", 0, "hkr->hrk", "ATTN_HEADS RESIDUAL_STREAM_CHANNELS QUERY_AND_KEY_CHANNELS"),
        "ATTN_TO_VALUE": ("v_proj.weight", 0, "hvr->hrv", "ATTN_HEADS RESIDUAL_STREAM_CHANNELS VALUE_CHANNELS"),
        "ATTN_TO_RESIDUAL": ("out_proj.weight", 1, "rhv->hvr", "ATTN_HEADS VALUE_CHANNELS RESIDUAL_STREAM_CHANNELS"),
        "LAYER_NORM_GAIN_FINAL": ("final_ln.weight", None, "", "RESIDUAL_STREAM_CHANNELS"),
        "LAYER_NORM_BIAS_FINAL": ("final_ln.bias", None, "", "RESIDUAL_STREAM_CHANNELS"),
        "LAYER_NORM_GAIN_PRE_ATTN": ("ln_1.weight", None, "", "RESIDUAL_STREAM_CHANNELS"),
        "LAYER_NORM_GAIN_PRE_MLP": ("ln_2.weight", None, "", "RESIDUAL_STREAM_CHANNELS"),
    }

    def __init__(self, model: transformers.GPT2LMHeadModel) -> None:
        config, body = model.config, model.transformer
        self.n_layers, self.n_attention_heads, self.n_neurons = config.n_layer, config.n_head, config.n_inner
        self.n_residual_stream_channels, self.n_context = config.n_embd, config.n_positions
        self.n_vocab = config.vocab_size
        self.pieces: dict[tuple[str, int | None], torch.Tensor] = {
            ("tok_embed.weight", None): body.wte.weight,
            ("pos_embed.weight", None): body.wpe.weight,
            ("unembed.weight", None): model.lm_head.weight,
            ("final_ln.weight", None): body.ln_f.weight,
            ("final_ln.bias", None): body.ln_f.bias,
        }
        for layer, block in enumerate(body.h):
            query, key, value = block.attn.c_attn.weight.T.chunk(3)  # nn.Linear's orientation, as their folder has it
            self.pieces |= {
                ("q_proj.weight", layer): query,
                ("k_proj.weight", layer): key,
                ("v_proj.weight", layer): value,
                ("out_proj.weight", layer): block.attn.c_proj.weight.T,
                ("mlp.in_layer.weight", layer): block.mlp.c_fc.weight.T,
                ("mlp.out_layer.weight", layer): block.mlp.c_proj.weight.T,
                ("ln_1.weight", layer): block.ln_1.weight,
                ("ln_2.weight", layer): block.ln_2.weight,
            }

    def get_weight(
        self, location: str, layer: int | None = None, normalize_dim: str | None = None, device: str | None = None
    ) -> torch.Tensor:
        piece, split, einsum, dimensions = self.SOURCES[location]
        weight = self.pieces[piece, layer].detach().to(device)
        if split is not None:
            weight = weight.unflatten(split, (self.n_attention_heads, -1))
        if einsum:
            weight = torch.einsum(einsum, weight)
        if normalize_dim is not None:
            weight = torch.nn.functional.normalize(weight, dim=dimensions.split().index(normalize_dim))
        assert weight.shape == self.get_shape_from_spec(dimensions.split())
        return weight

    def get_shape_from_spec(self, spec: list[str]) -> tuple[int, ...]:
        return tuple(self.get_dim_size(one) for one in spec)

    def get_dim_size(self, dimension: str) -> int:
        return {
            "MAX_CONTEXT_LENGTH": self.n_context,
            "RESIDUAL_STREAM_CHANNELS": self.n_residual_stream_channels,
            "VOCAB_SIZE": self.n_vocab,
            "ATTN_HEADS": self.n_attention_heads,
            "QUERY_AND_KEY_CHANNELS": self.n_residual_stream_channels // self.n_attention_heads,
            "VALUE_CHANNELS": self.n_residual_stream_channels // self.n_attention_heads,
            "MLP_ACTS": self.n_neurons,
        }[dimension]

    def encode(self, text: str) -> list[int]:
        return {TEXT: RECORDED, " the": [258], "in": [259]}[text]

    def decode(self, tokens: list[int]) -> str:
        return self._bytes(tokens).decode(errors="replace")

    def decode_token(self, token: int) -> str:
        return self.decode([token])

    def decode_token_list(self, tokens: list[int]) -> list[str]:
        return [self.decode_token(token) for token in tokens]

    def encode_token_str(self, text: str) -> int:
        (token,) = self.encode(text)
        return token

    def encode_token_str_list(self, texts: list[str]) -> list[int]:
        return [self.encode_token_str(text) for text in texts]

    @staticmethod
    def _bytes(tokens: list[int]) -> bytes:
        merged = [b"th", b" th", b" the", b"in", b"er", b"he", b" a", b"<|endoftext|>"]
        return b"".join(bytes([token]) if token < 256 else merged[token - 256] for token in tokens)


class Location(str):
    """A location, with the spelling of their enumeration."""

    @property
    def shape_spec(self) -> list[str]:
        return Context.SOURCES[self][3].split()


def get_unembedding_with_ln_gain(ctx: Context) -> torch.Tensor:
    return ctx.get_weight("UNEMBEDDING") * ctx.get_weight("LAYER_NORM_GAIN_FINAL")[:, None]


def model_context_scope() -> Scope:
    dimensions = {one for *_, spec in Context.SOURCES.values() for one in spec.split()}
    ctx = Context(model("gpt2"))
    return {
        "ctx": ctx,
        "text": TEXT,
        "W": SimpleNamespace(**{name: Location(name) for name in Context.SOURCES}),
        "D": SimpleNamespace(**{name: name for name in dimensions}),
        "get_unembedding_with_ln_gain": get_unembedding_with_ln_gain,
        "get_embedding": lambda ctx: ctx.get_weight("EMBEDDING"),
    }


def test_every_location_of_model_context_is_on_the_page() -> None:
    theirs = " ".join(row[0] for row in tables()["ModelContext"])
    assert set(re.findall(r"get_weight\(W\.(\w+)[,)]", theirs)) == set(Context.SOURCES)
    public = {name for name in vars(Context) if not name.startswith("_") and name != "SOURCES"}
    assert public <= set(re.findall(r"\bctx\.(\w+)", theirs))


def test_every_axis_that_model_context_normalizes_along_has_a_letter() -> None:
    letters = {"MAX_CONTEXT_LENGTH": "p", "RESIDUAL_STREAM_CHANNELS": "m", "VOCAB_SIZE": "v", "ATTN_HEADS": "n",
               "QUERY_AND_KEY_CHANNELS": "h", "VALUE_CHANNELS": "h", "MLP_ACTS": "f"}  # fmt: skip
    ctx, weights = Context(model("gpt2")), hg.Weights(model("gpt2"))
    lines = {one.group(1): row[1] for row in tables()["ModelContext"]
             if (one := re.fullmatch(r"`ctx\.get_weight\(W\.(\w+)(?:, 1)?\)`", row[0]))}  # fmt: skip
    assert set(lines) == set(Context.SOURCES)
    for location, (_, _, _, dimensions) in Context.SOURCES.items():
        role = re.sub(r'weights\[?\.?"?([\w.]+?)"?\]?(\[1\])?`?$', r"\1", lines[location].strip("`"))
        for layer in (0, 1, 2) if lines[location].endswith("[1]`") else (None,):
            torch.testing.assert_close(weights.read(role, layer), ctx.get_weight(location, layer), rtol=0, atol=0)
            for dimension in dimensions.split():
                letter = "g" if role in ("W_K", "W_V") and dimension == "ATTN_HEADS" else letters[dimension]
                ours = weights.read(role, layer, normalize=letter)
                torch.testing.assert_close(ours, ctx.get_weight(location, layer, normalize_dim=dimension))


def forward(weights: hg.Weights, tokens: torch.Tensor, biases: float) -> torch.Tensor:
    """GPT-2 by the page's lines alone; `biases` multiplies those that ModelContext has no location for."""

    def normed(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain + bias

    stream = weights.W_E[tokens] + weights.W_pos[: tokens.shape[-1]]
    later = torch.ones(tokens.shape[-1], tokens.shape[-1]).triu(1).bool()
    for layer in range(3):
        x = normed(stream, weights["ln1.w"][layer], biases * weights["ln1.b"][layer])
        Q, K, V = (
            torch.einsum("bpm,nmh->bnph", x, weights[f"W_{side}"][layer])
            + biases * weights[f"b_{side}"][layer][:, None]
            for side in "QKV"
        )
        scores = (Q @ K.mT / math.sqrt(Q.shape[-1])).masked_fill(later, -torch.inf)
        z = scores.softmax(-1) @ V
        stream = stream + torch.einsum("bnph,nhm->bpm", z, weights.W_O[layer]) + biases * weights.b_O[layer]
        x = normed(stream, weights["ln2.w"][layer], biases * weights["ln2.b"][layer])
        hidden = torch.nn.functional.gelu(x @ weights.W_in[layer] + biases * weights.b_in[layer], approximate="tanh")
        stream = stream + hidden @ weights.W_out[layer] + biases * weights.b_out[layer]
    return normed(stream, weights["ln_final.w"], weights["ln_final.b"]) @ weights.W_U


def test_the_lines_for_model_context_and_the_biases_are_the_whole_model() -> None:
    exact = model("gpt2")
    tokens = torch.randint(3, 26, (2, 11), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = exact(tokens).logits
    torch.testing.assert_close(forward(hg.Weights(exact), tokens, biases=1), logits, rtol=1e-4, atol=1e-4)
    without = forward(hg.Weights(exact), tokens, biases=0)
    assert (without - logits).norm() > 0.3 * logits.norm(), "as far as the thirteen locations go"


def test_the_unembedding_of_model_context_is_not_centered() -> None:
    """By the model's own final norm: a part of the stream along (1, ..., 1) changes no logit."""
    found, body = model("gpt2"), model("gpt2").transformer
    theirs, weights = get_unembedding_with_ln_gain(Context(found)), hg.Weights(found)
    ours = Norms(weights).final().fold(weights.W_U)
    x = torch.randn(4, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = found.lm_head(body.ln_f(x)) - found.lm_head(body.ln_f.bias)
        scale = (x.var(-1, correction=0, keepdim=True) + body.ln_f.eps).sqrt()
        same = found.lm_head(body.ln_f(x + 3)) - found.lm_head(body.ln_f.bias)
    torch.testing.assert_close(same, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close((x + 3) @ ours / scale, logits, rtol=1e-4, atol=1e-4)
    assert ((x + 3) @ theirs / scale - logits).norm() > 0.3 * logits.norm()
    assert (ours - theirs).norm() > 0.1 * theirs.norm()


# ---- compatibility mode


def test_compatibility_mode_changes_what_the_shipped_model_computes() -> None:
    """The loss on the second copy and the log-probabilities, as the model, its bridge and the modes of it give them."""
    original, tokenizer = hg.demo()
    ids = repeated_tokens(tokenizer, n=64)

    def log_probabilities(settings: dict[str, bool] | None) -> torch.Tensor:
        bridge = bridged(hg.demo()[0])
        if settings is not None:
            bridge.enable_compatibility_mode(disable_warnings=True, **settings)
        with torch.no_grad():
            return bridge(ids).log_softmax(-1)

    def second_copy(log_p: torch.Tensor) -> float:
        return -float(log_p[:, :-1].gather(-1, ids[:, 1:, None])[:, 51:].mean())

    with torch.no_grad():
        right = original(ids).logits.log_softmax(-1)
    for settings in (None, {"no_processing": True}, {"fold_ln": False}):
        assert (log_probabilities(settings) - right).abs().max() < 1e-3
    changed = log_probabilities({})
    assert 19 < (changed - right).abs().max() < 20
    assert round(second_copy(right), 2) == 0.08
    assert round(second_copy(changed), 2) == 0.62


# ---- other libraries in the same notebook


def loss_of_second_copy(logits: torch.Tensor, ids: torch.Tensor) -> float:
    log_p = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])
    return -float(log_p[:, ids.shape[1] // 2 :].mean())


def test_a_slice_after_the_projection_is_no_head() -> None:
    """nnsight's documented ablation, and the one that `Selection.code` writes, beside a hook of the model's own."""
    NNsight = pytest.importorskip("nnsight", reason="nnsight is not installed: pip install nnsight").NNsight
    model, tokenizer = hg.demo()
    ids = repeated_tokens(tokenizer, n=4, length=12)

    def without_columns(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0].clone().index_fill_(-1, torch.arange(48, 72), 0),)

    with torch.no_grad():
        whole = model(ids).logits
        hook = model.transformer.h[1].attn.c_proj.register_forward_pre_hook(without_columns)
        right = model(ids).logits
        hook.remove()
    wrapped = NNsight(hg.demo()[0])
    with torch.no_grad():
        with wrapped.trace(ids):
            wrapped.transformer.h[1].attn.output[0][:, :, 48:72] = 0
            after = wrapped.output.logits.save()
        with wrapped.trace(ids):
            x = wrapped.transformer.h[1].attn.c_proj.input.clone()
            x[..., 48:72] = 0
            wrapped.transformer.h[1].attn.c_proj.input = x
            before = wrapped.output.logits.save()
    torch.testing.assert_close(before, right)
    found = [round(loss_of_second_copy(logits, ids), 1) for logits in (whole, right, after)]
    assert found == [0.8, 6.1, 0.7]


def test_sdpa_returns_no_attentions_and_attention_has_them() -> None:
    model, tokenizer = hg.demo()
    ids = repeated_tokens(tokenizer, n=2, length=6)
    with torch.no_grad():
        theirs = model(ids, output_attentions=True).attentions
        model.set_attn_implementation("sdpa")
        assert model(ids, output_attentions=True).attentions == ()
    ours = hg.attention(model, hg.Task(tokenizer, ids), "l0h3 | l1h2").pattern
    torch.testing.assert_close(ours["l1h2"], theirs[1][:, 2])
    torch.testing.assert_close(ours["l0h3"], theirs[0][:, 3])


def test_a_bridge_renames_the_parameters_of_the_model_that_it_is_put_around() -> None:
    model = hg.demo()[0]
    before = {name for name, _ in model.named_parameters()}
    masks = hg.dissect(model).select("l1").masks()
    bridged(model)
    after = {name for name, _ in model.named_parameters()}
    assert masks.keys() <= before
    assert not masks.keys() & after


# ---- the page and its tests


def test_every_test_that_the_page_names_is_here() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 8
    assert named <= set(globals())
