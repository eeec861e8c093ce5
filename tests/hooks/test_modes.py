"""What `ablate` and `record` are given is checked at the call, and no value is taken for another."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import transformers
from hooking import BATCH, D_HEAD, LLAMA, ablated, anatomy_of, hooks_on, replaced, tokens, with_z, z_of
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks import NotRecorded, ablate, record

# ---- numbers are constants


@pytest.mark.parametrize(
    "number",
    [
        0, 0.0, -0.0, 3.0, -2, 0.5, Fraction(1, 4), np.float32(1.5), np.int64(2), np.float16(0.25), np.array(1.25),
        torch.tensor(0.5), torch.tensor(2), torch.tensor(1.5).bfloat16(), torch.nn.Parameter(torch.tensor(3.0)),
    ],
    ids=repr,
)  # fmt: skip
def test_a_number_is_a_constant(number: Any) -> None:
    model = tiny.model(LLAMA)
    expected = with_z(model, 1, replaced(z_of(model, 1), h2=float(number)))
    assert_close(ablated(model, "l1h2", number), expected)
    assert_close(ablated(model, "l1h2", {"l1h2": number}), expected)
    with ablate(model, "l1h2 | l0 mlp n3", number), record(model, "l1h2 | l0 mlp n3") as cache:
        model(BATCH)
    assert (cache["l1h2"] == float(number)).all()
    assert (cache["l0 mlp"] == float(number)).all()


def test_a_constant_zero_is_a_zero_ablation_and_no_mean() -> None:
    model = tiny.model(LLAMA)
    assert_close(ablated(model, "l1h2", 0), ablated(model, "l1h2"), rtol=0, atol=0)
    assert not torch.allclose(ablated(model, "l1h2", 0), ablated(model, "l1h2", "mean"))


def test_a_constant_can_be_learned() -> None:
    value = torch.tensor(0.5, requires_grad=True)
    with ablate(tiny.model(LLAMA), "l1h2", value):
        tiny.model(LLAMA)(BATCH).logits.sum().backward()
    assert value.grad is not None
    assert value.grad.isfinite()


# ---- what is no mode


def _recorded(text: str = "l1h2", given: torch.Tensor = BATCH) -> hg.hooks.Cache:
    with record(tiny.model(LLAMA), text) as cache:
        tiny.model(LLAMA)(given)
    return cache


Z = torch.zeros(4, 7, D_HEAD)
NO_MODES: dict[str, Any] = {
    "None": None, "True": True, "False": False, "np.True_": np.True_, "a bool tensor": torch.tensor(True),
    "a list": [0.0], "a tuple": (0.0,), "a function": lambda z: z, "a class": torch.Tensor, "an object": object(),
    "a set": {"zero"}, "bytes": b"zero", "another word": "zeros", "upper case": "Zero", "no word": "",
    "NaN": float("nan"), "infinity": float("inf"), "a NaN tensor": torch.tensor(float("nan")),
    "a tensor with NaN": torch.full((D_HEAD,), float("nan")), "-inf": torch.full((D_HEAD,), -np.inf),
    "a complex number": 1j, "a complex tensor": torch.zeros(D_HEAD, dtype=torch.complex64),
    "a complex scalar": torch.tensor(1j), "token ids": BATCH, "a mask": torch.ones(4, 7, dtype=torch.bool),
    "an array": np.zeros(D_HEAD), "an array of one": np.zeros(1), "an empty tensor": torch.zeros(0, D_HEAD),
    "a meta tensor": torch.zeros(D_HEAD, device="meta"), "a sparse tensor": torch.zeros(D_HEAD).to_sparse(),
    "a huge number": 10**400, "a generator": (one for one in "zero"), "a model": tiny.model(LLAMA),
    "d_head of another": torch.zeros(D_HEAD + 1), "a row for each of 3": torch.zeros(4, 7, 3, D_HEAD),
    "five axes": torch.zeros(1, 4, 7, 1, D_HEAD), "an empty mapping": {}, "a mapping of words": {"l1h2": "zero"},
    "a mapping of None": {"l1h2": None}, "a mapping of bools": {"l1h2": True}, "a mapping of lists": {"l1h2": [0.0]},
    "a mapping of NaN": {"l1h2": float("nan")}, "a mapping of pairs": {(1, 2): 0.0}, "a mapping of numbers": {1: 0.0},
    "a mapping of another": {"l1h3": 0.0}, "a mapping of more": {"l1h2": 0.0, "l0 mlp": 0.0},
    "a mapping of too much": {"l1h[2,3]": 0.0}, "a mapping of no activation": {"l1h2.q": 0.0},
    "a mapping that names it twice": {"l1h2": 0.0, "l1h2.o": 1.0}, "a mapping of nonsense": {"l9h9": 0.0},
    "a mapping of a wrong shape": {"l1h2": torch.zeros(3)}, "a mapping of ids": {"l1h2": BATCH},
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MODES)
def test_what_is_no_mode_is_refused_at_the_call_in_a_sentence(name: str) -> None:
    before = hooks_on(tiny.model(LLAMA))
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+") as fault:
        ablate(tiny.model(LLAMA), "l1h2", NO_MODES[name])
    first = str(fault.value).splitlines()[0]
    assert len(first) < 400
    assert hooks_on(tiny.model(LLAMA)) == before


def test_numbers_beyond_the_dtype_of_a_model_are_refused() -> None:
    half = tiny.fresh(LLAMA).half()
    for value in (1e6, torch.full((D_HEAD,), -1e6)):
        with pytest.raises(ValueError, match="1e\\+06, beyond the model's float16"):
            ablate(half, "l1h2", value)
    with torch.no_grad(), ablate(half, "l1h2", 6e4), record(half, "l1h2") as cache:
        half(BATCH)
    assert (cache["l1h2"] == torch.tensor(6e4).half()).all()


# ---- heads or positions


def test_two_axes_that_could_be_heads_or_positions_are_refused_and_with_four_axes_told_apart() -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2, n_head=4, n_embd=96, vocab_size=31, n_positions=19)
    model: Any = transformers.GPT2LMHeadModel(config).double().eval()
    given, values = tokens(2, 4), torch.randn(4, 24, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"\[4, 24\]: is that a row for each head, or for each position\? Write"
    ) as fault:
        ablate(model, "l1 attn", values)
    heads, positions = (text.split(" for")[0] for text in str(fault.value).split("Write ")[1].split(", value"))
    for words, shape in ((heads, (1, 1, 4, 24)), ("value" + positions, (1, 4, 1, 24))):
        value = eval(words, {"value": values})
        assert value.shape == shape
        with ablate(model, "l1 attn", value), record(model, "l1 attn") as cache, torch.no_grad():
            model(given)
        assert_close(cache["l1 attn"], value.expand(2, 4, 4, 24))
    for mode in ({"l1 attn": values}, {"l1h[0-3]": values}):
        with pytest.raises(ValueError, match="for each head, or for each position"):
            ablate(model, "l1 attn", mode)
    with pytest.raises(ValueError, match="for each head, or for each position"):
        ablate(model, "l0h[0,1] | l1h[2,3]", values)
    with ablate(model, "l1h[0,1,3]", values), record(model, "l1h[0,1,3]") as cache, torch.no_grad():
        model(given)  # three heads: four rows are positions
    assert_close(cache["l1h3"], values.expand(2, 4, 24))


def test_values_of_neurons_end_in_one_for_each_selected_neuron() -> None:
    model, values = tiny.model(LLAMA), torch.randn(2, dtype=torch.float64)
    with ablate(model, "l0 mlp n[3,8]", values), record(model, "l0 mlp n[3,8]") as cache:
        model(BATCH)
    assert_close(cache["l0 mlp"], values.expand(4, 7, 2))
    for wrong in (torch.zeros(3), torch.zeros(22), torch.zeros(1, 4, 7, 2)):
        with pytest.raises(ValueError, match=r"the values for l0 mlp have the shape .*\[batch, pos, 2\]"):
            ablate(model, "l0 mlp n[3,8]", wrong)
    with pytest.raises(ValueError, match="the heads and for the neurons of l1"):
        ablate(model, "l1", {"l1": torch.zeros(1)})


# ---- the other arguments


@pytest.mark.parametrize("wrong", [None, 1, 0, "yes", "", 1.0, torch.tensor(True), [True]], ids=repr)
def test_a_flag_is_true_or_false_alone(wrong: Any) -> None:
    model = tiny.model(LLAMA)
    with pytest.raises(TypeError, match="per_position is True or False, not"):
        ablate(model, "l1h2", "mean", per_position=wrong)
    with pytest.raises(TypeError, match="detach is True or False, not"):
        record(model, "l1h2", detach=wrong)


@pytest.mark.parametrize("wrong", [None, True, 1, ["last"], b"last"], ids=repr)
def test_keep_is_one_of_two_words(wrong: Any) -> None:
    with pytest.raises(TypeError, match="keep is 'last' or 'all', not"):
        record(tiny.model(LLAMA), "l1h2", keep=wrong)
    with pytest.raises(ValueError, match="keep is 'last' or 'all', not 'Last'"):
        record(tiny.model(LLAMA), "l1h2", keep="Last")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["zero", "resample", 0.5, torch.zeros(D_HEAD), {"l1h2": 1.0}], ids=repr)
def test_what_a_mode_ignores_is_refused(mode: Any) -> None:
    model = tiny.model(LLAMA)
    with pytest.raises(ValueError, match="per_position is of use with the mode 'mean' only"):
        ablate(model, "l1h2", mode, per_position=True)
    if mode != "resample":
        with pytest.raises(ValueError, match="a generator is of use with the mode 'resample' only"):
            ablate(model, "l1h2", mode, generator=torch.Generator())
        with pytest.raises(ValueError, match="a reference is of use with the modes 'mean' and 'resample' only"):
            ablate(model, "l1h2", mode, reference=BATCH)
    with pytest.raises(ValueError, match="a generator is of use with the mode 'resample' only"):
        ablate(model, "l1h2", "mean", generator=torch.Generator())
    assert_close(ablated(model, "l1h2", "mean", per_position=False, reference=None, generator=None),
                 ablated(model, "l1h2", "mean"))  # fmt: skip


@pytest.mark.parametrize("wrong", [5, True, "seed", torch.tensor(5), np.random.default_rng(0)], ids=type)
def test_a_generator_is_one_of_torch(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"generator is a torch.Generator, which draws the rows"):
        ablate(tiny.model(LLAMA), "l1h2", "resample", generator=wrong)


@pytest.mark.parametrize("wrong", [5, True, "ids", [[3, 4]], np.zeros((2, 3), int), lambda: BATCH], ids=type)
def test_a_reference_of_a_wrong_kind_is_refused(wrong: Any) -> None:
    for mode in ("mean", "resample"):
        with pytest.raises(TypeError, match="reference is token ids, a mapping of the model's arguments or a Cache"):
            ablate(tiny.model(LLAMA), "l1h2", mode, reference=wrong)


OTHER = tokens(3, 6, seed=6)


def _mask(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("reference", "named", "words"),
    [
        (torch.zeros(0, 6, dtype=torch.long), {}, "reference is token ids"),
        (torch.tensor(5), {}, "reference is token ids"),
        ({}, {}, "names the arguments of the model"),
        ({5: OTHER}, {}, "names the arguments of the model"),
        ({"input_ids": OTHER, "attention_mask": torch.zeros(3, 6)}, {}, "0 everywhere: it leaves nothing to take"),
        ({"input_ids": OTHER, "attention_mask": torch.ones(3, 5)}, {}, r"is \[3, 5\], its token ids are \[3, 6\]"),
        ({"input_ids": OTHER, "attention_mask": torch.ones(3)}, {}, "0 or 1 at each"),
        ({"input_ids": OTHER, "attention_mask": torch.full((3, 6), -1e9)}, {}, "0 or 1 at each"),
        ({"input_ids": OTHER, "attention_mask": torch.ones(3, 1, 6, 6)}, {}, "0 or 1 at each"),
        ({"input_ids": OTHER, "attention_mask": _mask(*[[1, 1, 1, 1, 0, 0]] * 3)}, {"per_position": True},
         "position 4 of the reference is masked in every row"),
    ],
)  # fmt: skip
def test_a_reference_that_cannot_be_used_is_refused_at_the_call(
    reference: Any, named: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        ablate(tiny.model(LLAMA), "l1h2", "mean", reference=reference, **named)


def test_a_reference_whose_mask_is_no_tensor_or_hides_what_is_resampled_is_refused() -> None:
    model = tiny.model(LLAMA)
    with pytest.raises(TypeError, match="attention_mask of the reference is a tensor"):
        ablate(model, "l1h2", "mean", reference={"input_ids": OTHER, "attention_mask": [[1] * 6] * 3})
    padded = {"input_ids": OTHER, "attention_mask": _mask([1] * 6, [1] * 6, [1, 1, 1, 0, 0, 0])}
    with pytest.raises(ValueError, match="a row with padding cannot be put in the place of another"):
        ablate(model, "l1h2", "resample", reference=padded)
    none = {"input_ids": OTHER, "attention_mask": None}
    assert_close(ablated(model, "l1h2", "mean", reference=none), ablated(model, "l1h2", "mean", reference=OTHER))


@pytest.mark.parametrize("wrong", [None, "demo", 5, {}, tiny.config(LLAMA), tiny.model(LLAMA).state_dict], ids=type)
def test_a_model_is_a_module(wrong: Any) -> None:
    with pytest.raises(TypeError, match="model is a model of transformers or TransformerLens"):
        ablate(wrong, "l1h2")
    with pytest.raises(TypeError, match="model is a model of transformers or TransformerLens"):
        record(wrong, "l1h2")


@pytest.mark.parametrize("wrong", [None, True, 5, 1.5, torch.zeros(3), [None]], ids=repr)
def test_what_is_no_selection_is_refused(wrong: Any) -> None:
    model = tiny.model(LLAMA)
    with pytest.raises((TypeError, ValueError), match=r"\w+ \w+ \w+"):
        ablate(model, wrong)
    if wrong is not None:
        with pytest.raises((TypeError, ValueError), match=r"\w+ \w+ \w+"):
            record(model, wrong)
        with pytest.raises((TypeError, ValueError), match=r"\w+ \w+ \w+"):
            record(model, layers=wrong)


def test_an_empty_selection_changes_nothing_and_is_warned_of_unless_it_is_meant() -> None:
    model, anatomy = tiny.model(LLAMA), anatomy_of(LLAMA)
    with torch.no_grad():
        clean = model(BATCH).logits
    for empty in (anatomy.select("none"), "l1h2 & l1h3", []):
        with pytest.warns(UserWarning, match="the selection is empty: nothing is ablated") as caught:
            context = ablate(model, empty)
        assert caught[0].filename == __file__
        with context, torch.no_grad():
            assert_close(model(BATCH).logits, clean, rtol=0, atol=0)
    assert_close(ablated(model, "none"), clean, rtol=0, atol=0)


@pytest.mark.parametrize("key", [0, None, 1.5, (1, 2), ["l1h2"], b"l1h2", True, slice(None)], ids=repr)
def test_a_cache_is_read_by_texts(key: Any) -> None:
    cache = _recorded()
    with pytest.raises(TypeError, match="the key of a cache is a text such as 'l1h2'"):
        cache[key]
    with pytest.raises(TypeError, match="the key of a cache is a text such as 'l1h2'"):
        cache.runs(key)
    assert key not in cache


# ---- reductions in half precision


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("per_position", [True, False])
def test_a_mean_of_half_precision_is_that_of_the_same_activations_in_double(
    dtype: torch.dtype, masked: bool, per_position: bool
) -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=16, n_inner=1, vocab_size=31, n_positions=64)
    model: Any = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.bias[32:] = 3.0  # values whose sum is beyond 65,504
    model = model.to(dtype)
    reference, given = tokens(1400, 60), tokens(2, 60, seed=8)
    mask = torch.ones_like(reference)
    mask[::3, 31:] = 0
    named = {"attention_mask": mask} if masked else {}
    with record(model, "l0h1") as theirs, torch.no_grad():
        model(reference, **named)
    counts = (mask if masked else torch.ones_like(mask)).double()[..., None]
    over = (0,) if per_position else (0, 1)
    expected = (theirs["l0h1"].double() * counts).sum(over) / counts.sum(over)
    for source in ({"input_ids": reference, **named}, theirs):
        mean = ablate(model, "l0h1", "mean", reference=source, per_position=per_position)
        with mean, record(model, "l0h1") as cache, torch.no_grad():
            assert model(given).logits.isfinite().all()
        assert_close(cache["l0h1"], expected.to(dtype).expand(2, 60, 8), rtol=1e-3, atol=0)
    with ablate(model, "l0h1", "mean"), record(model, "l0h1") as cache, torch.no_grad():
        model(reference)
    assert cache["l0h1"].isfinite().all()


# ---- recordings are not broadcast


def test_a_recording_of_another_size_is_refused_with_both_shapes() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h2 | l0 mlp n3") as stepped:
        model.generate(BATCH[:2], max_new_tokens=3, min_new_tokens=3, do_sample=False, pad_token_id=0)
    assert stepped["l1h2"].shape == (2, 1, D_HEAD)
    one_row, short = _recorded("l1h2 | l0 mlp n3", BATCH[:1]), _recorded("l1h2 | l0 mlp n3", BATCH[:, :3])
    for cache, theirs in ((stepped, [2, 1]), (one_row, [1, 7]), (short, [4, 3])):
        for selection, mode in (
            ("l1h2 | l0 mlp n3", cache),
            ("l1h2", {"l1h2": cache["l1h2"]}),
            ("l1h2", cache["l1h2"]),
            ("l1h[2,3]", {"l1h2": cache["l1h2"], "l1h3": 0}),
            ("l1 attn", cache.z[1]),
            ("l0 mlp n3", cache["l0 mlp"]),
            ("l0 mlp n3", {"l0 mlp n3": cache.mlp[0]}),
        ):
            given = BATCH[:2] if theirs[0] == 2 else BATCH
            sizes = rf"\[{theirs[0]}, {theirs[1]}\], this pass \[{len(given)}, 7\]"
            with pytest.raises(ValueError, match=rf"the recording of .* has \[batch, pos\] = {sizes}"):
                ablated(model, selection, mode, given=given)
    mean = _recorded()["l1h2"].mean(0, keepdim=True)  # what is computed from a recording is broadcast
    assert_close(ablated(model, "l1h2", mean), with_z(model, 1, replaced(z_of(model, 1), h2=mean)))


def test_a_reference_is_put_in_position_by_position_and_never_stretched() -> None:
    model = tiny.model(LLAMA)
    one = BATCH[:, :1]
    for mode, named in (("mean", {"per_position": True}), ("resample", {})):
        for reference in (one, _recorded("l1h2", one), BATCH[:, :3]):
            positions = 3 if reference is not one and not isinstance(reference, hg.hooks.Cache) else 1
            with pytest.raises(ValueError, match=f"the reference has {positions} positions? at l1h2, this pass 7"):
                ablated(model, "l1h2", mode, reference=reference, **named)
    assert_close(ablated(model, "l1h2", "mean", reference=one),
                 with_z(model, 1, replaced(z_of(model, 1), h2=z_of(model, 1, one)[:, :, 2].mean((0, 1)))))  # fmt: skip


def test_a_recording_is_that_of_before_the_context_though_it_goes_on() -> None:
    model, other = tiny.model(LLAMA), tokens(4, 7, seed=8)
    expected = with_z(model, 1, replaced(z_of(model, 1), h2=z_of(model, 1, other)[:, :, 2]))
    with record(model, "l1h2") as cache:
        model(other)
        with ablate(model, "l1h2", cache), torch.no_grad():
            for _ in range(2):
                assert_close(model(BATCH).logits, expected)


def test_a_mean_over_a_cache_leaves_out_what_the_mask_of_its_pass_did() -> None:
    model = tiny.model(LLAMA)
    mask = torch.ones_like(OTHER)
    mask[0, 3:], mask[2, 5:] = 0, 0
    mean = z_of(model, 1, OTHER, attention_mask=mask)[:, :, 2][mask.bool()].mean(0)
    expected = with_z(model, 1, replaced(z_of(model, 1), h2=mean))
    for given, named in (((OTHER,), {"attention_mask": mask}), ((OTHER, mask), {})):
        with record(model, "l1h2") as cache:
            model(*given, **named)
        assert_close(ablated(model, "l1h2", "mean", reference=cache), expected)
        with pytest.raises(ValueError, match="a row with padding cannot be put"):
            ablate(model, "l1h2", "resample", reference=cache)


def test_a_cache_whose_last_pass_broke_off_is_no_recording() -> None:
    model, given = tiny.fresh("albert"), tiny.inputs("albert")
    with record(model, "l0h1", keep="all") as cache:
        model(**given)
        layer = model.albert.encoder.albert_layer_groups[0]
        ran: list[int] = []

        def second_run(*_: Any) -> None:
            ran.append(1)
            if len(ran) == 2:
                raise ZeroDivisionError

        handle = layer.register_forward_hook(second_run)
        with pytest.raises(ZeroDivisionError):
            model(**given)
        handle.remove()
        for named in ({}, {"reference": cache}):
            with pytest.raises(NotRecorded, match="the last forward pass of the cache broke off between runs of l0h1"):
                ablate(model, "l0h1", "mean" if named else cache, **named).__enter__()
        model(**given)
    assert len(cache.runs("l0h1")) == 6
    with ablate(model, "l0h1", cache), torch.no_grad():
        assert_close(model(**given).logits, tiny.model("albert")(**given).logits)


# ---- whatever the caller has set


@pytest.mark.parametrize("mode", ["zero", "mean", "resample", 0.5])
def test_nothing_depends_on_the_callers_defaults(mode: Any) -> None:
    model = tiny.model(LLAMA)

    def got(**named: Any) -> torch.Tensor:
        if mode == "resample":
            named["generator"] = torch.Generator().manual_seed(3)
        return ablated(model, "l1h2 | l0 mlp n3", mode, **named)

    expected = got()
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        assert_close(got(), expected, rtol=0, atol=0)
    finally:
        torch.set_default_dtype(before)
    with torch.inference_mode():
        context = ablate(model, "l1h2", 0.5 if mode == "resample" else mode)
        kept = got()
    assert_close(kept, expected, rtol=0, atol=0)
    with context:
        model(BATCH).logits.sum().backward()
    model.zero_grad()
    with torch.device("meta"):
        context = ablate(model, "l1h2", mode, **({"generator": torch.Generator("cpu")} if mode == "resample" else {}))
    with context, torch.no_grad():
        model(BATCH)
