"""Law 4 and spectra over everything that PEFT has: right, refused with a reason, or doubted; nothing silent."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch import nn
from torch.nn.utils import parametrize, prune

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.circuits.factors import Circuits
from headgrid.weights import Weights

peft = pytest.importorskip("peft")
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING  # noqa: E402

pytestmark = pytest.mark.slow

GROUPED = "llama with grouped-query attention"

HEADS = {GROUPED: (1, 4), "gpt2": (1, 2), "qwen3_next": (1, 4)}
"""Family -> the head that is asked about: its layer has attention in each, and it shares its keys in two."""

PROJECTIONS = {
    GROUPED: ["q_proj", "k_proj", "v_proj", "o_proj"],
    "gpt2": ["c_attn", "c_proj"],
    "qwen3_next": ["q_proj", "k_proj", "v_proj", "o_proj"],
}

TINY: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10, "init_r": 4}, "OFT": {"r": 0, "oft_block_size": 2}, "BOFT": {"boft_block_size": 2},
    "IA3": {"feedforward_modules": []}, "FOURIERFT": {"n_frequency": 20}, "WAVEFT": {"n_frequency": 20},
    "C3A": {"block_size": 2}, "VBLORA": {"num_vectors": 10, "vector_length": 2, "topk": 2},
    "GRALORA": {"r": 2, "gralora_k": 2}, "MISS": {"r": 2}, "RANDLORA": {"r": 2}, "SHIRA": {"r": 2},
    "PSOFT": {"r": 2}, "ROAD": {"group_size": 2}, "MULTITASK_PROMPT_TUNING": {"num_tasks": 2}, "LORA": {"r": 5},
    "ADAPTION_PROMPT": {"adapter_len": 3, "adapter_layers": 2},
    "CPT": {"cpt_token_ids": [1, 2, 3], "cpt_mask": [1, 1, 1], "cpt_tokens_type_mask": [1, 1, 1]},
}  # fmt: skip
"""Settings that a model of a few entries needs."""

NAMES = sorted(str(one.value) for one in PEFT_TYPE_TO_CONFIG_MAPPING)

IMPOSSIBLE = (ImportError, NotImplementedError, TypeError, ValueError)
"""What PEFT raises where a tuner takes no such layer (few take GPT-2's Conv1D), or needs a package more."""


def settings_of(name: str, family: str) -> Any:
    kind = next(kind for one, kind in PEFT_TYPE_TO_CONFIG_MAPPING.items() if one.value == name)
    fields = kind.__dataclass_fields__
    settings: dict[str, Any] = {"task_type": "CAUSAL_LM", **TINY.get(name, {})}
    if name == "LN_TUNING":
        settings["target_modules"] = ["ln_1", "ln_f"] if family == "gpt2" else ["input_layernorm", "norm"]
    elif name == "TRAINABLE_TOKENS":
        settings |= {"token_indices": [1, 2], "target_modules": ["wte" if family == "gpt2" else "embed_tokens"]}
    elif "target_modules" in fields and name not in ("ADAPTION_PROMPT", "SHADOW"):
        settings["target_modules"] = PROJECTIONS[family]
    if "num_virtual_tokens" in fields:
        settings["num_virtual_tokens"] = 3
    return kind(**{key: value for key, value in settings.items() if key in fields})


def moved(model: Any) -> Any:
    """The model with every parameter that an adapter trains moved from where it begins, which is often zero."""
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=noise, dtype=torch.float64).to(parameter))
    return model.double().eval()


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tuned(name: str, family: str, **settings: Any) -> Any:
    with quiet():
        config = settings_of(name, family)
        for key, value in settings.items():
            setattr(config, key, value)
        model = peft.get_peft_model(tiny.fresh(family).float(), config)
        return moved(model)


# ---- the oracles


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    tasks = {}
    if str(getattr(getattr(model, "active_peft_config", None), "peft_type", "")).split(".")[-1] in (
        "POLY", "MULTITASK_PROMPT_TUNING",
    ):  # fmt: skip
        tasks = {"task_ids": torch.zeros(len(ids), dtype=torch.long)}
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids, **tasks).logits
    return found


def attention(model: Any, layer: int) -> Any:
    body = next(one for _, one in model.named_modules() if isinstance(one, transformers.PreTrainedModel))
    layers = next(
        one for name, one in body.named_modules() if isinstance(one, nn.ModuleList) and name.endswith(("layers", ".h"))
    )
    return layers[layer].attn if hasattr(layers[layer], "attn") else layers[layer].self_attn


def out_of(block: Any) -> nn.Module:
    return block.c_proj if hasattr(block, "c_proj") else block.o_proj  # type: ignore[no-any-return]


def hooked(model: Any, ids: torch.Tensor, layer: int, head: int, width: int) -> torch.Tensor:
    """The logits with what one head gives to the output projection zeroed, by a hook written by hand."""

    def zero(module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        z = given[0].clone()
        z[..., head * width : (head + 1) * width] = 0
        return (z, *given[1:])

    handle = out_of(attention(model, layer)).register_forward_pre_hook(zero)
    try:
        return logits(model, ids)
    finally:
        handle.remove()


def zeroed(model: Any, ids: torch.Tensor, masks: dict[str, Any]) -> torch.Tensor:
    """The logits with the masked entries set to zero; they are put back."""
    kept = {name: one.detach().clone() for name, one in model.named_parameters() if name in masks}
    with torch.no_grad():
        for name, one in model.named_parameters():
            if name in masks:
                one[torch.as_tensor(masks[name])] = 0
        found = logits(model, ids)
        for name, one in model.named_parameters():
            if name in masks:
                one.copy_(kept[name])
    return found


def acting(module: nn.Module, width: int) -> torch.Tensor:
    """The matrix `[in, out]` that a module is, asked of its forward pass alone."""
    with torch.no_grad():
        x = torch.zeros(1, width + 1, width, dtype=torch.float64)
        x[0, :width] = torch.eye(width, dtype=torch.float64)
        tasks = {"task_ids": torch.zeros(1, dtype=torch.long)} if ".poly." in type(module).__module__ else {}
        out = module(x, **tasks)[0]
        return out[:-1] - out[-1]


def ov_of(model: Any, anatomy: Anatomy, layer: int, head: int) -> torch.Tensor:
    """What one head's OV is, `[d_model, d_model]`, by what its projections do to unit vectors."""
    block, stack = attention(model, layer), anatomy.main
    h, m, kv = stack.d_head, stack.d_model, int(stack.kv_head_of[head])
    values = acting(block.c_attn, m)[:, 2 * m :] if hasattr(block, "c_attn") else acting(block.v_proj, m)
    V, out = values[:, kv * h : (kv + 1) * h], acting(out_of(block), stack.n_heads * h)
    return V @ out[head * h : (head + 1) * h]


IDS = torch.tensor([[3, 4, 5, 6, 7, 8], [9, 1, 2, 2, 3, 20]])


def outcome(model: Any, family: str) -> str:
    """`right`, `noted`, `doubted` or `refused`; it fails where numbers mislead and nothing says so."""
    layer, head = HEADS[family]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            anatomy = hg.dissect(model)
        except AnatomyError as fault:
            first, *_ = str(fault).splitlines()
            assert 10 < len(first) < 200, fault
            return "refused"
    warned = any("is doubted" in str(one.message) for one in caught)
    named = {name for name, _ in model.named_parameters()}
    assert named == {*anatomy.parameters, *anatomy.unused}
    width = anatomy.d_head
    by_hook = hooked(model, IDS, layer, head, width)
    assert (by_hook - logits(model, IDS)).abs().max() > 1e-4
    with quiet():
        with hg.ablate(model, f"l{layer}h{head}"):
            by_us = logits(model, IDS)
        assert torch.equal(by_us, by_hook)  # whatever the tuner, ablation is the hook's
        by_masks = zeroed(model, IDS, anatomy.select(f"l{layer}h{head}.o").masks())
        weights = Weights(model)
        circuits = Circuits(weights, "raw")
        found, of_head = circuits.head("ov", layer, head), circuits.notes("ov", layer)
        scanned = hg.scan(weights, ["ov"])
    assert anatomy.provenance == ("doubted" if anatomy.caveats else "table")
    assert warned == bool(anatomy.caveats)
    law_4 = float((by_masks - by_hook).abs().max()) < 1e-9
    assert law_4 or anatomy.caveats
    used = ov_of(model, anatomy, layer, head)
    spectra = torch.allclose(found.AB.double(), used, rtol=1e-6, atol=1e-9)
    notes = [any("There is an adapter" in one for one in (*given,))
             for given in (scanned.notes, of_head, weights.notes(), [repr(weights)])]  # fmt: skip
    assert spectra or all(notes)
    assert notes[0] == notes[1]
    assert notes[2] == notes[3] == bool(anatomy.altered)
    return "doubted" if anatomy.caveats else "noted" if notes[2] else "right"


# ---- every tuner


RIGHT = {"LN_TUNING", "PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT"}
REFUSED = {"ADAPTION_PROMPT", "SHADOW"}


@pytest.mark.parametrize("family", list(HEADS))
@pytest.mark.parametrize("name", [name for name in NAMES if name != "XLORA"])
def test_every_tuner_is_right_refused_or_doubted(name: str, family: str) -> None:
    try:
        model = tuned(name, family)
        if name not in REFUSED:
            logits(model, IDS)
    except IMPOSSIBLE as fault:
        pytest.skip(f"PEFT: {str(fault)[:90]}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        pytest.skip("PEFT adds nothing to such a model")
    tuners = [one for one in model.modules() if any(k.__name__ == "BaseTunerLayer" for k in type(one).__mro__)]
    expected = "right" if name in RIGHT else "refused" if name in REFUSED else "noted" if name == "LORA" else "doubted"
    if name == "OSF" and not tuners:
        expected = "right"  # it passes over the layers of GPT-2
    assert outcome(model, family) == expected


LORA: dict[str, tuple[dict[str, Any], str]] = {
    "DoRA": ({"use_dora": True}, "doubted"),
    "rank-stabilised": ({"use_rslora": True}, "noted"),
    "PiSSA": ({"init_lora_weights": "pissa"}, "noted"),
    "OLoRA": ({"init_lora_weights": "olora"}, "noted"),
    "with biases": ({"lora_bias": True}, "doubted"),
    "all biases": ({"bias": "all"}, "noted"),
    "ranks of their own": ({"rank_pattern": {"q_proj": 3, "o_proj": 7}, "alpha_pattern": {"v_proj": 3}}, "noted"),
    "one layer": ({"layers_to_transform": [1]}, "noted"),
    "another layer": ({"layers_to_transform": [0]}, "right"),
    "queries alone": ({"target_modules": ["q_proj"]}, "noted"),
    "a head beside": ({"modules_to_save": ["lm_head"]}, "noted"),
    "some tokens": ({"trainable_token_indices": [1, 2]}, "doubted"),
    "activated": ({"alora_invocation_tokens": [3]}, "doubted"),
}


@pytest.mark.parametrize("variant", list(LORA))
def test_every_variant_of_lora_is_right_noted_or_doubted(variant: str) -> None:
    settings, expected = LORA[variant]
    with quiet():
        config = peft.LoraConfig(
            **{"r": 5, "task_type": "CAUSAL_LM", "target_modules": PROJECTIONS[GROUPED]} | settings
        )
        model = moved(peft.get_peft_model(tiny.fresh(GROUPED).float(), config))
    if variant in ("another layer", "queries alone"):  # of the head's OV nothing is said, for nothing is changed
        anatomy = hg.dissect(model)
        assert (anatomy.provenance, anatomy.caveats) == ("table", ())
        with quiet():
            found = Circuits(Weights(model), "raw").head("ov", *HEADS[GROUPED]).AB
            assert not any("adapter" in note for note in Circuits(Weights(model)).notes("ov", 1))
        assert torch.allclose(found.double(), ov_of(model, anatomy, *HEADS[GROUPED]), atol=1e-9)
        return
    assert outcome(model, GROUPED) == expected


MERGEABLE = ["LORA", "VERA", "LOHA", "LOKR", "HRA", "IA3", "OFT", "FOURIERFT", "MISS", "ADALORA", "LN_TUNING"]


@pytest.mark.parametrize("name", MERGEABLE)
def test_an_adapter_that_is_merged_or_disabled_leaves_a_model_that_is_right(name: str) -> None:
    model = tuned(name, GROUPED)
    before = outcome(model, GROUPED)
    with quiet():
        model.merge_adapter()
    assert outcome(model, GROUPED) == "right"
    with quiet():
        model.unmerge_adapter()
    assert outcome(model, GROUPED) == before
    with quiet(), model.disable_adapter():
        assert outcome(model, GROUPED) == "right"
    with quiet():
        model = model.merge_and_unload()
    assert outcome(model, GROUPED) == "right"


def test_several_adapters_are_told_apart() -> None:
    model = tuned("LORA", GROUPED)
    with quiet():
        model.add_adapter("second", peft.LoraConfig(r=3, target_modules=["o_proj"]))
        moved(model)
    assert outcome(model, GROUPED) == "noted"
    model.set_adapter("second")
    assert outcome(model, GROUPED) == "noted"
    assert set(hg.dissect(model).altered.values()) == {"LoRA"}
    assert len(hg.dissect(model).altered) == 3
    model.base_model.set_adapter(["default", "second"])
    assert outcome(model, GROUPED) == "refused"


def test_several_active_adapters_of_another_kind_are_doubted() -> None:
    model = tuned("LOHA", GROUPED)
    with quiet():
        model.add_adapter("second", settings_of("LOHA", GROUPED))
        model.base_model.set_adapter(["default", "second"])
        moved(model)
    assert outcome(model, GROUPED) == "doubted"


def test_adapters_of_several_kinds_side_by_side_are_each_named() -> None:
    with quiet():
        model = peft.PeftMixedModel(tiny.fresh(GROUPED).float(), peft.LoraConfig(r=3, target_modules=["q_proj"]), "one")
        model.add_adapter("two", peft.LoHaConfig(r=3, target_modules=["o_proj"]))
        model.set_adapter(["one", "two"])
        model = moved(model)
    with pytest.warns(UserWarning, match="LoHa acts on 3 modules"):
        anatomy = hg.dissect(model)
    assert set(anatomy.altered.values()) == {"LoRA", "LoHa"}


def test_an_adapter_that_transformers_itself_has_added_is_one_as_well() -> None:
    with quiet():
        model = tiny.fresh(GROUPED).float()
        model.add_adapter(peft.LoraConfig(r=3, target_modules=["o_proj", "v_proj"]))
        moved(model)
        assert outcome(model, GROUPED) == "noted"
        model = tiny.fresh(GROUPED).float()
        model.add_adapter(peft.LoHaConfig(r=3, target_modules=["o_proj"]))
        moved(model)
    assert outcome(model, GROUPED) == "doubted"
    model.disable_adapters()
    assert outcome(model, GROUPED) == "right"


def test_a_mixture_of_adapters_is_refused_or_doubted(tmp_path: Path) -> None:
    with quiet():
        for i in range(2):
            tuned("LORA", GROUPED).save_pretrained(tmp_path / str(i))
        base = tiny.fresh(GROUPED).float()
        base.config.use_cache = False
        config = peft.XLoraConfig(
            task_type="CAUSAL_LM", hidden_size=base.config.hidden_size, xlora_depth=1,
            adapters={str(i): str(tmp_path / str(i)) for i in range(2)},
        )  # fmt: skip
        model = peft.get_peft_model(base, config).double().eval()
        assert outcome(model, GROUPED) in ("refused", "doubted")


def test_the_rows_of_a_gate_have_their_share_of_an_adapter() -> None:
    """Qwen3-Next keeps the gate of each head's output beside its queries: both are rows of lora_B."""
    model = tuned("LORA", "qwen3_next", target_modules=["q_proj"])
    anatomy = hg.dissect(model)
    roles = {slot.role for slot in anatomy.slots if ".lora_B." in slot.parameter}
    assert roles == {"W_Q.lora_B", "W_OG.lora_B"}
    (name,) = {s.parameter for s in anatomy.slots if s.role == "W_OG.lora_B" and s.layer == 1}
    masks = anatomy.select("l1h4").masks()
    h = anatomy.d_head
    rows = torch.as_tensor(masks[name]).any(-1).nonzero()[:, 0].tolist()
    assert rows == list(range(4 * 2 * h, 5 * 2 * h))


def test_the_doubt_is_in_the_widget_too() -> None:
    with quiet():
        grid = hg.HeadGrid(tuned("VERA", GROUPED))
    assert grid.spec["provenance"] == "doubted"
    assert "Vera acts on 12 modules" in grid.spec["provenance_note"]


@pytest.mark.parametrize("name", ["LORA", "LOHA"])
def test_a_summary_has_the_notes_of_its_circuits(name: str) -> None:
    with quiet():
        model = tuned(name, GROUPED)
        summary = hg.summarize(model, "l1h4")
        for found, kind in ((summary.ov, "ov"), (summary.qk, "qk")):
            notes = [note for note in Circuits(Weights(model)).notes(kind, 1) if "There is an adapter" in note]
            assert notes
            assert set(notes) <= set(found.notes)


def test_tokens_are_read_through_an_embedding_that_is_noted() -> None:
    with quiet():
        scanned = hg.scan(tuned("TRAINABLE_TOKENS", GROUPED))
    assert any("TrainableTokens, on W_E" in note for note in scanned.notes)


# ---- other ways in which the parameter that is stored is not the weight that is used


def _parametrized(layer: nn.Module) -> None:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    parametrize.register_parametrization(layer, "weight", Doubled())


def _pruned(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight", amount=0.3)


COMPUTED: dict[str, tuple[Callable[[Any], object], str]] = {
    "parametrized": (_parametrized, r"o_proj\.weight is computed from other parameters \(torch.nn.utils.parametrize\)"),
    "weight norm": (nn.utils.parametrizations.weight_norm, r"o_proj\.weight is computed from other parameters"),
    "old weight norm": (nn.utils.weight_norm, r"o_proj\.weight is computed from weight_g at each pass"),
    "spectral norm": (nn.utils.parametrizations.spectral_norm, r"o_proj\.weight is computed from other parameters"),
    "old spectral norm": (nn.utils.spectral_norm, r"o_proj\.weight is computed from weight_orig at each pass"),
    "pruned": (_pruned, r"o_proj\.weight is computed from weight_orig at each pass"),
}


@pytest.mark.parametrize("how", list(COMPUTED))
def test_a_weight_that_is_computed_from_others_is_refused_with_what_to_do(how: str) -> None:
    change, said = COMPUTED[how]
    model = tiny.fresh(GROUPED)
    with quiet():
        change(model.model.layers[1].self_attn.o_proj)
    with pytest.raises(AnatomyError, match=r"^model\.layers\.1\.self_attn\." + said):
        hg.dissect(model)


def test_a_pruned_weight_that_is_made_a_parameter_again_is_right() -> None:
    model = tiny.fresh(GROUPED).double().eval()
    layer = model.model.layers[1].self_attn.o_proj
    _pruned(layer)
    prune.remove(layer, "weight")
    assert outcome(model, GROUPED) == "right"
