"""Circuits in small models other than GPT-2's: an attention-only model, Pythia."""

from __future__ import annotations

from headgrid.library import prompts
from headgrid.library.entries.gpt2_small import ACDC, CLAIMS
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.published import PublishedCircuit

DOCSTRING = PublishedCircuit(
    name="docstring",
    title="Arguments in docstrings",
    models=("attn-only-4l", "NeelNanda/Attn_Only_4L512W_C4_Code", "Attn_Only_4L512W_C4_Code"),
    shape=ModelShape("hooked", 4, 8, 8, 512, 64, 0, "standard"),
    roles={
        "duplicate token": CircuitRole("l0h5", "Acts on single tokens mostly, as a change of their embedding."),
        "against documented arguments": CircuitRole(
            "l1h2", "Attends to arguments that were said twice, and keeps the argument movers away from them."
        ),
        "induction and previous token": CircuitRole(
            "l1h4", "In the docstring an induction head, in the argument list one that attends to what came before."
        ),
        "previous token": CircuitRole("l2h0", "In the argument list, writes at an argument which came before it."),
        "argument mover": CircuitRole(
            "l3h[0,6]", "At the end, attends to the argument that is due, and copies it to the output."
        ),
    },
    edges=(
        ("l0h5", "l1h4.v"),
        ("l0h5", "l1h2.q"),
        ("l0h5", "l1h2.k"),
        ("l0h5", "l2h0.q"),
        ("l0h5", "l2h0.k"),
        ("l1h4", "l2h0.v"),
        ("l1h4", "argument mover.q"),
        ("l0h5", "argument mover.v"),
        ("l2h0", "argument mover.k"),
        ("l1h2", "argument mover.k"),
    ),
    citation=CircuitCitation(
        "Heimersheim and Janiak",
        2023,
        "A circuit for Python docstrings in a 4-layer attention-only transformer",
        "https://www.alignmentforum.org/posts/u6KXXmKFbXfWzoAXn/a-circuit-for-python-docstrings-in-a-4-layer-attention-only",
    ),
    sources=(f"{ACDC}/blob/main/acdc/docstring/utils.py",),
    disagreements=(
        "The authors count 0.2 (previous token) and 0.4 (positions) as parts of it as well, which no patching shows; "
        "the edges that were released have neither.",
        "Alone, it does half of the task at most: with all else ablated 42 % of the answers are right, of the model "
        "56 %.",
    ),
    example=CircuitPrompt(
        "def run(self, mode, value, load, size, files, last): ... :param load: ... :param size: ... :param", " files"
    ),
    task=prompts.docstring,
    over_corrupted=True,
    note="The model has no MLPs and exists for TransformerLens alone.",
)

SUCCESSOR = PublishedCircuit(
    name="successor",
    title="Successor head",
    models=("EleutherAI/pythia-1.4b", "pythia-1.4b"),
    shape=ModelShape("gpt_neox", 24, 16, 16, 2048, 128, 8192, "rotary"),
    roles={
        "successor": CircuitRole(
            "l12h0", "Maps a token of an ordered kind to the next one: Monday to Tuesday, 4 to 5."
        ),
    },
    citation=CircuitCitation(
        "Gould, Ong, Ogden and Conmy",
        2023,
        "Successor Heads: Recurring, Interpretable Attention Heads In The Wild",
        "https://arxiv.org/abs/2312.09230",
    ),
    sources=(f"{CLAIMS}/successor_heads.yaml",),
    disagreements=(
        "The head does other things too: the paper finds acronyms and comparisons of numbers among what it helps with.",
    ),
    example=CircuitPrompt("Monday, Tuesday,", " Wednesday"),
    note="It was found from weights, the embedding through the first MLP and the head's OV, and not on prompts.",
)

ENTRIES = (DOCSTRING, SUCCESSOR)
