"""Circuits in the models that ship with headgrid; the tests measure each again on the shipped weights.

A circuit of another shipped model is one more entry: its shape, its card, and in `shipped` a function that loads it.
"""

from __future__ import annotations

from functools import partial

from headgrid.demo import demo
from headgrid.library import prompts
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.published import PublishedCircuit

DEMO = ModelShape("gpt2", 2, 4, 4, 96, 24, 96, "standard")

CARD = CircuitCitation("headgrid", 2026, "The card of the demo model", "src/headgrid/demo/model/README.md")
"""Where the figures of the model stand that headgrid.demo() gives."""

INDUCTION = PublishedCircuit(
    name="demo-induction",
    title="Induction, in the model that ships with headgrid",
    models=("headgrid.demo()",),
    shape=DEMO,
    roles={
        "previous token": CircuitRole("l0h1", "Attends to the token before, and writes which it was."),
        "induction": CircuitRole("l1h2", "Attends to what followed the same token before, and copies it."),
    },
    edges=(("previous token", "induction.k"),),
    citation=CARD,
    sources=(CARD.url,),
    example=CircuitPrompt("Random tokens, and the same tokens again"),
    task=prompts.induction,
    shipped=demo,
)

NAMES = PublishedCircuit(
    name="demo-names",
    title="Names, in the model that ships with headgrid",
    models=("headgrid.demo()",),
    shape=DEMO,
    roles={
        "mover": CircuitRole(
            "l1h2", "At the end, attends to both names and copies them, which leaves the choice open."
        ),
        "suppressor": CircuitRole(
            "l1h[0,1,3]", "At the end, attends to whoever gives, and writes against that name: this makes the choice."
        ),
    },
    citation=CARD,
    sources=(CARD.url,),
    disagreements=(
        "The task is that of Wang et al. 2022, and the circuit is not: nothing here notices that a name is said twice.",
    ),
    example=CircuitPrompt("when mary and john went to the store , john gave a drink to", " mary"),
    task=prompts.names,
    shipped=demo,
    note="The circuit is all of layer 1, so no other one has as many heads in each layer. What the mover does shows "
    "in the "
    'probability of the answer, and not in the logit difference: Task.names(tokenizer, metric="prob").',
)

MARKING = PublishedCircuit(
    name="demo-duplicate-marking",
    title="Marking of the name that is repeated",
    models=('headgrid.demo("names")',),
    shape=ModelShape("gpt2", 3, 4, 4, 96, 24, 96, "standard"),
    roles={
        "previous token": CircuitRole("l0h0", "Writes at each token which token came before it."),
        "marker": CircuitRole(
            "l1h0",
            "At a name that was said before, attends to what followed it then, and writes against the name; at a new "
            "name attends to itself, and writes for it.",
        ),
        "reader": CircuitRole(
            "l2h0", "At the end, attends to every name alike, and copies what the marker wrote there."
        ),
    },
    edges=(("previous token", "marker.k"), ("marker", "reader.v")),
    citation=CircuitCitation("headgrid", 2026, 'The card of the model "names"', "src/headgrid/demo/names/README.md"),
    sources=("src/headgrid/demo/names/README.md",),
    disagreements=(
        "This is not S-inhibition, as Wang et al. 2022 have it: no head keeps the reader away from a name, and nothing "
        "reaches its query.",
    ),
    example=CircuitPrompt("when mary and john went to the store , john gave a drink to", " mary"),
    task=prompts.marked_names,
    over_corrupted=True,
    shipped=partial(demo, "names"),
    note="Ablated heads get their mean over prompts with a third name at the first mention, in which none is said "
    "twice: a mean over prompts that all repeat a name keeps the mark.",
)

GROUPED = PublishedCircuit(
    name="demo-induction-grouped",
    title="Induction under grouped-query attention",
    models=('headgrid.demo("gqa")',),
    shape=ModelShape("llama", 2, 8, 2, 96, 24, 1, "rotary"),
    roles={
        "previous token": CircuitRole("l0h1", "Attends to the token before, and writes which it was."),
        "induction": CircuitRole(
            "l1h5", "Attends to what followed the same token before; its three siblings read the same keys, and do not."
        ),
    },
    edges=(("previous token", "induction.k"),),
    citation=CircuitCitation("headgrid", 2026, 'The card of the model "gqa"', "src/headgrid/demo/gqa/README.md"),
    sources=("src/headgrid/demo/gqa/README.md",),
    example=CircuitPrompt("Random tokens, and the same tokens again"),
    task=prompts.induction,
    shipped=partial(demo, "gqa"),
)

ENTRIES = (INDUCTION, NAMES, MARKING, GROUPED)
