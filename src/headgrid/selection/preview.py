"""The tree of parameters that a selection or a dictionary of masks touches, with how much of each.

One tree of counts, shown three ways: rich in a terminal, HTML in a notebook, names alone with `plain=True`.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, cast

import torch

from headgrid.anatomy.anatomy import count_of
from headgrid.selection.masks import ParamMasks
from headgrid.selection.selection import Selection
from headgrid.utils.arguments import flag, of_kind, printable, shown

if TYPE_CHECKING:
    from rich.tree import Tree

BAR = 12
"""The width of a bar in characters."""


@dataclass
class Branch:
    """A module or a parameter: how many of its entries are selected.

    `whole` counts parameters that are selected entirely and whose size is not known, as in masks without their model.
    """

    name: str
    selected: int = 0
    total: int = 0
    whole: int = 0
    below: dict[str, Branch] = field(default_factory=dict)

    def add(self, path: list[str], selected: int, total: int, whole: int) -> None:
        """Count a parameter here and in what lies below."""
        self.selected += selected
        self.total += total
        self.whole += whole
        if path:
            self.below.setdefault(path[0], Branch(path[0])).add(path[1:], selected, total, whole)

    def visible(self) -> list[Branch]:
        """The branches below of which something is selected; a lone one is drawn with its parent: `q_proj.weight`."""
        found = []
        for branch in self.below.values():
            if branch.selected or branch.whole:
                lone = branch.visible()
                joined = len(lone) == 1 and not branch.name.isdigit() and not lone[0].name.isdigit()
                found.append(replace(lone[0], name=f"{branch.name}.{lone[0].name}") if joined else branch)
        return found

    def same(self, other: Branch) -> bool:
        """Whether two branches would look alike but for their names."""
        mine, theirs = self.visible(), other.visible()
        return (self.figures, [one.name for one in mine]) == (other.figures, [one.name for one in theirs]) and all(
            a.same(b) for a, b in zip(mine, theirs, strict=True)
        )

    def shown(self) -> Iterator[tuple[str, Branch]]:
        """The names and branches that are drawn below; numbered neighbors that look alike are drawn once: `0-11`."""
        run: list[Branch] = []
        for branch in [*self.visible(), None]:
            if branch and run and branch.name.isdigit() and run[-1].name.isdigit() and branch.same(run[0]):
                run.append(branch)
                continue
            if len(run) > 1:
                yield f"{run[0].name}-{run[-1].name} ({len(run)} alike, each)", run[0]
            elif run:
                yield run[0].name, run[0]
            run = [branch] if branch else []

    @property
    def figures(self) -> str:
        """`2,304 of 27,648`."""
        if self.whole and not self.below:
            return "whole"
        known = [f"{self.selected:,} of {self.total:,}"] if self.total else []
        return " and ".join(known + ([count_of(self.whole, "whole parameter")] if self.whole else []))

    @property
    def percent(self) -> str:
        """`8.3%`; what is neither nothing nor everything never reads 0% or 100%."""
        if self.whole:
            return "" if self.total else "100%"
        share = 100 * self.selected / self.total if self.total else 0.0
        if 0 < share < 0.1:
            return "<0.1%"
        if 99.9 < share < 100:
            return ">99.9%"
        return f"{share:.1f}%".replace(".0%", "%")

    @property
    def bar(self) -> str:
        """The share in blocks; anything selected shows at least one."""
        if self.whole and not self.total:
            return "█" * BAR
        full = round(BAR * self.selected / self.total) if self.total else 0
        full = min(max(full, 1 if self.selected else 0), BAR - (self.selected < self.total))
        return "█" * full + "░" * (BAR - full)


def preview(
    what: Selection | ParamMasks | torch.nn.Module,
    model: torch.nn.Module | Selection | ParamMasks | None = None,
    *,
    plain: bool = False,
    file: Any = None,
) -> None:
    """Print the tree of the parameters that are selected: a bar, the percentage, and `selected of total`.

    Under grouped-query attention a line below names the heads that read selected key or value weights and are not
    selected themselves.

    Args:
        what: a selection, or masks as `Selection.masks()` returns them.
        model: the model that masks are of, for the sizes of the parameters that the masks do not show: those that are
            whole (None) or absent. A selection knows them already. devinterp's order, the model first, is taken too.
        plain: print the names of the parameters alone, one per line.
        file: where to print; standard output by default. In a notebook, HTML is displayed instead.

    Raises:
        TypeError: for what is no selection and no masks, and other arguments of a wrong kind.
        ValueError: when a mask is of a parameter that `model` does not have, or has another shape than it.
    """
    if isinstance(what, torch.nn.Module) and not isinstance(model, torch.nn.Module):
        what, model = cast("Selection | ParamMasks", model), what
    what = cast("Selection | ParamMasks", what)
    of_kind("what", what, (Selection, Mapping), "a Selection, or masks as its masks() gives them")
    plain = flag("plain", plain)
    if file is not None and not callable(getattr(file, "write", None)):
        raise TypeError(f"file is what can be written to, as sys.stdout, not {shown(file)}")
    if model is not None:
        model = of_kind("model", model, torch.nn.Module, "the model that masks are of, a torch.nn.Module, or None")
    out = sys.stdout if file is None else file
    root = Branch("")
    for name, counts in list(_counts(what, model)):  # whatever is wrong is said before anything is printed
        root.add(name.split("."), *counts)
        if plain and (counts[0] or counts[2]):
            print(printable(name), file=out)
    if plain:
        return
    shared = _shared(what)
    if file is None and _in_notebook():
        from IPython.display import HTML, display

        display(HTML(_html(root, shared)))  # type: ignore[no-untyped-call]
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=out, highlight=False)
    console.print(_rich(root))
    if shared:
        console.print(escape(shared))


def _shared(what: Selection | ParamMasks) -> str:
    """A sentence about heads that share what is selected and are not selected; "" where there are none."""
    siblings = what.siblings if isinstance(what, Selection) else None
    return f"key and value weights of these are read by {siblings} too, not selected" if siblings else ""


def _counts(what: Selection | ParamMasks, model: torch.nn.Module | None) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Parameter name -> entries selected, entries in all, and 1 where it is whole and its size is not known."""
    shapes: Mapping[str, tuple[int, ...]]
    if isinstance(what, Selection):
        masks, shapes = what.masks(), what.anatomy.parameters
    else:
        masks = what
        for name, mask in masks.items():
            if not isinstance(name, str):
                raise TypeError(f"masks are a dictionary from the name of a parameter; {shown(name)} is none")
            if mask is not None and not (isinstance(mask, torch.Tensor) and mask.dtype == torch.bool):
                raise TypeError(
                    f"the mask of {name!r} is a tensor of booleans, or None for all of it, not {shown(mask)}"
                )
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()} if model is not None else {}
    if strangers := [name for name in masks if shapes and name not in shapes]:
        raise ValueError(f"the model has no parameter {strangers[0]!r}; these masks may be of another model")
    for name in shapes or masks:
        size = prod(shapes[name]) if shapes else 0
        mask = masks.get(name)
        if name not in masks:
            yield name, (0, size, 0)
        elif mask is None:
            yield name, (size, size, int(not shapes))
        elif shapes and tuple(mask.shape) != shapes[name]:
            raise ValueError(f"the mask of {name!r} is {list(mask.shape)}, its parameter {list(shapes[name])}")
        else:
            yield name, (int(mask.sum()), mask.numel(), 0)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def _heading(root: Branch) -> str:
    if not (root.selected or root.whole):
        return "nothing is selected" + (f" of {count_of(root.total, 'parameter')}" if root.total else "")
    return root.figures + ("" if root.whole else " parameters")


def _rich(root: Branch) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    def line(name: str, branch: Branch) -> Text:  # no markup: a name may have brackets
        bar, figures = (branch.bar, "blue"), (branch.figures, "dim")
        return Text.assemble(f"{printable(name)}  ", bar, f" {branch.percent}  ", figures)

    def grow(tree: Tree, branch: Branch) -> None:
        for name, below in branch.shown():
            grow(tree.add(line(name, below)), below)

    tree = Tree(f"[bold]{_heading(root)}[/bold]  [blue]{root.bar}[/blue] {root.percent}")
    grow(tree, root)
    return tree


def _html(root: Branch, shared: str = "") -> str:
    def line(name: str, branch: Branch) -> str:
        share = 100.0 if branch.whole and not branch.total else 100 * branch.selected / max(branch.total, 1)
        bar = (
            '<span style="display:inline-block;width:7em;height:.6em;background:#8884;border-radius:2px">'
            f'<span style="display:block;width:{share:.2f}%;min-width:{2 if share else 0}px;height:100%;'
            'background:#2f7fd1;border-radius:2px"></span></span>'
        )
        return f"{html.escape(printable(name))} {bar} {branch.percent} <small>{branch.figures}</small>"

    def grow(branch: Branch) -> str:
        items = "".join(f"<li>{line(name, below)}{grow(below)}</li>" for name, below in branch.shown())
        return f'<ul style="list-style:none;margin:0;padding-left:1.4em">{items}</ul>' if items else ""

    return (
        f'<div style="font-family:monospace;line-height:1.5"><b>{_heading(root)}</b> {root.percent}{grow(root)}'
        f"{html.escape(shared)}</div>"
    )
