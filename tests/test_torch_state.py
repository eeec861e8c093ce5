"""What a caller has set torch to changes no result: every public function, under every setting, beside the plain call.

Where a model's own forward pass runs (`record`, `ablate`), its numbers are those of the caller's settings, as of any
call of it. There the model here is run on numbers that no setting rounds, or what is compared is what headgrid makes of
given activations: means, drawn rows, masks, shapes.
"""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import tiny
import torch

import headgrid as hg
from headgrid.demo import marked_name_prompts, repeated_tokens
from headgrid.library import CircuitRole
from headgrid.models.huggingface import on_meta
from headgrid.torch_state import shielded

pytestmark = pytest.mark.slow


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def several() -> Iterator[None]:
    rounded = torch.autocast("cpu", torch.bfloat16)
    with default_dtype(torch.bfloat16), torch.device("meta"), rounded, torch.inference_mode():
        yield


@contextmanager
def rounded_elsewhere() -> Iterator[None]:
    with default_dtype(torch.float16), default_device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
        yield


@contextmanager
def exact() -> Iterator[None]:
    with default_dtype(torch.float64), torch.no_grad(), deterministic():
        yield


# each takes as long as the call itself, so those that cannot hide each other's faults stand together
SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "bfloat16 by default": lambda: default_dtype(torch.bfloat16),
    "float64 by default, no gradients, deterministic algorithms": exact,
    "float16 by default, a default device for all, autocast": rounded_elsewhere,
    "inference mode": torch.inference_mode,
    "bfloat16 by default, a default device, autocast, inference mode": several,
    "another thread": nullcontext,
}


# ---- every public function


def config() -> Any:
    return tiny.config("gpt2")


def model() -> Any:
    """A model of which nothing is kept from before."""
    return tiny.fresh("gpt2").float()


def dissected(model: Any) -> Any:
    anatomy = hg.dissect(model)
    return [hg.dissect(config()).fingerprint, anatomy.fingerprint, repr(anatomy)]


def selected(model: Any) -> Any:
    selection = hg.dissect(model).select("l1h2 | l0 mlp n3-9 | pos")
    with TemporaryDirectory() as folder:
        selection.save(model, Path(folder) / "entries")
        other = copy.deepcopy(model)
        hg.dissect(other).select("l1h2").zero_(other)
        selection.load_(other, Path(folder) / "entries")
        read = [parameter.detach().numpy().copy() for parameter in other.parameters()]
    return [selection.masks(), selection.selected_heads(), selection.n_params, str(~selection), read]


def weights(model: Any) -> Any:
    found = hg.Weights(model)
    return [
        found.W_Q[1], found.W_K[1, 2], found.W_E, found["ln1.w"][0], found.read("W_O", 1, normalize="m"),
        found.W_OV[1, 2].dense(), found.W_QK[0].svd(3), found.version("W_Q", 1)[2:],
    ]  # fmt: skip


def factored(model: Any) -> Any:
    A, B = hg.Weights(model).W_V[1], hg.Weights(model).W_O[1]
    M = hg.FactoredMatrix(A, B)
    vector = A[0, :, 0]
    return [
        M.dense(), M.AB, M.svd(), M.spectrum(2).values, M.singular_values(), M.norm(), M.trace(), M.eigenvalues(),
        M.clusters(), M.collapse_l(), M.collapse_r(), (M @ M).dense(), M @ vector, vector @ M, (2.5 * M).dense(),
        (-M).dense(), M[1].dense(), M.T.dense(),
    ]  # fmt: skip


def scanned(model: Any) -> Any:
    scan = hg.scan(model)
    return [scan.ov.singular_values, scan.ov.norm, scan.ov.stable_rank, scan.ov.entropy_rank, scan.qk.singular_values,
            scan.copying_score, hg.scan(model, ln="raw").qk.singular_values, scan.notes,
            scan.to_dataframe().to_numpy().tolist()]  # fmt: skip


def summarized(model: Any) -> Any:
    head, mlp, neuron = (hg.summarize(model, text) for text in ("l1h2", "l0 mlp", "l0 mlp n3"))
    circuits = [head.ov, head.qk, mlp.w_in, mlp.w_out]
    tables = [head.ov.write_tokens, head.ov.pairs, head.qk.pairs, neuron.write_tokens]
    texts = [head.ov.table(), repr(mlp)]
    return [vars(head), [vars(one) for one in (*circuits, *tables)], neuron.reads, texts]


def composed(model: Any) -> Any:
    found = hg.compose(model)
    lists = [found.top(5), found.of(1, 2), found.to_dataframe().to_numpy().tolist()]
    return [found.q, found.k, found.v, found.q_z, found.k_z, found.v_z, lists]


def verified(model: Any) -> Any:
    proof = hg.verify(model)
    others = [hg.verify(on_meta(config())), hg.verify(tiny.model("t5"))]
    return [proof.ok, proof.notes, proof.heads, [c.text for c in proof.checks], [one.ok for one in others]]


def previewed(model: Any) -> Any:
    out = io.StringIO()
    hg.preview(hg.dissect(model).select("l1h2"), file=out)
    hg.preview(hg.dissect(model).select("l1h2").masks(), model, plain=True, file=out)
    return out.getvalue()


def plotted(model: Any) -> Any:
    scan, summary = hg.scan(model), hg.summarize(model, "l1h2")
    axes = [
        hg.plots.grid(scan.copying_score), hg.plots.spectrum(summary.ov), hg.plots.tokens(summary.ov, side="writes"),
        hg.plots.pairs(summary.qk), hg.plots.composition(hg.compose(model)), hg.plots.offsets(summary.qk),
    ]  # fmt: skip
    return [picture(ax) for ax in axes]


def picture(ax: Any) -> Any:
    import matplotlib.pyplot as plt

    found = [[text.get_text() for text in ax.texts], [line.get_xydata() for line in ax.lines],
             [one.get_array() for one in ax.collections if one.get_array() is not None]]  # fmt: skip
    plt.close(ax.figure)
    return found


def shown(model: Any) -> Any:
    grid = hg.HeadGrid(model, select="l1h2 | l0h1 | l0 mlp")
    grid.color_by("copying_score")
    settled(grid)
    computed = [grid.colors, grid.to_svg(), repr(grid)]
    grid.color_by(torch.ones(3, 4, device="cpu", dtype=torch.float32).cumsum(1))
    settled(grid)
    grid.focus = {"n": 1, "cell": 6, "ln": "folded"}
    settled(grid)
    grid.task = hg.Task(None, torch.arange(3, 9, device="cpu").reshape(2, 3), answers=[5, 7])
    page = grid.to_html()
    found = [computed, grid.colors, grid.summary, grid.selected_heads, grid.masks, len(page) // 1000, precomputed(grid)]
    grid.close()
    return found


def settled(grid: Any) -> None:
    assert grid._scheduler.worker.join_idle(60)


def precomputed(grid: Any) -> Any:
    """What a page without a kernel has."""
    from headgrid.widget.export.precompute import compare, precompute
    from headgrid.widget.export.precompute_live import PageSources, precompute_live

    state, scheduler = grid._state, grid._scheduler
    live = precompute_live(state, PageSources(grid.model, scheduler.coloring, scheduler.table))
    return [precompute(state, scheduler.cache).summaries, compare(state, scheduler.cache), dict(live.traits)]


def tasks(model: Any) -> Any:
    """Tasks that are ready, parts of tasks, and those that were written down."""
    _, tokenizer = hg.demo()
    made = [hg.Task.repeated(tokenizer, n=2, length=5), hg.Task.names(tokenizer, n=3), asked()]
    made += [hg.Task.next_token(tokenizer, ["the dog says", "a kitten is"]), made[0].rows([1]), made[1].rows(slice(1))]
    made += [hg.Task.from_json(one.to_json(), one.tokenizer) for one in made]
    return [[one.ids, one.mask, one.scored, one.fingerprint, str(one), one.aligned] for one in made]


def demonstrated(model: Any) -> Any:
    shipped, tokenizer = hg.demo()
    ids = repeated_tokens(tokenizer, n=2, length=5)
    parameters = dict(shipped.named_parameters())
    assert all(one.requires_grad and not one.is_inference() for one in parameters.values())
    assert not any(buffer.is_inference() for buffer in shipped.buffers())
    grouped, _ = hg.demo("gqa")  # its rotation is computed when it is loaded
    with shielded():
        logits, others = shipped(ids).logits, grouped(ids).logits
    marked = marked_name_prompts(tokenizer, n=3, third="first")
    buffers = dict(shipped.named_buffers()) | {f"grouped {name}": one for name, one in grouped.named_buffers()}
    return [parameters, buffers, shipped.dtype, logits, others, ids, list(marked)]


def ablated(model: Any) -> Any:
    """What takes the place of z where it enters `W_O`, of a z that is given; references are shielded."""
    module = model.transformer.h[1].attn.c_proj
    entries = torch.arange(2 * 5 * module.weight.shape[0], dtype=module.weight.dtype, device="cpu")
    z = entries.sin().reshape(2, 5, -1)
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], device="cpu")
    plain, masked = recorded_once(model), recorded_once(model, attention_mask=mask)
    ways: list[tuple[Any, Any]] = [("zero", None), (0.3, None), (plain, None), ("mean", None), ("mean", plain)]
    ways += [("mean", masked), ("resample", None), ("resample", plain)]
    found = []
    for mode, reference in ways:
        generator = torch.Generator("cpu").manual_seed(3) if mode == "resample" else None
        with hg.ablate(model, "l1h2", mode, reference=reference, generator=generator):
            handle = module.register_forward_pre_hook(lambda _, given: found.append(given[0].clone()))
            module(z)
            handle.remove()
    return found


def recorded_once(model: Any, **named: Any) -> Any:
    with shielded(), hg.record(model, "l1h2 | l0 mlp") as cache:
        model(torch.tensor([[3, 4, 5, 6, 7], [8, 9, 3, 5, 4]], device="cpu"), **named)
    return cache


def recorded(model: Any) -> Any:
    return [recorded_once(model)["l1h2"], recorded_once(model)["l0 mlp n3"]]


def run(model: Any) -> Any:
    """Whole passes in double precision, of which no setting takes anything away."""
    model, ids = model.double(), torch.tensor([[3, 4, 5], [9, 3, 6]], device="cpu")
    found = []
    with torch.autocast("cpu", enabled=False), torch.device("cpu"), hg.record(model, "l1h2 | l0 mlp") as cache:
        model(ids)
    found += [cache["l1h2"], cache["l0 mlp n3"]]
    for mode, how in (
        ("zero", {}), ("mean", {}), ("mean", {"reference": cache}), ("resample", {"generator": None}), ("zero", {}),
        (torch.tensor(0.25, dtype=torch.float64, device="cpu"), {}), (cache, {}),
    ):  # fmt: skip
        if "generator" in how:
            how = {"generator": torch.Generator("cpu").manual_seed(2)}
        with hg.ablate(model, "l1h2 | l0 mlp", mode, **how), torch.autocast("cpu", enabled=False), torch.device("cpu"):
            found.append(model(ids).logits.detach())
    return found


def attended(model: Any) -> Any:
    ids = torch.tensor([[3, 4, 5, 6, 3, 4, 5], [8, 9, 3, 8, 9, 3, 5]], device="cpu")
    found = hg.attention(model, ids, "l0h1 | l1h2")
    scores = found.score("induction", draws=3)
    return [
        found.pattern["l1h2"], found.visible["", 1], scores.values, scores.shuffled, scores.spread, scores.evenly,
        scores.rows, scores.above, str(scores), (found.to_html() or "").count("triangle"),
    ]  # fmt: skip


def asked() -> hg.Task:
    clean = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 3, 5, 4], [5, 6, 7, 8, 9]], device="cpu")
    return hg.Task(None, clean, answers=[4, 5, 6], wrong=[7, 8, 9], corrupted=clean.flip(0))


def swept(model: Any) -> Any:
    found = [hg.sweep(model, asked(), method) for method in ("zero", "mean", "resample", "patch", "attribution")]
    return [[one.values, one.rows, one.low, one.high, str(one)] for one in found]


def affected(model: Any) -> Any:
    found = hg.effect(model, asked(), "l0h1 | l1h2", controls=3)
    return [str(found), *([one.rows, one.controls, one.low, one.high] for one in found.values())]


def kept(model: Any) -> Any:
    found = hg.faithfulness(model, asked(), "l0h1 | l1h2", controls=3)
    return [str(found), found.controls, found.rows, float(found)]


def routed(model: Any) -> Any:
    found = hg.paths(model, asked(), "l0h1 | l0 mlp", "l1h2.q", controls=2)
    return [str(found), found.values]


def patched(model: Any) -> Any:
    cache = recorded_once(model)
    ids, found = torch.tensor([[8, 9, 3, 5, 4], [3, 4, 5, 6, 7]], device="cpu"), []
    for context in (hg.patch(model, "l1h2", cache), hg.steer(model, "l1h2.q", 0.5)):
        with shielded(), context:
            found.append(model(ids).logits)
    return found


def looked_up(model: Any) -> Any:
    """A published circuit on a model of another shape is refused, so this is one of its own."""
    shape = replace(hg.library["ioi"].shape, n_layers=3, n_heads=4, n_kv_heads=4, d_model=28, d_head=7, d_mlp=22)
    roles = {"one": CircuitRole("l0h1", "Is one."), "other": CircuitRole("l1h[0,2]", "Is another.")}
    circuit = replace(hg.library["ioi"], shape=shape, roles=roles, edges=(("one", "other.k"),))
    ids = torch.arange(3, 15, device="cpu").reshape(2, 6)
    task = hg.Task(None, ids, answers=[5, 7], wrong=[6, 2], corrupted=ids.flip(0))
    found = circuit.retest(model, task=task, controls=1)
    kept = found.faithfulness
    assert kept is not None
    mine = circuit.diff("l1h[0,1]", model)
    numbers = [kept.faithfulness, kept.controls, kept.rows, *(one["mean"].rows for one in found.roles.values())]
    says = [str(circuit.selection(model)), circuit.edges_of(model), found.verdict, repr(mine)]
    return [*numbers, *says, [one.name for one in hg.library.matching(model)], mine.whole.p_value]


def graded(model: Any) -> Any:
    """Reference code that makes and computes tensors, beside answers that are given."""
    grid = hg.HeadGrid(model)

    def answer() -> list[tuple[int, int]]:
        strongest = hg.scan(model).ov.norm / torch.full((), 3.0)
        layer, head = divmod(int(strongest.argmax()), strongest.shape[1])
        return [(layer, head)]

    computed = hg.course.Exercise("computed", grid, ask="Which head?", answer=answer, allow="heads")
    found = [computed.check(f"l{layer}h{head}").data() for layer in range(2) for head in range(2)]
    number = hg.course.Exercise("number", ask="How much?", answer=lambda: torch.ones(3).sum() / 7, kind="number")
    found += [number.check(given).data() for given in (3 / 7, 0.9)]
    guess = hg.course.Prediction("guess", ask="How much?")
    guess.predict(0.25)
    return [*found, guess.reveal(lambda: torch.ones(3).sum() / 7).data(), str(hg.course.report())]


CALLS: dict[str, Callable[[Any], Any]] = {
    "dissect": dissected, "Selection": selected, "Weights": weights, "FactoredMatrix": factored, "scan": scanned,
    "summarize": summarized, "compose": composed, "verify": verified, "preview": previewed, "plots": plotted,
    "HeadGrid": shown, "course": graded, "tasks": tasks, "demo": demonstrated, "ablate": ablated, "record": recorded,
    "ablate and record": run,
    "attention": attended, "sweep": swept, "effect": affected, "faithfulness": kept, "paths": routed, "patch": patched,
    "library": looked_up,
}  # fmt: skip

EXPECTED: dict[str, Any] = {}

PASSES = {"record", "ablate", "ablate and record", "patch"}
"""What is computed in the caller's own forward passes: it is of inference mode where the caller is."""


def test_every_public_name_is_called() -> None:
    classes = {"Anatomy": "dissect", "SelectionError": "Selection", "Task": "sweep", "steer": "patch"}
    assert {classes.get(name, name) for name in hg.__all__} <= CALLS.keys()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CALLS)
def test_every_public_function_gives_what_it_gives_without_any_setting(name: str, setting: str) -> None:
    call = CALLS[name]
    if name not in EXPECTED:
        EXPECTED[name] = flat(call(model()))
    ours = model()
    if setting == "another thread":
        found = flat(in_a_thread(lambda: call(ours)))
    else:
        before = state()
        with SETTINGS[setting]():
            within = state()
            found = call(ours)
            assert state() == within, "what the caller has set is as it was"
        assert state() == before
        found = flat(found)
    assert found.keys() == EXPECTED[name].keys()
    for key, value in found.items():
        same(value, EXPECTED[name][key], f"{name}{key}", name in PASSES)


def same(found: Any, expected: Any, where: str, of_a_pass: bool) -> None:
    if not isinstance(expected, torch.Tensor):
        assert found == expected or (found != found and expected != expected), where
        return
    assert (found.dtype, found.device, found.shape) == (expected.dtype, expected.device, expected.shape), where
    assert of_a_pass or not found.is_inference(), where
    assert torch.equal(found.nan_to_num(), expected.nan_to_num()), where


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """Every number, text and tensor of nested results."""
    if isinstance(value, np.ndarray):
        return {where: value.dtype.str} | {f"{where}.": value.tobytes()}
    if isinstance(value, Mapping):
        return {k: v for key, one in value.items() for k, v in flat(one, f"{where}[{key!r}]").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, one in enumerate(value) for k, v in flat(one, f"{where}[{i}]").items()}
    if isinstance(value, torch.Tensor | str | int | float | bool | None | torch.dtype):
        return {where: value}
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
        return flat({name: one for name, one in fields.items() if name != "seconds"}, where)
    return {where: type(value).__name__}


def state() -> list[Any]:
    return [
        torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu"),
        torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
        torch._C._len_torch_function_stack(),
    ]  # fmt: skip


def in_a_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


# ---- the shield itself


def test_within_the_shield_new_numbers_are_float32_in_this_thread_alone() -> None:
    other: list[torch.dtype] = []
    with default_dtype(torch.bfloat16), shielded():
        whole = torch.arange(1, 4)
        for made in (
            torch.zeros(2), torch.tensor([0.1]), torch.full((2,), 0.1), torch.linspace(0, 1, 3), torch.eye(2),
            whole / 3, whole * 0.1, 2.0 ** -whole, torch.where(whole > 1, 0.1, 0.2), whole.sqrt(), torch.rand(2),
            torch.zeros(2, dtype=None),
        ):  # fmt: skip
            assert made.dtype == torch.float32
        assert (whole / 3)[0] == torch.tensor(1 / 3, dtype=torch.float32)
        assert (whole.half().dtype, whole.to(torch.float64).dtype) == (torch.float16, torch.float64)
        assert (torch.zeros(2, dtype=torch.float64) / 3).dtype == torch.float64
        assert (torch.arange(3).dtype, torch.full((2,), 7).dtype, (whole > 1).dtype) == (torch.int64,) * 2 + (
            torch.bool,
        )
        assert torch.get_default_dtype() == torch.bfloat16, "the default of all threads is as it was"
        in_a_thread(lambda: other.append(torch.zeros(2).dtype))
    assert other == [torch.bfloat16]


def test_random_numbers_within_the_shield_are_those_of_their_seed() -> None:
    expected = torch.rand(5, generator=torch.Generator().manual_seed(4))
    with default_dtype(torch.float64), shielded():
        assert torch.equal(torch.rand(5, generator=torch.Generator().manual_seed(4)), expected)


@pytest.mark.parametrize("gradients", [True, False])
def test_gradients_go_through_the_shield_only_where_it_is_told_to_let_them(gradients: bool) -> None:
    one = torch.ones(2, requires_grad=True)
    with shielded(gradients=gradients):
        assert (one * 2).requires_grad == gradients
    with torch.no_grad(), shielded(gradients=gradients):
        assert not (one * 2).requires_grad
    with torch.inference_mode(), shielded(gradients=gradients):
        assert not (one * 2).requires_grad
        assert not (one * 2).is_inference()


def test_directions_of_a_large_mlp_are_found_whatever_the_default_dtype_is() -> None:
    W = torch.randn(400, 900, generator=torch.Generator().manual_seed(0))
    W[:3] *= 9  # leading values far from the others, so that they are found by iteration
    expected = hg.FactoredMatrix(W, torch.eye(900)).svd(3)[1]
    from headgrid.linalg.svd import spectrum_of

    with default_dtype(torch.float64):
        torch.testing.assert_close(spectrum_of(W, 3).values[:3], expected, rtol=1e-6, atol=0)
