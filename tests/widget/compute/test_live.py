"""What heads do on a text, as the widget shows it: the numbers of the experiments, read and dropped as a view asks."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, Gate, focus, settled
from hands import cell
from live_grids import TEXT, decoded, prompt, query, watched

import headgrid as hg
from headgrid.experiments.head_types import BY_PLACE, LABELS
from headgrid.experiments.interventions import Interventions
from headgrid.widget.compute import live_patterns, live_task, next_tokens, pass_size
from headgrid.widget.compute.live import Live
from headgrid.widget.compute.live_reader import LiveReader


@pytest.mark.parametrize(("row", "tokens"), [(0, pass_size.TOKENS), (2, 16)])
def test_patterns_and_types_are_those_of_attention(monkeypatch: pytest.MonkeyPatch, row: int, tokens: int) -> None:
    monkeypatch.setattr(pass_size, "TOKENS", tokens)  # of shuffled texts in one pass, or of one of them
    model, tokenizer = hg.demo()
    task = hg.Task(tokenizer, [TEXT, "the dog says", "a kitten is a young kitten is"], padding="left")
    grid = watched(select="l1h2 | l0h3", task=task)
    focus(grid, 4, "l0h1")
    query(grid, 7, row)
    view = settled(grid).live
    assert [head["title"] for head in view["heads"]] == ["l0h1", "l0h3", "l1h2"]
    assert (view["query"], view["focus"], view["row"], view["n_heads"]) == (7, 4, row, 3)
    assert (view["pending"], view["error"]) == (False, "")
    one = task.rows([row])
    expected = hg.attention(model, one, "l0h1 | l0h3 | l1h2")
    assert view["tokens"] == expected.tokens[0]
    for head in view["heads"]:
        found = decoded(view, head)
        assert np.abs(found - expected.row(head["title"]).pattern.numpy()).max() <= 1 / 255
        layer, number = int(head["title"][1]), int(head["title"][3])
        for score in head["scores"]:
            name = next(key for key, said in LABELS.items() if said == score["name"])
            whole = expected.score(name, draws=live_patterns.DRAWS)
            assert score["value"] == pytest.approx(float(whole.values[layer, number]), rel=1e-3)
            base = whole.evenly if name in BY_PLACE else whole.shuffled
            assert score["base"] == pytest.approx(float(base[layer, number]), rel=1e-3)
            assert score["against"] == ("even attention" if name in BY_PLACE else "shuffled tokens")
        margins = [score["value"] - score["base"] for score in head["scores"]]
        assert margins == sorted(margins, reverse=True)
        assert {"previous token", "first token"} <= {score["name"] for score in head["scores"]}


def test_the_heads_of_the_shipped_model_show_the_types_that_they_are_known_for() -> None:
    grid = watched(select="l0h1 | l1h2")
    prompt(grid, 1, 2 * "the dog says a kitten and mary went ")
    query(grid, 1)
    first = {head["title"]: head["scores"][0]["name"] for head in settled(grid).live["heads"]}
    assert first == {"l0h1": "previous token", "l1h2": "induction"}


def test_the_next_tokens_are_the_models() -> None:
    model, tokenizer = hg.demo()
    grid = watched()
    prompt(grid, 1, TEXT)
    query(grid, 1)
    view = settled(grid).live
    with torch.no_grad():
        p = model(**tokenizer(TEXT, return_tensors="pt")).logits[0, -1].softmax(-1)
    assert view["next"][0]["token"] == " mary"
    assert [one["p"] for one in view["next"]] == pytest.approx(p.topk(next_tokens.SHOWN).values.tolist(), rel=1e-4)
    assert view["heads"] == []
    assert view["tokens"][:2] == ["<bos>", " when"]


def test_heads_that_see_ahead_and_heads_that_see_another_text_are_sent_whole() -> None:
    grid = watched(tiny.fresh("t5"))
    prompt(grid, 1, "5 7 9 11 7")
    focus(grid, 1, "cross l1h3")
    query(grid, 1)
    view = settled(grid).live
    assert (view["tokens"], view["keys"], view["triangle"]) == (["#0"], ["#5", "#7", "#9", "#11", "#7"], False)
    assert decoded(view, view["heads"][0]).sum() == pytest.approx(1, abs=0.02)
    focus(grid, 2, "encoder l0h1")
    view = settled(grid).live
    assert (len(view["tokens"]), view["keys"], view["triangle"]) == (5, [], False)
    assert decoded(view, view["heads"][0]).sum(1) == pytest.approx(np.ones(5), abs=0.03)


@pytest.mark.slow
def test_eight_heads_are_shown_and_all_are_counted() -> None:
    grid = watched(tiny.fresh(LLAMA), select="l0h* | l1h*")
    prompt(grid, 1, "5 7 9")
    focus(grid, 1, "l2h5")
    query(grid, 1)
    view = settled(grid).live
    assert [head["title"] for head in view["heads"]][:3] == ["l2h5", "l0h0", "l0h1"]
    assert (len(view["heads"]), view["n_heads"]) == (8, 13)


def test_a_closed_panel_reads_nothing_and_a_grid_without_a_text_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, next_tokens, "_probabilities")
    gate.go.set()
    grid = watched(task=hg.Task(hg.demo()[1], [TEXT], answers=[" mary"]), select="l0h1")
    focus(grid, 1, "l0h1")
    settled(grid)
    assert gate.calls == 0
    grid.task = None
    query(grid, 3, thumbnails=True)
    assert (settled(grid).live["query"], grid.live["heads"]) == (3, [])
    assert grid.thumbnails["note"].startswith("There is no text yet")
    assert gate.calls == 0


def test_a_head_that_was_read_is_shown_at_once_and_none_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched()
    prompt(grid, 1, TEXT)
    query(grid, 1)
    for n, word in enumerate(["l0h1", "l1h2"], 1):
        focus(grid, n, word)
        settled(grid)
    monkeypatch.setattr(live_patterns.RowHeads, "read", property(lambda _: pytest.fail("it was read before")))
    focus(grid, 3, "l0h1")
    assert [head["title"] for head in grid.live["heads"]] == ["l0h1"]
    assert grid.live["heads"][0]["scores"]
    assert (settled(grid).live["focus"], grid.live["pending"], grid.live["error"]) == (3, False, "")


class Passes:
    """The passes of a model in their order, of which the second waits until it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self.done, self.begun, self.go = list[str](), threading.Event(), threading.Event()
        self._note(monkeypatch, where, name, "other")
        self._note(monkeypatch, live_patterns.RowHeads, "bytes_of", "pattern")

    def _note(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, what: str) -> None:
        original = getattr(where, name)

        def noted(*given: Any, **named: Any) -> Any:
            self.done.append(what)
            if self.done.count("other") == 2 and what == "other":
                self.begun.set()
                assert self.go.wait(60)
            return original(*given, **named)

        monkeypatch.setattr(where, name, noted)


@pytest.mark.parametrize("what", ["types", "effect of each head", "effect of the selection"])
def test_a_head_that_is_clicked_comes_before_the_rest_of_what_is_computed(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(pass_size, "TOKENS", 16)
    monkeypatch.setattr(pass_size, "MEMORY", 1)
    grid = watched(task=hg.Task(hg.demo()[1], [TEXT], answers=[" mary"]))
    if what == "types":
        passes = Passes(monkeypatch, live_patterns._TypeTables, "add")  # once for each pass on shuffled tokens
        focus(grid, 1, "l1h2")
        query(grid, 1)
    else:
        query(grid, 1)
        settled(grid)
        passes = Passes(monkeypatch, Interventions, "_pass")
        if what == "effect of each head":
            grid.set_state({"recolor": {"n": 1, "metric": "effect", "ln": "folded"}})
        else:
            grid.select("l1h2")
    assert passes.begun.wait(60)
    before = len(passes.done)
    focus(grid, 2, "l0h1")
    passes.go.set()
    assert settled(grid).live["heads"][0]["title"] == "l0h1"
    assert grid.live["heads"][0]["scores"]
    assert passes.done[before] == "pattern", passes.done
    assert passes.done.count("other") > 3, "it goes on afterwards"


def test_a_new_text_drops_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched()
    gate = Gate(monkeypatch, live_task, "typed")
    prompt(grid, 1, "the dog says")
    assert gate.begun.wait(60)
    prompt(grid, 2, TEXT)
    gate.go.set()
    settled(grid)
    assert (grid.task_state["prompt"], grid.task_state["rows"], gate.calls) == (2, [TEXT], 2)


def test_what_is_asked_of_an_old_text_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched()
    prompt(grid, 1, TEXT)
    focus(grid, 1, "l0h1")
    settled(grid)
    gate = Gate(monkeypatch, live_patterns.RowHeads, "bytes_of")
    monkeypatch.setattr(live_patterns.RowHeads, "bytes_of", lambda *given: gate._call(*given))
    query(grid, 1)
    assert gate.begun.wait(60)
    grid.task = hg.Task(hg.demo()[1], ["the dog says"])
    gate.go.set()
    view = settled(grid).live
    assert view["tokens"] == ["<bos>", " the", " dog", " says"]
    assert decoded(view, view["heads"][0]).shape == (4, 4)


@pytest.mark.slow
def test_the_effect_is_that_of_effect() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, n=6)
    grid = watched(task=task, select="l0h1 | l1h2")
    query(grid, 1)
    found = settled(grid).effect
    expected = hg.effect(model, task, "l0h1 | l1h2", controls=20, draws=5)
    assert [one["mode"] for one in found["modes"]] == ["zero", "mean", "resample", "patch"]
    assert (found["text"], found["metric"], found["pending"]) == ("l0h1 | l1h2", "logit difference", False)
    for one in found["modes"]:
        whole = expected[one["mode"]]
        assert one["value"] == pytest.approx(whole.mean, rel=1e-4, abs=1e-6)
        assert (one["low"], one["high"]) == pytest.approx((whole.low, whole.high), rel=1e-4, abs=1e-6)
        assert one["controls"] == pytest.approx(whole.controls.tolist(), rel=1e-4, abs=1e-5)
    assert found["clean"] == pytest.approx(expected.clean, rel=1e-5)
    assert "the logit difference changes by" in found["sentence"]


def test_next_tokens_without_the_selection_are_those_of_an_ablated_model() -> None:
    model, tokenizer = hg.demo()
    grid = watched(select="l0h1 | l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1)
    found = settled(grid).effect
    given = tokenizer(TEXT, return_tensors="pt")
    others = "l0h0 | l0h2 | l0h3 | l1h0 | l1h1 | l1h3"
    for shown, heads in ((found["without"], "l0h1 | l1h2"), (found["alone"], others)):
        with torch.no_grad(), hg.ablate(model, heads):
            p = model(**given).logits[0, -1].softmax(-1)
        assert [one["p"] for one in shown] == pytest.approx(p.topk(len(shown)).values.tolist(), rel=1e-3)
    assert found["next"] == grid.live["next"]
    assert [one["mode"] for one in found["modes"]] == ["zero"], "of one row there is no mean that is another"


def test_nothing_selected_has_no_effect_and_what_is_no_head_says_so() -> None:
    grid = watched()
    prompt(grid, 1, TEXT)
    query(grid, 1)
    assert (settled(grid).effect["text"], grid.effect["modes"]) == ("none", [])
    grid.select("l0 ln1")
    assert "no activation of its own" in settled(grid).effect["error"]
    assert not grid.effect["pending"]
    grid.select("l0 mlp")
    assert settled(grid).effect["error"] == ""
    assert grid.effect["modes"][0]["controls"] == [], "there is no other MLP in the layer"


@pytest.mark.slow
def test_forward_passes_of_others_never_see_the_hooks_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = hg.demo()
    grid = watched(model, tokenizer, task=hg.Task.names(tokenizer, n=40), select="l0h1 | l1h2")
    given = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        before = model(**given).logits
    query(grid, 1)
    seen = 0
    while not grid._scheduler.worker.join_idle(0.001) and seen < 200:
        with torch.no_grad():
            assert torch.equal(model(**given).logits, before)
        seen += 1
    assert seen
    assert settled(grid).effect["error"] == ""


def test_a_weight_that_changes_has_it_read_anew() -> None:
    model, tokenizer = hg.demo()
    grid = watched(model, tokenizer, select="l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1, thumbnails=True)
    before = dict(settled(grid).live), grid.effect["clean"], grid.thumbnails["values"]
    with torch.no_grad():
        model.get_parameter("transformer.h.0.attn.c_attn.weight").mul_(0.5)
    grid._scheduler.recheck()
    after = dict(settled(grid).live), grid.effect["clean"], grid.thumbnails["values"]
    assert all(one != other for one, other in zip(before, after, strict=True))
    expected = hg.attention(model, grid.task, "l1h2").row("l1h2").pattern.numpy()
    assert np.abs(decoded(grid.live, grid.live["heads"][0]) - expected).max() <= 1 / 255


def test_an_answer_that_was_read_while_weights_changed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = hg.demo()
    grid = watched(model, tokenizer, select="l1h2")
    prompt(grid, 1, TEXT)
    settled(grid)
    gate = Gate(monkeypatch, live_patterns.RowHeads, "bytes_of")
    monkeypatch.setattr(live_patterns.RowHeads, "bytes_of", lambda *given: gate._call(*given))
    query(grid, 1)
    assert gate.begun.wait(60)
    with torch.no_grad():
        model.get_parameter("transformer.h.1.attn.c_attn.weight").mul_(0.5)
    gate.go.set()
    view = settled(grid).live
    assert gate.calls > 1
    expected = hg.attention(model, grid.task, "l1h2").row("l1h2").pattern.numpy()
    assert np.abs(decoded(view, view["heads"][0]) - expected).max() <= 1 / 255


def test_a_fault_is_said_and_the_last_answer_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched()
    prompt(grid, 1, TEXT)
    focus(grid, 1, "l0h1")
    query(grid, 1)
    before = settled(grid).live

    def out_of_memory(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    with monkeypatch.context() as patched:
        patched.setattr(live_patterns.PatternReader, "read", out_of_memory)
        focus(grid, 2, "l1h2")
        view = settled(grid).live
    assert view["error"].startswith("There is not enough memory")
    assert (view["focus"], view["pending"], view["heads"]) == (2, False, before["heads"])
    query(grid, 2)
    assert (settled(grid).live["error"], grid.live["heads"][0]["title"]) == ("", "l1h2")


def test_of_a_task_with_fewer_rows_than_the_last_one_the_last_row_is_shown() -> None:
    model, tokenizer = hg.demo()
    grid = watched(model, tokenizer, task=hg.Task(tokenizer, [TEXT, "the dog says"], padding="left"), select="l1h2")
    query(grid, 1, row=1, thumbnails=True)
    assert (settled(grid).live["row"], len(grid.live["tokens"])) == (1, 4)
    prompt(grid, 1, TEXT)
    assert (settled(grid).live["row"], len(grid.live["tokens"]), grid.live["error"]) == (0, 15, "")
    assert (grid.thumbnails["row"], grid.effect["row"]) == (0, 0)


def test_who_sleeps_forgets_and_who_wakes_shows_it_still() -> None:
    grid = watched(select="l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1, thumbnails=True)
    before = settled(grid).live, grid.effect, grid.thumbnails
    grid.set_state({"_view_count": 0})
    assert grid._scheduler.live._reader._answers.heads == {}
    grid.set_state({"_view_count": 1})
    settled(grid)
    assert (grid.live, grid.effect, grid.thumbnails) == before
    focus(grid, 1, "l0h1")
    assert [head["title"] for head in settled(grid).live["heads"]] == ["l0h1", "l1h2"]


def test_while_nobody_looks_nothing_is_read() -> None:
    grid = watched(select="l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1, thumbnails=True)
    settled(grid)
    grid.set_state({"_view_count": 0})
    grid.select("l0h1")
    grid.task = hg.Task(grid.tokenizer, ["the dog says"])
    thread = grid._scheduler.worker._thread
    if thread is not None:
        thread.join(60)
    assert grid._scheduler.worker._thread is None
    assert grid.live["heads"] == [], "and what was shown was of another text"
    grid.set_state({"_view_count": 1})
    assert [head["title"] for head in settled(grid).live["heads"]] == ["l0h1"]
    assert (len(grid.live["tokens"]), grid.effect["text"], grid.thumbnails["size"]) == (4, "l0h1", 4)


def test_what_slept_half_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched(select="l1h2")
    gate = Gate(monkeypatch, live_task, "typed")
    prompt(grid, 1, TEXT)
    query(grid, 1)
    assert gate.begun.wait(60)
    grid.set_state({"_view_count": 0})
    gate.go.set()
    settled(grid)
    assert grid.task is None
    grid.set_state({"_view_count": 1})
    assert settled(grid).live["heads"][0]["title"] == "l1h2"
    assert isinstance(grid._scheduler.live, Live)


def test_the_panel_of_a_padded_row_has_its_own_tokens_alone() -> None:
    grid = watched(task=hg.Task(hg.demo()[1], [TEXT, "the dog says"]))
    focus(grid, 1, "l0h1")
    query(grid, 1, row=1)
    assert settled(grid).live["tokens"] == ["<bos>", " the", " dog", " says"]
    assert len(grid.live["heads"][0]["values"]) == 4 * 5 // 2
    assert cell(grid, "l0h1") == grid.live["heads"][0]["cell"]


def test_a_job_that_was_stopped_for_another_text_puts_nothing_into_that_ones_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = watched(select="l1h2")
    prompt(grid, 1, "the dog the dog the dog the")
    settled(grid)
    gate = Gate(monkeypatch, LiveReader, "_fresh")
    monkeypatch.setattr(LiveReader, "_fresh", lambda *given: gate._call(*given))
    query(grid, 1)  # its job is held between seeing that it is wanted and reading
    assert gate.begun.wait(60)
    grid.task = hg.Task(grid.tokenizer, [TEXT])
    gate.go.set()
    view = settled(grid).live
    assert len(view["tokens"]) == 15
    expected = hg.attention(grid.model, grid.task, "l1h2").row("l1h2").pattern.numpy()
    assert np.abs(decoded(view, view["heads"][0]) - expected).max() <= 1 / 255
