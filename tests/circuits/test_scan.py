"""Every head's numbers beside those of the dense d_model x d_model circuits in float64, for every family."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.circuits.factors import Circuits
from headgrid.circuits.progress import Cancelled
from headgrid.circuits.scan import scan
from headgrid.circuits.tokens import Vocabulary
from headgrid.weights import Weights

GROUPED = "llama with grouped-query attention"  # 3 layers, 6 heads in 2 groups of 10, d_model 48


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_number_of_a_scan_is_that_of_the_dense_circuit(family: str) -> None:
    model = tiny.model(family)
    for stack in tiny.anatomy(family).stacks:
        if not stack.n_heads:
            continue
        weights = Weights(model, stack=stack.name)
        for ln in ("raw", "folded"):
            found, circuits, vocabulary = scan(weights, ln=ln), Circuits(weights, ln), Vocabulary(weights, ln=ln)
            for layer in range(stack.n_layers):
                if ("W_O", layer) not in stack.places:
                    assert found.ov.singular_values[layer].isnan().all()
                    continue
                for kind, spectra in (("ov", found.ov), ("qk", found.qk)):
                    heads = (circuits.head(kind, layer, head).dense() for head in range(stack.n_heads))
                    dense = torch.stack(list(heads))
                    values, got = torch.linalg.svdvals(dense), spectra.singular_values[layer]
                    largest, norms = values[:, :1], torch.linalg.matrix_norm(dense)
                    torch.testing.assert_close(got / largest, values[:, : got.shape[1]] / largest, rtol=1e-9, atol=1e-9)
                    torch.testing.assert_close(spectra.norm[layer], norms)
                    torch.testing.assert_close(spectra.stable_rank[layer], (norms / largest[:, 0]) ** 2)
                    if kind == "qk":
                        continue
                    if found.copying_score is None:
                        assert vocabulary.why_no_reads or vocabulary.why_no_writes
                        continue
                    full = torch.linalg.eigvals(dense @ vocabulary.W_UE().double())
                    scores = (full.sum(-1) / full.abs().sum(-1)).real
                    torch.testing.assert_close(found.copying_score[layer], scores, rtol=1e-4, atol=1e-4)


def test_raw_is_the_stored_weights_alone_and_folded_is_not() -> None:
    model = tiny.model(GROUPED)
    weights = Weights(model)
    raw, folded = scan(model, ln="raw"), scan(model)
    for head in range(6):
        ov = weights.W_V[1][head // 3] @ weights.W_O[1][head]
        qk = weights.W_Q[1][head] @ weights.W_K[1][head // 3].T
        torch.testing.assert_close(raw.ov.singular_values[1, head], torch.linalg.svdvals(ov)[:10])
        torch.testing.assert_close(raw.qk.singular_values[1, head], torch.linalg.svdvals(qk)[:10])
        gained = model.model.layers[1].input_layernorm.weight.detach()[:, None]
        torch.testing.assert_close(folded.ov.singular_values[1, head], torch.linalg.svdvals(gained * ov)[:10])
        scaled = gained * qk * gained.T * 10**-0.5
        torch.testing.assert_close(folded.qk.singular_values[1, head], torch.linalg.svdvals(scaled)[:10])
    assert (raw.ln, folded.ln) == ("raw", "folded")


def test_layers_without_heads_are_missing_and_the_notes_say_so() -> None:
    found = scan(tiny.model("jamba"))  # 4 layers, one of which has heads
    assert found.ov.singular_values.isnan().all(-1).all(-1).tolist() == [True, True, False, True]
    assert found.ov.stable_rank.isnan().tolist() == found.ov.norm.isnan().tolist()
    assert "3 layers have no heads: NaN stands there." in found.notes


def test_only_what_was_asked_for_is_there() -> None:
    found = scan(tiny.model("gpt2"), ("qk",))
    assert found.ov is None
    assert found.copying_score is None
    assert list(found.metrics()) == ["qk_norm", "qk_top", "qk_stable_rank", "qk_entropy_rank"]


def test_a_table_has_a_row_for_each_head() -> None:
    found = scan(tiny.model(GROUPED))
    table = found.to_dataframe()
    assert len(table) == 18
    row = table[(table.layer == 2) & (table["head"] == 4)].iloc[0]
    assert row.copying_score == float(found.copying_score[2, 4])
    assert row.qk_norm == float(found.qk.norm[2, 4])


def test_the_induction_head_of_the_shipped_model_copies_more_than_any_other() -> None:
    found = scan(hg.demo()[0])
    assert found.copying_score.argmax() == 1 * 4 + 2  # l1h2
    assert found.copying_score[1, 2] > 0.9


def test_progress_is_told_layer_by_layer_and_a_scan_can_be_stopped() -> None:
    told: list[tuple[int, int]] = []
    scan(tiny.model("gpt2"), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(Cancelled):
        scan(tiny.model("gpt2"), cancelled=lambda: True)


def test_a_model_without_an_unembedding_has_no_copying_score_and_says_why() -> None:
    body = tiny.model("gpt2").transformer
    found = scan(body)
    assert found.copying_score is None
    assert found.ov is not None
    assert any(note.startswith("There is no copying score.") for note in found.notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metrics": ("ov", "vq")}, "each of metrics is 'ov', 'qk' or 'copying', not 'vq'"),
        ({"ln": "fold"}, "fold"),
    ],
)
def test_bad_arguments_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        scan(tiny.model("gpt2"), **given)


def test_nan_is_refused_by_the_name_of_its_parameter() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.h[1].attn.c_proj.weight[3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"transformer\.h\.1\.attn\.c_proj\.weight"):
        scan(model)


def test_one_metric_is_a_word_and_several_are_anything_to_go_through() -> None:
    assert list(scan(tiny.model("gpt2"), "copying").metrics()) == ["copying_score"]
    assert list(scan(tiny.model("gpt2"), iter(("copying",))).metrics()) == ["copying_score"]
    with pytest.raises(ValueError, match="each of metrics is 'ov', 'qk' or 'copying', not 'everything'"):
        scan(tiny.model("gpt2"), "everything")


def test_weights_are_read_in_the_stack_that_is_asked_for() -> None:
    weights = Weights(tiny.model("t5"), stack="encoder")
    assert scan(weights).stack == "encoder"
    assert scan(weights, stack="cross").stack == "cross"


def test_notes_are_of_what_was_scanned() -> None:
    model = tiny.model(GROUPED)  # rotary positions, which OV does not have
    assert any("rotary" in note for note in scan(model, "qk").notes)
    assert not any("rotary" in note for note in scan(model, ("ov", "copying")).notes)
    assert any("bias of the unembedding" in note for note in scan(tiny.model("gptj"), "copying").notes)
