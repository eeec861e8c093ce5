"""Pages about the library of circuits: `docs/library.md`, and grids of some circuits as pages that work offline.

python scripts/library_pages.py                 # writes docs/library.md
python scripts/library_pages.py FOLDER          # writes the gallery into a folder, which is made if need be
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import headgrid as hg
from headgrid.library import PublishedCircuit

PAGE = Path(__file__).parent.parent / "docs" / "library.md"

HEAD = """\
# The library of circuits

Written by `python scripts/library_pages.py` from the entries in `src/headgrid/library/entries`. They are facts and
indices, each with the address at which it was checked; no weights, and nobody's files.

```python
circuit = hg.library["ioi"]                     # roles, edges, citation, what other sources say
circuit.open(GPT2Config())                      # a grid with the roles in colors; a config is enough
circuit.diff(grid.selection)                    # yours beside each role, and beside chance
circuit.retest(model, tokenizer)                # faithfulness, and each role's effect, with controls
hg.library.matching(model)                      # the circuits that are of a model's shape
```

A shape is no proof of weights. `retest` says what is known of them: only the models that ship with headgrid can be told
from others, bit by bit, and the tests measure their circuits again at every run. A model that calls itself by the
published name is taken at its word, and the result says so. Prompts are ours, of the published kind: figures need not
be the published ones.

| name | circuit | model | heads | published | re-tested |
|---|---|---|---:|---|---|
"""

OPENED: dict[str, Callable[[], tuple[Any, Any]]] = {
    "ioi": lambda: (gpt2_small(), None),
    "greater-than": lambda: (gpt2_small(), None),
    "docstring": lambda: (attention_only(), None),
    "demo-induction": hg.demo,
    "demo-names": hg.demo,
}
"""The circuits of the gallery, each with what it is opened on: a config, or a model and its tokenizer."""


def gpt2_small() -> Any:
    """The config of GPT-2 small, which transformers has by default."""
    from transformers import GPT2Config

    return GPT2Config()


def attention_only() -> Any:
    """The settings of the attention-only model, as TransformerLens writes them."""
    return {
        "n_layers": 4, "n_heads": 8, "d_model": 512, "d_head": 64, "n_ctx": 1024, "d_vocab": 48262, "attn_only": True,
        "normalization_type": "LN", "positional_embedding_type": "standard",
    }  # fmt: skip


def page() -> str:
    """The text of `docs/library.md`."""
    rows = "".join(f"| {' | '.join(row(one))} |\n" for one in hg.library.values())
    return HEAD + rows + "".join(map(section, hg.library.values()))


def row(circuit: PublishedCircuit) -> list[str]:
    """A row of the table."""
    again = "at every test run" if circuit.shipped else "by `retest`, on your weights" if circuit.task else "no task"
    return [
        f"[{circuit.name}](#{circuit.name})", circuit.title, circuit.models[0], str(heads(circuit)),
        f"{circuit.citation.authors} {circuit.citation.year}", again,
    ]  # fmt: skip


def heads(circuit: PublishedCircuit) -> int:
    """How many heads a circuit has, counted in its text."""
    found = set()
    for term in circuit.text.split(" | "):
        layer, _, numbers = term.partition("h")
        if numbers:
            found |= {(layer, number) for number in numbers.strip("[]").split(",")}
    return len(found)


def section(circuit: PublishedCircuit) -> str:
    """What is known of one circuit."""
    lines = ["", f"## {circuit.name}", "", f"{circuit.title}, in {' or '.join(circuit.models)}: {circuit.shape}.", ""]
    lines += ["| role | heads | does |", "|---|---|---|"]
    for name, role in circuit.roles.items():
        lines.append(f"| {name} | `{escaped(role.selection)}` | {role.does} |")
    lines.append("")
    if circuit.edges:
        edges = [f"{escaped(sender)} → {escaped(receiver)}" for sender, receiver in circuit.edges]
        lines.append(f"- Edges: {'; '.join(edges)}.")
    if circuit.example is not None:
        answer = f", and then `{circuit.example.answer}`" if circuit.example.answer else ""
        lines.append(f"- For example: `{circuit.example.text}`{answer}.")
    lines += [f"- {one}" for one in (*circuit.disagreements, circuit.note) if one]
    lines.append(f"- {linked(circuit)} Indices checked at: {', '.join(f'<{url}>' for url in circuit.sources)}.")
    return "\n".join(lines) + "\n"


def linked(circuit: PublishedCircuit) -> str:
    """The citation with its address."""
    cited = circuit.citation
    where = f"[{cited.title}]({cited.url})" if circuit.shipped is None else f"[{cited.title}](../{cited.url})"
    return f"{cited.authors} {cited.year}: {where}."


def escaped(text: str) -> str:
    """A text in a cell of a table, where a bar would end it."""
    return text.replace("|", "\\|")


def gallery(folder: Path, names: Iterable[str] = OPENED) -> list[Path]:
    """Write a page for each circuit of the gallery, or for some of them.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names:
        path = folder / f"{name}.html"
        hg.library[name].open(*OPENED[name]()).to_html(path)
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*gallery(Path(sys.argv[1])), sep="\n")
    else:
        PAGE.write_text(page(), encoding="utf-8")
