"""The figures of the card of the marked-name model; the keys are the ``$names`` in ``card.md``.

Patches, edges and the kept circuit are measured with headgrid itself; `tests/demo/test_names.py` measures the main ones
again with hooks of its own.
"""

from __future__ import annotations

import random
from typing import Any

import torch

import headgrid as hg
from demo_model.measure import OV, attention, attention_scores, half_losses, heads_of
from demo_model.names.sentences import MarkedSentence, random_sentence
from demo_model.tables import kilobytes, name_of, signed, table
from demo_model.tokens import word_ids
from headgrid.demo import MarkedNamePrompts, demo, marked_name_prompts, repeated_tokens
from headgrid.demo.name_task import NAMES
from headgrid.demo.shipped import FOLDERS

PREVIOUS, INDUCTION, READER = (0, 0), (1, 0), (2, 0)
CIRCUIT = "l0h0 | l1h0 | l2h0"


def figures() -> dict[str, str]:
    """Measure everything that the card says."""
    model, tokenizer = demo("names")
    prompts = {
        "said twice": marked_name_prompts(tokenizer),
        "a third name at the second mention": marked_name_prompts(tokenizer, third="second"),
        "a third name at the first mention": marked_name_prompts(tokenizer, third="first"),
    }
    repeated = repeated_tokens(tokenizer, n=64, length=19)
    scores = attention_scores(model, repeated)
    first, second = half_losses(model, repeated)
    return {
        "kilobytes": kilobytes(FOLDERS / "names"),
        "parameters": f"{model.num_parameters():,}",
        "n_vocab": str(model.config.vocab_size),
        "d_mlp": str(model.config.n_inner),
        "answer_table": answer_table(model, tokenizer, prompts),
        "sentence_table": sentence_table(model, tokenizer),
        "attention_table": attention_table(model, prompts),
        "patch_table": patch_table(model, tokenizer),
        "edge_table": edge_table(model, tokenizer),
        "kept": kept(model, tokenizer),
        "ablation_table": ablation_table(model, tokenizer),
        "chain_table": chain_table(model, tokenizer),
        "first": f"{first:.2f}",
        "second": f"{second:.2f}",
        "previous_score": f"{scores['previous'][PREVIOUS]:.2f}",
        "induction_score": f"{scores['induction'][INDUCTION]:.2f}",
        "rest_score": f"{max(float(scores['induction'][one]) for one in heads_of(model) if one != INDUCTION):.2f}",
    }


@torch.no_grad()
def answer_table(model: Any, tokenizer: Any, prompts: dict[str, MarkedNamePrompts]) -> str:
    """What comes next: the names' probabilities, and the right one's logit over the wrong one's."""
    lines = []
    both = prompts | {"said twice, held-out pairs": marked_name_prompts(tokenizer, unseen=True)}
    for label, some in both.items():
        logits = model(input_ids=some.ids).logits[:, -1]
        p, each = logits.softmax(-1), range(len(logits))
        third = "" if torch.equal(some.third, some.wrong) else f"{p[each, some.third].mean():.2f}"
        gap = (logits[each, some.right] - logits[each, some.wrong]).mean()
        shares = (f"{p[each, name].mean():.2f}" for name in (some.right, some.wrong))
        lines.append((label, *shares, third, f"{p[each, some.right].min():.2f}", signed(float(gap), 1)))
    heading = ("prompts", "p of IO", "p of S", "p of the third", "smallest p of IO", "logits, IO - S")
    return table(heading, lines)


def sentence_table(model: Any, tokenizer: Any) -> str:
    """How often the likeliest word is a right name, on random sentences of every form."""
    wanted: dict[str, dict[str, Any]] = {
        "one name said twice": {"kind": "repeated"},
        "one name said twice, held-out pairs": {"kind": "repeated", "unseen": True},
        "one name said twice, held-out pairs of clauses": {"kind": "repeated", "frames": True},
        "two names at the second mention, one of them said twice": {"kind": "two"},
        "no name said twice": {"kind": "new"},
    }
    draw, lines = random.Random(11), []
    for label, how in wanted.items():
        right, all_right = right_answers(model, tokenizer, [random_sentence(draw, **how) for _ in range(128)])
        lines.append((label, f"{right:.3f}", f"{all_right:.3f}"))
    return table(("sentences", "the likeliest word is right", "p of all right names"), lines)


@torch.no_grad()
def right_answers(model: Any, tokenizer: Any, sentences: list[MarkedSentence]) -> tuple[float, float]:
    """How often the likeliest word is a right name, and the probability of all right names together."""
    words = word_ids(tokenizer)
    rows = [[tokenizer.bos_token_id, *(words[word] for word in sentence.words)] for sentence in sentences]
    longest = max(map(len, rows))
    ids = torch.tensor([one + [tokenizer.pad_token_id] * (longest - len(one)) for one in rows])
    p = model(input_ids=ids).logits[range(len(rows)), [len(one) - 1 for one in rows]].softmax(-1)
    right = torch.zeros_like(p)
    for row, sentence in enumerate(sentences):
        right[row, [words[name] for name in sentence.right]] = 1.0
    return right.gather(1, p.argmax(1, keepdim=True)).mean().item(), (p * right).sum(1).mean().item()


def attention_table(model: Any, prompts: dict[str, MarkedNamePrompts]) -> str:
    """Where the three heads look, in prompts with a repeated name and in the two controls."""
    lines = []
    patterns = {label: attention(model, some.ids) for label, some in prompts.items()}
    end = next(iter(patterns.values())).shape[-1] - 1
    for head, query, keys in (
        (INDUCTION, "S2", ("S2", "S1 + 1")),
        (READER, "the blank", ("IO", "S1", "S2", "IO + 1", "S1 + 1", "S2 + 1")),
    ):
        for key in keys:
            shares = []
            for label, some in prompts.items():
                places = {"IO": some.other, "S1": some.first, "S2": some.second}
                at = places[key[:2]] + (1 if "+" in key else 0)
                start = some.second if query == "S2" else torch.full_like(at, end)
                shares.append(f"{patterns[label][head][range(len(at)), start, at].mean():.2f}")
            lines.append((f"`{name_of(head)}`", query, key, *shares))
    return table(("head", "from", "to", *prompts), lines, texts=3)


def asked(tokenizer: Any, third: Any, n: int = 48) -> tuple[hg.Task, MarkedNamePrompts]:
    """The task, corrupted by one of the two controls, and its prompts."""
    clean, control = marked_name_prompts(tokenizer, n), marked_name_prompts(tokenizer, n, third=third)
    return hg.Task(tokenizer, clean.ids, answers=clean.right, wrong=clean.wrong, corrupted=control.ids), clean


def patch_table(model: Any, tokenizer: Any) -> str:
    """What the heads' output at one place is worth, as a share of clean minus corrupted logits."""
    task, clean = asked(tokenizer, "first")
    places = {"S1 + 1": clean.first + 1, "S2": clean.second, "the blank": torch.full_like(clean.first, -1)}
    heads = {f"`{name_of(head)}`": name_of(head) for head in (PREVIOUS, INDUCTION, READER)}
    heads["the nine others together"] = f"l*h* & ~({CIRCUIT})"
    lines = []
    for place, at in places.items():
        found = [
            hg.effect(model, task, heads[head], "patch", direction=way, positions=at).normalized["patch"]
            for head in heads
            for way in ("denoise", "noise")
        ]
        lines.append((place, *(signed(one, 2) for one in found)))
    return table(("at", *(f"{head}, {way}" for head in heads for way in ("denoise", "noise"))), lines)


def edge_table(model: Any, tokenizer: Any) -> str:
    """What the edges between the three heads carry, under both controls."""
    task = {third: asked(tokenizer, third)[0] for third in ("first", "second")}
    edges = [("l0h0", f"l1h0.{side}") for side in "qkv"] + [("l1h0", f"l2h0.{side}") for side in "qkv"]
    edges += [("l0h0", "l2h0.q"), *((one, "logits") for one in ("l0h0", "l1h0", "l2h0"))]
    lines = []
    for sender, end in edges:
        found = [float(hg.paths(model, one, sender, end).normalized[0]) for one in task.values()]
        lines.append((f"`{sender}` → `{end}`", *(signed(one, 2) for one in found)))
    return table(("edge", "a third name at the first mention", "at the second"), lines)


def reference(tokenizer: Any) -> hg.Task:
    """Prompts with a repeated name and without: a mean over the former alone would keep what they share."""
    some = [marked_name_prompts(tokenizer, 96, third=third).ids for third in (None, "first", "second")]
    return hg.Task(tokenizer, torch.cat(some))


def kept(model: Any, tokenizer: Any) -> str:
    """What the three heads do by themselves."""
    task, _ = asked(tokenizer, "first")
    found = hg.faithfulness(model, task, CIRCUIT, reference=reference(tokenizer), controls=20)
    return (
        f"{found.kept:.2f} of {found.clean:.2f} logits (faithfulness {found.faithfulness.value:.2f}); without them the "
        f"rest keeps {found.completeness.value:.2f}; twenty random sets of one head in each layer keep "
        f"{found.controls.max():.2f} at most"
    )


def ablation_table(model: Any, tokenizer: Any) -> str:
    """What is left of the logit difference without each head, its output replaced by its mean."""
    task, _ = asked(tokenizer, "first")
    cost = hg.sweep(model, task, "mean", reference=reference(tokenizer)).values
    n_heads = cost.shape[1]
    lines = [(f"layer {layer}", *(signed(float(one), 2) for one in costs)) for layer, costs in enumerate(cost)]
    return table(("", *(f"head {head}" for head in range(n_heads))), lines)


def chain_table(model: Any, tokenizer: Any) -> str:
    """Whether the chains of OV circuits, from names to names, copy or suppress."""
    words = word_ids(tokenizer)
    ids = torch.tensor([words[name] for name in NAMES])
    W_E = model.transformer.wte.weight.detach().double()[ids]
    n = model.config.n_embd
    ln_f = (torch.eye(n, dtype=torch.float64) - 1 / n) * model.transformer.ln_f.weight.detach().double()
    W_U = ln_f @ model.lm_head.weight.detach().double().T[:, ids]
    lines = []
    for chain in ([READER], [INDUCTION, READER], [PREVIOUS, INDUCTION, READER]):
        through = W_E
        for head in chain:
            through = through @ OV(model, head)
        values = torch.linalg.eigvals(through @ W_U)
        score = float(values.real.sum() / values.abs().sum())
        diagonal = (through @ W_U).diagonal()
        label = " → ".join(f"`{name_of(head)}`" for head in chain)
        lines.append((label, signed(score, 2), f"{int((diagonal > 0).sum())} of {len(NAMES)}"))
    return table(("chain", "copying score", "names with a positive diagonal"), lines)
