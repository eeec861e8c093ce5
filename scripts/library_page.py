"""The page about the library of circuits: `python scripts/library_page.py` writes `docs/library.md`."""

from __future__ import annotations

from pathlib import Path

import headgrid as hg
from headgrid.library import PublishedCircuit

PAGE = Path(__file__).parent.parent / "docs" / "library.md"

HEAD = """\
# The library of circuits

Written by `python scripts/library_page.py` from the entries in `src/headgrid/library/entries`. They are facts and
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
