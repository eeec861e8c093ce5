"""Nonsense for figures."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import tiny
import torch
from matplotlib.collections import LineCollection

import headgrid as hg
from nonsense.circuits import Z, above
from nonsense.rows import FALSE, ONE, ROWS, TEXTS, TRUE, Row, each, texts, world

AX = {"None": lambda found: found.get_xlabel()}
SEVERAL = {"the Axes of several": lambda: np.array([[None, None]])}


def figure(name: str, of: Callable[..., Any], argument: str, **row: Any) -> None:
    ROWS[f"plots.{name}({argument}=it)"] = Row(lambda w, it: of(w, **{argument: it}), **row)


def of_grid(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.grid(w.scan.copying_score, **named)


ROWS["plots.grid(it)"] = Row(
    lambda w, it: hg.plots.grid(it).collections[0].get_array().shape, {"ones [1, 4]": (1, 4), "NaN [3, 4]": (3, 4)},
    {"texts of numbers": lambda: [["1", "2"]], "the scan itself": lambda: hg.scan(world().gpt2, "ov")},
)  # fmt: skip
DIVERGES = each((TRUE, lambda found: found.collections[0].get_cmap().name == "orange to blue"),
                (FALSE, lambda found: found.collections[0].get_cmap().name == "cividis"))  # fmt: skip
figure("grid", of_grid, "ax", right={"None": lambda found: found.get_xlabel() == "head"}, own=SEVERAL)
figure("grid", of_grid, "label", right=each((TEXTS, lambda found: found.get_xlabel() == "head")))
figure("grid", of_grid, "diverging", right={"None": lambda found: True, **DIVERGES})
figure("grid", of_grid, "from_zero", right=each((("None", *TRUE, *FALSE), lambda found: found.get_xlabel() == "head")))
figure(
    "grid",
    of_grid,
    "annotate",
    right=each((TRUE, lambda found: len(found.texts) == 12), (FALSE, lambda found: not found.texts)),
)


def outlined(found: Any) -> bool:
    return any(one.get_label() == "selected" for one in found.collections)


figure("grid", of_grid, "selected", right={"None": lambda found: not outlined(found)}, own={
    "booleans [1, 4]": lambda: torch.ones(1, 4, dtype=torch.bool), "scores": lambda: torch.rand(3, 4),
    "a selection of another model": lambda: hg.dissect(tiny.model("albert with 2 groups")).select("l0h0"),
})  # fmt: skip


def gaps(found: Any) -> list[float]:
    """Where there are gaps between heads."""
    lines = [one for one in found.collections if isinstance(one, LineCollection)]
    return [float(path[0, 0]) for one in lines for path in one.get_segments()]


figure(
    "grid",
    of_grid,
    "n_kv_heads",
    right=each((("None", *ONE), lambda found: gaps(found) == []), (("2",), lambda found: gaps(found) == [1.5])),
    own={"0": lambda: 0, "2": lambda: 2, "3": lambda: 3},
)
ENDS = {name: end for name, end in Z.items() if np.isfinite(end)}
figure(
    "grid",
    lambda w, low: hg.plots.grid([[0.0, 2.0]], low=low, high=3e30),
    "low",
    right={
        "None": lambda found: True,
        **{name: (lambda found, end=end: found.collections[0].get_clim()[0] == end) for name, end in ENDS.items()},
    },
)
figure(
    "grid",
    lambda w, high: hg.plots.grid([[0.0, 2.0]], low=-2e30, high=high),
    "high",
    right={
        "None": lambda found: True,
        **{name: (lambda found, end=end: found.collections[0].get_clim()[1] == end) for name, end in ENDS.items()},
    },
)

ROWS["plots.spectrum(it)"] = Row(
    lambda w, it: [bar.get_height() for bar in hg.plots.spectrum(it).containers[0]],
    {"(0, True)": [0, 1], "(0, 1.0)": [0, 1]},
    {
        "below 0": lambda: [1.0, -1.0],
        "a scan of heads": lambda: hg.scan(world().gpt2, "ov").ov,
        "a head": lambda: world().summary,
    },
)


def of_spectrum(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.spectrum(w.summary.ov, **named)


figure("spectrum", of_spectrum, "ax", right={"None": lambda found: found.get_ylabel() == "singular value"}, own=SEVERAL)
figure(
    "spectrum",
    of_spectrum,
    "log",
    right=each(
        (TRUE, lambda found: found.get_yscale() == "log"), (FALSE, lambda found: found.get_yscale() == "linear")
    ),
)
figure("spectrum", of_spectrum, "label", right=each((("None", *TEXTS), lambda found: found.get_legend() is not None)))

ROWS["plots.tokens(it)"] = Row(
    lambda w, it: hg.plots.tokens(it),
    own={"a head": lambda: world().summary, "no tokens": lambda: world().summary.ov.pairs},
)


def of_tokens(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.tokens(w.summary.ov, **named)


figure("tokens", of_tokens, "ax", right={"None": lambda found: len(found.texts) == 16}, own=SEVERAL)
figure(
    "tokens",
    of_tokens,
    "n_directions",
    right=each((ONE, lambda found: len(found.texts) == 8), (("10**30",), lambda found: len(found.texts) == 16)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure(
    "tokens",
    of_tokens,
    "n_tokens",
    right=each((ONE, lambda found: len(found.texts) == 2), (("10**30",), lambda found: len(found.texts) == 20)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure("tokens", of_tokens, "side", own={"without its s": lambda: "read"})
figure("tokens", of_tokens, "sign", own={"a number": lambda: 1})

ROWS["plots.offsets(it)"] = Row(
    lambda w, it: texts(hg.plots.offsets(it)), {"(0, True)": ["1 back"], "(0, 1.0)": ["1 back"]}
)
figure(
    "offsets",
    lambda w, ax: hg.plots.offsets(w.summary.qk, ax=ax),
    "ax",
    right={"None": lambda found: found.get_ylabel() == "QK score"},
    own=SEVERAL,
)
ROWS["plots.pairs(it)"] = Row(
    lambda w, it: hg.plots.pairs(it), own={"a head": lambda: world().summary, "a composition": lambda: world().composed}
)
figure(
    "pairs",
    lambda w, ax: hg.plots.pairs(w.summary.ov, ax=ax),
    "ax",
    right={"None": lambda found: len(found.patches) == 3},
    own=SEVERAL,
)
figure(
    "pairs",
    lambda w, n: hg.plots.pairs(w.summary.ov, n=n),
    "n",
    right=each((ONE, lambda found: len(found.patches) == 1), (("10**30",), lambda found: len(found.patches) == 3)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
ROWS["plots.composition(it)"] = Row(
    lambda w, it: hg.plots.composition(it), own={"a scan": lambda: world().scan, "a head": lambda: world().summary}
)


def arrows(found: Any) -> int:
    return sum(patch.get_gid() is not None for patch in found.patches)


figure(
    "composition",
    lambda w, ax: hg.plots.composition(w.few, ax=ax),
    "ax",
    right={"None": lambda found: found.get_ylabel() == "layer"},
    own=SEVERAL,
)
figure(
    "composition",
    lambda w, n: hg.plots.composition(w.few, n=n, z=-9.0),
    "n",
    right=each((ONE, lambda found: arrows(found) == 1), (("10**30",), lambda found: arrows(found) == above(-9, "few"))),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure(
    "composition",
    lambda w, kinds: hg.plots.composition(w.few, kinds=kinds),
    "kinds",
    own={"another letter": lambda: "QX"},
)
figure(
    "composition",
    lambda w, z: hg.plots.composition(w.few, z=z, n=10**6),
    "z",
    right={name: (lambda found, z=z: arrows(found) == above(z, "few")) for name, z in Z.items()},
)
