"""Circuits in GPT-2 small."""

from __future__ import annotations

from headgrid.library import prompts
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.published import PublishedCircuit

MODELS = ("gpt2", "openai-community/gpt2")
SHAPE = ModelShape("gpt2", 12, 12, 12, 768, 64, 3072, "standard")

ACDC = "https://github.com/ArthurConmy/Automatic-Circuit-Discovery"
CLAIMS = "https://github.com/elliottower/mechanistic-validity/blob/main/claims"
"""Sentences of the papers themselves, quoted with the section."""

MECHRL = "https://github.com/BarsatKhadka/MechRL/blob/main/scripts/zero_shot_eval.py"
"""Lists of the heads that several papers name, each with its paper."""

IOI = PublishedCircuit(
    name="ioi",
    title="Indirect object identification",
    models=MODELS,
    shape=SHAPE,
    roles={
        "duplicate token": CircuitRole(
            "l0h[1,10] | l3h0", "From the second mention of a name, attends to the first: this name was said before."
        ),
        "previous token": CircuitRole(
            "l2h2 | l4h11", "Writes at each token which token came before it, so that induction heads can find it."
        ),
        "induction": CircuitRole(
            "l5h[5,8,9] | l6h9",
            "From the second mention, attends to what followed the first: the same, in another way.",
        ),
        "S-inhibition": CircuitRole(
            "l7h[3,9] | l8h[6,10]",
            "At the end, attends to the second mention, and turns name movers away from that name.",
        ),
        "name mover": CircuitRole(
            "l9h[6,9] | l10h0", "At the end, attends to the name that is left, and copies it to the output."
        ),
        "negative name mover": CircuitRole(
            "l10h7 | l11h10", "Attends likewise, and writes against the name that it attends to."
        ),
        "backup name mover": CircuitRole(
            "l9h[0,7] | l10h[1,2,6,10] | l11h[2,9]", "Does little until name movers are ablated, and then their work."
        ),
    },
    edges=(
        ("previous token", "induction.k"),
        ("previous token", "induction.v"),
        ("duplicate token", "S-inhibition.k"),
        ("duplicate token", "S-inhibition.v"),
        ("induction", "S-inhibition.k"),
        ("induction", "S-inhibition.v"),
        ("S-inhibition", "name mover.q"),
        ("S-inhibition", "negative name mover.q"),
        ("S-inhibition", "backup name mover.q"),
    ),
    citation=CircuitCitation(
        "Wang, Variengien, Conmy, Shlegeris and Steinhardt",
        2022,
        "Interpretability in the Wild: a Circuit for Indirect Object Identification in GPT-2 small",
        "https://arxiv.org/abs/2211.00593",
    ),
    sources=(f"{ACDC}/blob/main/acdc/ioi/utils.py", f"{CLAIMS}/ioi.yaml"),
    disagreements=(
        "Which heads count as backups was a choice: the paper takes eight above a threshold, and says that others do "
        "as well.",
        "Of its induction heads only 5.5 and 6.9 are among the five that attend most by induction on repeated random "
        "tokens (entry induction); 5.8 and 5.9 are so on these prompts.",
        "By its own strictest test it is not complete: a greedy search finds heads without which circuit and model "
        "differ by up to 87 % of the logit difference.",
        "ACDC (Conmy et al. 2023) keeps far fewer heads on the same prompts, and MLPs, which this circuit leaves "
        "alone.",
    ),
    example=CircuitPrompt("Then Alice and Ben came to the park, and Ben handed a ball to", " Alice"),
    task=prompts.ioi,
    over_corrupted=True,
    note="Ablated heads get their mean over prompts with three different names. The paper reports that 87 % of the "
    "logit difference is left.",
)

GREATER_THAN = PublishedCircuit(
    name="greater-than",
    title="Greater-than, on spans of years",
    models=MODELS,
    shape=SHAPE,
    roles={
        "early heads": CircuitRole("l0h[1,3,5]", "At the first year, help to write which year it is."),
        "early MLPs": CircuitRole("l[0-3] mlp", "At the first year, make of it what later heads move."),
        "year movers": CircuitRole(
            "l5h[1,5] | l6h9 | l7h10 | l8h[8,11] | l9h1", "At the end, attend to the first year and bring it there."
        ),
        "late MLPs": CircuitRole("l[8-11] mlp", "Make years above the first more likely, and those below it less."),
    },
    edges=(
        ("l5h[1,5] | l6h9 | l7h10 | l8h[8,11]", "l8 mlp"),
        ("l9h1", "l9 mlp"),
    ),
    citation=CircuitCitation(
        "Hanna, Liu and Variengien",
        2023,
        "How does GPT-2 compute greater-than?: Interpreting mathematical abilities in a pre-trained language model",
        "https://arxiv.org/abs/2305.00586",
    ),
    sources=(
        "https://github.com/hannamw/gpt2-greater-than/blob/main/circuit_discovery.py",
        f"{CLAIMS}/greater_than.yaml",
    ),
    disagreements=(
        "The list in the code of ACDC (Conmy et al. 2023) has 6.1 and lacks 5.1 and 8.8.",
        "The same heads are used where the answer should be less: the circuit is not one of arithmetic.",
    ),
    example=CircuitPrompt("The war lasted from the year 1732 to the year 17"),
    task=prompts.greater_than,
    mode="patch",
    note="Ablated parts get what they have where the first year is 01. MLPs are part of the circuit: those outside it "
    "are replaced too.",
)

INDUCTION = PublishedCircuit(
    name="induction",
    title="Induction heads",
    models=MODELS,
    shape=SHAPE,
    roles={
        "previous token": CircuitRole("l2h2 | l4h11", "Attends to the token before, and writes which it was."),
        "induction": CircuitRole(
            "l5h[1,5] | l6h9 | l7h[2,10]",
            "Attends to what followed the same token before, and makes it more likely to come next.",
        ),
    },
    edges=(("previous token", "induction.k"),),
    citation=CircuitCitation(
        "Olsson et al.", 2022, "In-context Learning and Induction Heads", "https://arxiv.org/abs/2209.11895"
    ),
    sources=("https://github.com/designer-coderajay/induction-head-detector", f"{CLAIMS}/ioi.yaml"),
    disagreements=(
        "The paper studies models that were not released; that these five heads attend by induction in GPT-2 small is "
        "what many have measured on repeated random tokens, by scores from 0.75 to 0.93 that depend on the length.",
        "2.2 and 4.11 are the previous-token heads of Wang et al. 2022; others attend so too, and by composition of "
        "weights alone 3.3 comes out before them.",
        "On sentences, Wang et al. 2022 count 5.5, 5.8, 5.9 and 6.9 (entry ioi).",
    ),
    example=CircuitPrompt("Random tokens, and the same tokens again"),
    task=prompts.induction,
    note="The five are the heads that attend most by induction, and not a circuit that somebody has shown to be "
    "enough.",
)

COPY_SUPPRESSION = PublishedCircuit(
    name="copy-suppression",
    title="Copy suppression",
    models=MODELS,
    shape=SHAPE,
    roles={
        "copy suppression": CircuitRole(
            "l10h7", "Attends to an earlier token that is about to be said again, and makes it less likely."
        ),
        "copy suppression, weaker": CircuitRole("l11h10", "Does the same to a lesser extent."),
    },
    citation=CircuitCitation(
        "McDougall, Conmy, Rushing, McGrath and Nanda",
        2023,
        "Copy Suppression: Comprehensively Understanding an Attention Head",
        "https://arxiv.org/abs/2310.04625",
    ),
    sources=(f"{CLAIMS}/copy_suppression.yaml", "https://arxiv.org/abs/2310.04625"),
    disagreements=(
        "These are the negative name movers of Wang et al. 2022, and the anti-induction heads of others: one "
        "mechanism under three names.",
    ),
    example=CircuitPrompt("All's fair in love and", " war"),
    note="Of the effect of 10.7 on text, 76.9 % is this, by the paper's own ablation; it is about a head on all text, "
    "and not about a task.",
)

ACRONYMS = PublishedCircuit(
    name="acronyms",
    title="Three-letter acronyms",
    models=MODELS,
    shape=SHAPE,
    roles={
        "previous token": CircuitRole("l1h0 | l2h2 | l4h11", "Attends to the token before, and writes which it was."),
        "propagation": CircuitRole("l5h8", "Passes on to the letter movers what these have written."),
        "letter mover": CircuitRole(
            "l8h11 | l9h9 | l10h10 | l11h4", "Attends to the word whose turn it is, and copies its first letter."
        ),
    },
    citation=CircuitCitation(
        "García-Carrasco, Maté and Trujillo",
        2024,
        "How does GPT-2 Predict Acronyms? Extracting and Understanding a Circuit via Mechanistic Interpretability",
        "https://arxiv.org/abs/2405.04156",
    ),
    sources=(MECHRL,),
    example=CircuitPrompt("The Central Health Board (CH", "B"),
    task=prompts.acronyms,
    over_corrupted=True,
    note="The paper predicts all three letters; the task here asks for the third alone.",
)

PRONOUNS = PublishedCircuit(
    name="gendered-pronouns",
    title="Gendered pronouns",
    models=MODELS,
    shape=SHAPE,
    roles={
        "at the name": CircuitRole("l0h4 | l2h6", "Acts at the name of the person."),
        "at the verb": CircuitRole("l4h3 | l6h0", 'Acts at the "is" that follows it.'),
        "late": CircuitRole("l9h7 | l10h9 | l11h8", "Acts at the end, where the pronoun comes next."),
    },
    citation=CircuitCitation(
        "Mathwin and Corlouer",
        2023,
        "Identifying a Preliminary Circuit for Predicting Gendered Pronouns in GPT-2 Small",
        "https://www.apartresearch.com/project/identifying-a-preliminary-circuit-for-predicting-gendered-pronouns-in-gpt-2-small",
    ),
    sources=(MECHRL,),
    disagreements=(
        "Preliminary by its own name. It lists 1.4 at the name as well, and finds that it has no effect; it is left "
        "out here.",
        "Other searches of the same prompts keep other heads beside 0.4, 4.3, 6.0, 9.7 and 10.9, and MLPs.",
    ),
    example=CircuitPrompt("So Mary is a really good teacher, isn't", " she"),
    task=prompts.pronouns,
    over_corrupted=True,
    note='The report has "That person" in the place of the name as its baseline; the task here has a name of the other '
    "gender, which leaves out whatever finds that a pronoun comes next.",
)

AGREEMENT = PublishedCircuit(
    name="verb-agreement",
    title="Subject-verb agreement",
    models=MODELS,
    shape=SHAPE,
    roles={
        "the same on all prompts": CircuitRole("l0h4 | l6h0", "Attends alike whatever the subject is."),
        "subject scanner": CircuitRole("l0h8 | l1h0", "Attends widely over the subject."),
        "conjunction": CircuitRole("l1h1", 'Attends to the "and" of a subject that is two.'),
        "subject anchor": CircuitRole(
            "l2h[1,6] | l9h4 | l10h0 | l11h[4,6,7]", "Attends to the subject, up to where the verb comes next."
        ),
    },
    citation=CircuitCitation(
        "Africa", 2025, "Identifying a Circuit for Verb Conjugation in GPT-2", "https://arxiv.org/abs/2506.22105"
    ),
    sources=(MECHRL,),
    disagreements=(
        "A preprint that no one has reviewed. By it, the circuit is right in 65 % of the cases and the model in 70 %.",
        "Lepori et al. 2024 (arXiv:2311.04354) place agreement of GPT-2 small in the attention of layer 6.",
    ),
    example=CircuitPrompt("The authors that liked the dancer", " are"),
    task=prompts.agreement,
    over_corrupted=True,
    note='The paper has names as subjects ("Alice and Bob walk"); the task here has nouns with a clause.',
)

ENTRIES = (IOI, GREATER_THAN, INDUCTION, COPY_SUPPRESSION, ACRONYMS, PRONOUNS, AGREEMENT)
