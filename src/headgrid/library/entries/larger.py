"""Circuits and sets of heads in models of two billion parameters and more."""

from __future__ import annotations

from headgrid.library import prompts
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.published import PublishedCircuit

LLAMA_7B = ModelShape("llama", 32, 32, 32, 4096, 128, 11008, "rotary")
LLAMA_13B = ModelShape("llama", 40, 40, 40, 5120, 128, 13824, "rotary")

TODD = CircuitCitation(
    "Todd, Li, Sharma, Mueller, Wallace and Bau",
    2023,
    "Function Vectors in Large Language Models",
    "https://arxiv.org/abs/2310.15213",
)
TODD_CODE = ("https://github.com/ericwtodd/function_vectors/blob/main/src/utils/extract_utils.py",)
TODD_DOES = "At the end of a few examples, writes which function they show; the ten with the largest mean effect."
TODD_NOTE = (
    "The ten that the authors' code lists first, by their mean effect over several tasks; where to stop is a choice."
)
TODD_PROMPT = CircuitPrompt("hot: cold, big: small, up:", " down")

AGREEMENT = PublishedCircuit(
    name="agreement-gemma-2b",
    title="Subject-verb agreement, in two languages",
    models=("google/gemma-2b", "gemma-2b"),
    shape=ModelShape("gemma", 18, 8, 1, 2048, 256, 16384, "rotary"),
    roles={
        "subject number": CircuitRole(
            "l13h7", "At the verb, writes whether the subject is one or many, alike in English and in Spanish."
        ),
        "subject number, weaker": CircuitRole("l17h4", "The second most important of the heads."),
    },
    citation=CircuitCitation(
        "Ferrando and Costa-jussà",
        2024,
        "On the Similarity of Circuits across Languages: a Case Study on the Subject-verb Agreement Task",
        "https://arxiv.org/abs/2410.06496",
    ),
    sources=("https://github.com/javiferran/circuits_languages",),
    disagreements=("In other models of the family it is another head: 19.3 in Gemma 2 2B, 22.6 in Gemma 7B.",),
    example=CircuitPrompt("The author that liked the dancer", " is"),
    task=prompts.agreement,
    mode="patch",
    note="All eight query heads share one key/value head. The paper also names neurons of the MLPs 13 and 17, which "
    "are not in this entry.",
)

FUNCTION_GPTJ = PublishedCircuit(
    name="function-vectors-gpt-j",
    title="Function vectors",
    models=("EleutherAI/gpt-j-6b", "EleutherAI/gpt-j-6B", "gpt-j-6B"),
    shape=ModelShape("gptj", 28, 16, 16, 4096, 256, 16384, "rotary"),
    roles={
        "function vector": CircuitRole(
            "l8h[0,1] | l9h[2,14] | l11h0 | l12h10 | l13h13 | l14h9 | l15h5 | l24h6", TODD_DOES
        ),
    },
    citation=TODD,
    sources=TODD_CODE,
    example=TODD_PROMPT,
    note=TODD_NOTE,
)

FUNCTION_7B = PublishedCircuit(
    name="function-vectors-llama-2-7b",
    title="Function vectors",
    models=("meta-llama/Llama-2-7b-hf", "Llama-2-7b-hf"),
    shape=LLAMA_7B,
    roles={
        "function vector": CircuitRole("l9h25 | l11h[2,18] | l12h[15,18,28] | l13h7 | l14h[1,16] | l16h10", TODD_DOES),
    },
    citation=TODD,
    sources=TODD_CODE,
    example=TODD_PROMPT,
    note=TODD_NOTE,
)

FUNCTION_13B = PublishedCircuit(
    name="function-vectors-llama-2-13b",
    title="Function vectors",
    models=("meta-llama/Llama-2-13b-hf", "Llama-2-13b-hf"),
    shape=LLAMA_13B,
    roles={
        "function vector": CircuitRole(
            "l10h15 | l12h17 | l13h[4,13,23] | l14h34 | l15h38 | l18h11 | l19h[2,36]", TODD_DOES
        ),
    },
    citation=TODD,
    sources=TODD_CODE,
    example=TODD_PROMPT,
    note=TODD_NOTE,
)

RETRIEVAL = PublishedCircuit(
    name="retrieval-llama-2-7b-80k",
    title="Retrieval heads",
    models=("yaofu/llama-2-7b-80k", "llama-2-7b-80k"),
    shape=LLAMA_7B,
    roles={
        "strong": CircuitRole(
            "l8h26 | l11h15 | l16h19",
            "Attends to the words that are being copied out of a long text; score 0.8 and more.",
        ),
        "weaker": CircuitRole(
            "l6h[9,16] | l7h12 | l11h2 | l17h22 | l19h15 | l21h30",
            "The same, in part of the cases; score 0.4 to 0.62.",
        ),
    },
    citation=CircuitCitation(
        "Wu, Wang, Xiao, Peng and Fu",
        2024,
        "Retrieval Head Mechanistically Explains Long-Context Factuality",
        "https://arxiv.org/abs/2404.15574",
    ),
    sources=("https://github.com/nightdessert/Retrieval_Head",),
    disagreements=(
        "8.26, 11.2, 11.15 and 16.19 are also among the hundred heads that Todd et al. 2023 list for function vectors "
        "in Llama 2 7B, 11.2 among their first ten.",
    ),
    example=CircuitPrompt("A long text with one sentence that is to be found again"),
    note="The ten with the highest mean scores, as the authors' page lists them; the paper counts all heads above 0.1.",
)

ENTITIES = PublishedCircuit(
    name="entity-tracking-llama-7b",
    title="Entity tracking",
    models=("huggyllama/llama-7b", "llama-7b"),
    shape=LLAMA_7B,
    roles={
        "structure reader": CircuitRole(
            "l8h21 | l9h21 | l11h23 | l12h23", "At the earlier mention of the label, reads where it stands."
        ),
        "position detector": CircuitRole(
            "l4h[4,27] | l6h10 | l7h[9,17,26] | l8h12 | l9h[0,2,10,21,23] | l10h[3,4] | l11h[23,24] | l12h0 | l13h14",
            "At the label that is asked for, finds where it stood before.",
        ),
        "position transmitter": CircuitRole(
            "l11h23 | l12h[0,23] | l13h[14,25] | l14h27 | l15h18 | l16h2 | l19h12",
            "At the end, brings that position to the heads that fetch the value.",
        ),
        "value fetcher": CircuitRole(
            "l14h[0,11] | l15h[2,6,9,12,22] | l16h[23,27] | l17h[3,27,28] | l18h[3,6,8,20,25,28] | "
            "l19h[2,8,16,25,30] | l20h[12,14] | l21h[0,3,4,23,25,26] | l22h5 | l23h[17,19,20,30] | l24h[5,8] | l29h7 | "
            "l30h[4,8]",
            "At the end, attends to the object at that position, and copies it to the output.",
        ),
    },
    edges=(("position transmitter", "value fetcher"),),
    citation=CircuitCitation(
        "Prakash, Shaham, Haklay, Belinkov and Bau",
        2024,
        "Fine-Tuning Enhances Existing Mechanisms: A Case Study on Entity Tracking",
        "https://arxiv.org/abs/2402.14811",
    ),
    sources=("https://github.com/Nix07/finetuning/blob/main/circuit_heads.json",),
    disagreements=(
        "The lists are those of a file that the authors released, in which some heads stand under two positions; they "
        "need not be the circuit of the paper head by head.",
    ),
    example=CircuitPrompt("The apple is in Box F, the bell is in Box B. Box F contains the", " apple"),
    note="Roles are at different tokens, so a head may have two; the file names them by the position at which they "
    "act.",
)

ENTRIES = (AGREEMENT, FUNCTION_GPTJ, FUNCTION_7B, FUNCTION_13B, RETRIEVAL, ENTITIES)
