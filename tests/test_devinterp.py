"""The hand-off: devinterp's restricted sampling takes `grid.masks` and moves nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import transformers
from transformers import PreTrainedModel

import headgrid as hg
from headgrid.anatomy.roles import ROLES
from headgrid.demo import repeated_tokens
from headgrid.selection.masks import ParamMasks

pytestmark = pytest.mark.slow

llc = pytest.importorskip("devinterp.slt.llc", reason="devinterp is not installed: pip install 'headgrid[devinterp]'")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def demo() -> tuple[PreTrainedModel, Any]:
    return hg.demo()


@pytest.fixture(scope="module")
def dataset(demo: tuple[PreTrainedModel, Any]) -> Any:
    rows = repeated_tokens(demo[1], n=32, length=20)
    return datasets.Dataset.from_dict({"input_ids": rows.tolist()}).with_format("torch")


def sample(model: PreTrainedModel, dataset: Any, masks: ParamMasks) -> tuple[float, dict[str, torch.Tensor]]:
    """The restricted LLC, and which entries of each parameter the sampler moved."""
    sampled: list[dict[str, torch.Tensor]] = []

    def keep(module: PreTrainedModel, *_: object) -> None:
        # the sampler works on a copy of the model: its weights are read while it runs the forward pass
        sampled.append({name: parameter.detach().clone() for name, parameter in module.named_parameters()})

    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    watched = copy.deepcopy(model)
    watched.register_forward_hook(keep)
    result = llc.llc(
        watched, dataset, {}, param_masks=masks, lr=1e-4, n_beta=30.0, localization=100.0, num_chains=1, num_draws=6,
        batch_size=8, num_init_loss_batches=6, device="cpu",
    )  # fmt: skip
    moved = {name: torch.zeros_like(value, dtype=torch.bool) for name, value in before.items()}
    for state in sampled:
        for name, value in state.items():
            moved[name] |= value != before[name]
    return float(np.asarray(result["llc_mean"])), moved


@pytest.mark.parametrize("text", ["l1h2", "l0h1.qk | l1 mlp n3-9 | l1 ln2"])
def test_only_the_masked_entries_are_sampled(demo: tuple[PreTrainedModel, Any], dataset: Any, text: str) -> None:
    model, tokenizer = demo
    grid = hg.HeadGrid(model, tokenizer, select=text)
    estimate, moved = sample(model, dataset, grid.masks)
    assert np.isfinite(estimate)
    masks = grid.masks
    for name, entries in moved.items():
        mask = masks.get(name, torch.tensor(False))
        assert mask is None or not (entries & ~mask).any(), f"{name} moved outside its mask"
    assert sum(int(entries.sum()) for entries in moved.values()) == grid.selection.n_params, "all that is masked moves"


def test_the_masks_are_devinterps_own_for_the_same_head(demo: tuple[PreTrainedModel, Any]) -> None:
    from devinterp.slt.weight_restrictions import create_param_masks

    model, _ = demo
    anatomy = hg.dissect(model)
    for layer in range(anatomy.n_layers):
        for head in range(anatomy.n_heads):
            theirs = create_param_masks(model, [f"l{layer}h{head}"])
            ours = anatomy.select(f"l{layer}h{head}").masks()
            assert list(ours) == list(theirs)
            assert all(torch.equal(mask, theirs[name]) for name, mask in ours.items())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_devinterps_masks_of_every_head_are_judged(family: str, record_property: Callable[[str, object], None]) -> None:
    """Its verdict stands in docs/families.md; where it is right, ours are the same."""
    model = tiny.model(family)
    verdict = judged(model, hg.dissect(model))
    record_property("devinterp", verdict)
    assert verdict.split(":")[0] in ("right", "incomplete", "wrong", "refused")


ALONE = {
    "Bart": {}, "MBart": {}, "Pegasus": {}, "TrOCR": {}, "Blenderbot": {}, "PLBart": {},
    "Whisper": {"max_target_positions": 19},
}  # fmt: skip
"""Decoders that can attend to an encoder, and stand alone as causal models -> what else their config wants."""


@pytest.mark.parametrize("name", ALONE)
def test_devinterps_words_select_the_same_in_a_decoder_that_stands_alone(name: str) -> None:
    from devinterp.slt.weight_restrictions import create_param_masks

    model = getattr(transformers, f"{name}ForCausalLM")(
        getattr(transformers, f"{name}Config")(
            vocab_size=31, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=20, decoder_ffn_dim=20, max_position_embeddings=19,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2, **ALONE[name],
        )
    )  # fmt: skip
    anatomy = hg.dissect(model)
    pieces = ["", " attn", " mlp", *(f"{kind}{i}" for kind in "hg" for i in range(4))]
    for word in ["full", "embed", *(f"l{layer}{piece}" for layer in range(2) for piece in pieces)]:
        theirs, selection = create_param_masks(model, word), anatomy.select(word)
        ours = selection.masks()
        for parameter in theirs:
            shape = model.get_parameter(parameter).shape
            assert not (dense(theirs, parameter, shape) & ~dense(ours, parameter, shape)).any(), (word, parameter)
        if word in ("full", "l0", "l1"):
            assert ours == theirs, "a whole layer has its attention to the encoder in it"
        assert anatomy.select(str(selection)) == selection
    assert anatomy.select("unembed").masks() == {tied(model): None}
    for words in ("l0 - cross l0", "l0h1 | l1", "~l0"):
        assert anatomy.select(str(anatomy.select(words))) == anatomy.select(words)


def tied(model: PreTrainedModel) -> str:
    """The name under which the unembedding stands among the parameters."""
    weight = model.get_output_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is weight)


def judged(model: PreTrainedModel, anatomy: hg.Anatomy) -> str:
    """What devinterp's masks of single heads are, beside ours, of the main stack: all heads of all layers."""
    from devinterp.slt.weight_restrictions import create_param_masks

    stack = anatomy.main
    before = f"{stack.name} " if stack.name else ""
    wrong: set[str] = set()
    missing: set[str] = set()
    for layer in range(stack.n_layers):
        if ("W_O", layer) not in stack.places:
            continue
        for head in range(stack.n_heads):
            try:
                theirs = create_param_masks(model, [f"l{layer}h{head}"])
            except Exception as error:
                return f"refused: {type(error).__name__}"
            ours = anatomy.select(f"{before}l{layer}h{head}").masks()
            for name in {*theirs, *ours}:
                shape = model.get_parameter(name).shape
                a, b = (dense(masks, name, shape) for masks in (theirs, ours))
                if (a & ~b).any():
                    wrong.add(name)
                if (b & ~a).any():
                    missing.add(name)
    if wrong:
        return f"wrong: {roles(anatomy, wrong)} of another head"
    return f"incomplete: without {roles(anatomy, missing)}" if missing else "right"


def dense(masks: ParamMasks, name: str, shape: torch.Size) -> torch.Tensor:
    mask = masks.get(name, torch.tensor(False)) if name in masks else torch.tensor(False)
    return torch.ones(shape, dtype=torch.bool) if mask is None else mask.cpu().expand(shape)


def roles(anatomy: hg.Anatomy, names: set[str]) -> str:
    """The roles that lie in these parameters, each once."""
    found = {slot.role for name in names for slot in anatomy.slots_of[name]}
    return ", ".join(f"`{role}`" for role in sorted(found, key=list(ROLES).index))
