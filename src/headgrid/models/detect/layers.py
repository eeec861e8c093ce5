"""The lines of a stack's layers."""

from __future__ import annotations

from collections.abc import Iterator

from headgrid.models.detect.attention import attention
from headgrid.models.detect.evidence import Evidence, Sizes, TensorShape
from headgrid.models.detect.lexicon import Reading
from headgrid.models.family import Line


def lines_of(found: Evidence, sizes: Sizes) -> dict[str, list[Line]]:
    """The lines of everything that was read: block of attention (`self`, `cross`) -> its lines.

    What does not fit its name is added to the strangers.
    """
    lines: dict[str, dict[Line, None]] = {"self": {}, "cross": {}}
    writers = {"self": attention, "cross": attention, "mlp": _mlp, "experts": _experts, "shared": _shared,
               "norm": _norm, "cross norm": _norm, "mixer": _mixer}  # fmt: skip
    for reading, shape in found.readings.values():
        written = list(writers[reading.block](found, reading, shape, sizes))
        if not written:
            found.strangers[reading.path] = f"by its name it is {reading.kind!r}, which its shape does not fit"
        crosses = reading.block.startswith("cross") or (reading.kind == "beside" and _beside(found, reading) == "cross")
        of = "cross" if crosses and "self" in found.blocks else "self"
        for role, axes in written:
            path = f"{reading.path.split('.')[0]}.**" if role == "mixer" else reading.path
            kind = (".b" if reading.bias else ".w") if role.startswith(("ln", "q_norm", "k_norm")) else ""
            lines[of][Line(role + kind, path, axes)] = None
    return {block: list(found) for block, found in lines.items()}


def _mixer(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    yield "mixer", "..."


# ---- MLPs


def _mlp(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    kind = reading.kind
    if kind == "router":
        bias = reading.bias or reading.path.endswith("_bias")
        if found.has("experts", "out") and len(shape) == 2 and not bias:
            yield "router.W", "e m"
        elif found.has("experts", "out") and bias:
            yield "router.b", "1 e" if len(shape) == 2 and shape[0] == 1 else "e"
    elif kind == "activation":
        yield "mlp.other", "..."
    elif kind == "out" and reading.bias:
        yield "b_out", "m"
    elif kind == "out" and len(shape) == 2:
        yield "W_out", found.matrix("m", "f", shape, (s.m, None), "mlp", s.m)
    elif kind != "out" and _doubled(found, reading, shape, s):
        for role, axis in zip(("gate", "in"), _halves(found, reading), strict=True):
            yield (f"b_{role}", axis) if reading.bias else (f"W_{role}", f"{axis} m")
    elif kind != "out" and (reading.bias or len(shape) == 2):
        role = _gated(found, reading)
        if reading.bias:
            yield f"b_{role}", "f"
        else:
            yield f"W_{role}", found.matrix("f", "m", shape, (None, s.m), "mlp", s.m)


def _gated(found: Evidence, reading: Reading) -> str:
    """Whether a matrix is the gate or what it gates: `w1` is the gate where there is a `w3`."""
    if reading.kind != "w1":
        return "gate" if reading.kind == "gate" else "in"
    parent = reading.path.rpartition("w1")[0]
    return "gate" if any(r.kind == "w3" and r.path.startswith(parent) for r, _ in found.readings.values()) else "in"


def _doubled(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> bool:
    """Whether one matrix holds the gate and what it gates: it has twice the rows that the next one reads."""
    if reading.kind != "up":
        return reading.kind == "gate_up"
    out = found.shape("mlp", "out")
    rows = shape[0] if len(shape) == 1 or shape[1] == s.m else shape[1]
    return out is not None and len(out) == 2 and rows == 2 * (out[1] if out[0] == s.m else out[0]) and s.m not in (
        rows, rows // 2)  # fmt: skip


def _halves(found: Evidence, reading: Reading) -> list[str]:
    """How the rows of a gate and of what it gates lie in one matrix."""
    options = ["(0/2 f) | (1/2 f)", "(f 0/2) | (f 1/2)"]
    if "gate_up" not in reading.path:
        options.append("(1/2 f) | (0/2 f)")
    return found.questions.ask("how the rows of the gate and of what it gates lie", *options).split(" | ")


def _experts(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    kind, modules = reading.kind, "experts.*" in reading.path
    e = "" if modules else "e "
    if reading.bias:
        if kind == "out" and not modules:
            yield "expert.b_out", "e m"
        elif kind == "gate_up" and not modules:
            for role, axis in zip(("gate", "in"), _expert_halves(found, s), strict=True):
                yield f"expert.b_{role}", f"e {axis}"
        return
    if len(shape) != (2 if modules else 3):
        return
    turned = not modules and found.experts_turned(s.m)
    if kind == "out":
        yield "expert.W_out", e + ("f m" if turned else "m f")
    elif kind == "gate_up":
        for role, axis in zip(("gate", "in"), _expert_halves(found, s), strict=True):
            yield f"expert.W_{role}", e + (f"m {axis}" if turned else f"{axis} m")
    elif kind in ("up", "gate", "w1", "w3"):
        yield f"expert.W_{_gated(found, reading)}", e + ("m f" if turned else "f m")


def _expert_halves(found: Evidence, s: Sizes) -> list[str]:
    """As `_halves`; stored [in, out] and with biases, they are interleaved in the one family that is known: gpt-oss."""
    options = ["(0/2 f) | (1/2 f)", "(f 0/2) | (f 1/2)"]
    if any(r.block == "experts" and r.bias for r, _ in found.readings.values()) and found.experts_turned(s.m):
        options.reverse()
    return found.questions.ask("how the rows of an expert's gate and of what it gates lie", *options).split(" | ")


def _shared(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    if reading.kind == "shared gate" and shape == (1, s.m):
        yield "shared.gate", "1 m"
    elif not reading.bias and len(shape) == 2:
        if reading.kind == "out":
            yield "shared.W_out", "m s"
        elif reading.kind == "gate_up":
            for role, axis in zip(("gate", "in"), _halves(found, reading), strict=True):
                yield f"shared.W_{role}", axis.replace("f", "s") + " m"
        elif reading.kind in ("gate", "up", "w1", "w3"):
            yield f"shared.W_{_gated(found, reading)}", "s m"


# ---- norms


def _norm(found: Evidence, reading: Reading, shape: TensorShape, s: Sizes) -> Iterator[tuple[str, str]]:
    """The norms of a layer. Those whose name does not say so stand before or after their blocks, as the stack's do."""
    if shape != (s.m,):
        return
    kinds = {other.kind for other, _ in found.readings.values() if other.block == "norm"}
    kind = reading.kind
    if kind == "after attention":
        # Gemma-2 has a norm before the MLP as well; OLMo-2 has norms after its blocks only; in Llama it is the MLP's
        only_after = "ln2_post" in kinds and "ln1" not in kinds
        kind = "ln1_post" if "ln2" in kinds or only_after else "ln2"
    elif kind == "beside":
        kind = _beside(found, reading)
    which = {"first": "ln1", "second": "ln2", "cross": "ln1"}.get(kind)
    if which:
        yield which + ("" if found.pre_norm() else "_post"), "m"
    elif kind:
        yield kind, "m"


def _beside(found: Evidence, reading: Reading) -> str:
    """A norm whose name says only that it is one: it belongs to what stands beside it."""
    parent = _parent(reading)
    near = {other.block for other, _ in found.readings.values() if other.path.startswith(parent)}
    near &= {"self", "cross", "mlp"}
    if near == {"self", "mlp"}:
        # the layer's own: the MLP's where attention has one inside, else the one that both read
        inside = any(r.kind == "beside" and _parent(r) != parent for r, _ in found.readings.values())
        return "second" if inside else "first"
    return {"self": "first", "cross": "cross", "mlp": "second"}[near.pop()] if len(near) == 1 else ""


def _parent(reading: Reading) -> str:
    """The module that holds a norm, with a dot behind it; "" for the layer itself."""
    return "".join(f"{step}." for step in reading.path.split(".")[:-2])
