"""Faults planted in copies of headgrid, one at a time: does the suite find each, and as an older suite did?

    python scripts/planted_faults.py                    # every fault, this suite
    python scripts/planted_faults.py --old REF          # beside the tests of another commit, on the same code
    python scripts/planted_faults.py --only masks slots # those whose name or file has one of these in it

Each fault is a small change of a text in one file, and the tests that should find it: those that mirror the file, and
the laws. A row of the table says which test failed first; `missed` where none did. Nothing here is part of `make test`:
run it when tests are made fewer or faster. A fault whose text is no longer there is an error: plant it anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FEW = "gpt2|codegen|qwen3_moe|deepseek_v3|t5|gemma3"
LAWS = f"tests/test_laws.py -k homomorphism|prints_as|counted|many_sets|exactly_one_part|every_parameter_whole {FEW}"
FORWARD = "tests/test_laws.py -k zeroing|side_moves|reproduce"
"""Followed by the families that are tried."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what it breaks, in a few words.
        file: where, below `src/headgrid`.
        old, new: the text that is replaced, which is there once, and what stands in its place.
        tests: what should find it: files, and after ` -k ` words of which a test's name has one, joined with `|`.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = (
    # ---- anatomy
    Fault("a fused piece begins one row late", "anatomy/slots.py", "slice(before, before + inside)",
          "slice(before, before + inside) if not before else slice(before - 1, before - 1 + inside)", (LAWS, f"{FORWARD} {FEW}")),
    Fault("parts stored apart are numbered from 0", "anatomy/slots.py",
          "return slice(self.first, self.first + self.n_parts)", "return slice(0, self.n_parts)", (LAWS,)),
    Fault("a part's place is said one entry short", "anatomy/slots.py",
          "stops = entries[np.concatenate((ends, [len(entries) - 1]))] + 1",
          "stops = entries[np.concatenate((ends, [len(entries) - 1]))]", ("tests/anatomy tests/widget/compute",)),
    Fault("overlapping slots are accepted", "anatomy/slots.py", "if (times == 1).all():", "if (times >= 1).all():",
          ("tests/anatomy",)),
    Fault("anatomies of other layouts are equal", "anatomy/anatomy.py",
          "repr((list(self.parameters.items()), places))", "repr(list(self.parameters.items()))",
          ("tests/anatomy",)),
    # ---- selection
    Fault("the difference keeps what is in both", "selection/parts.py", "(rest := bits > other).any()",
          "(rest := bits >= other).any()", (LAWS,)),
    Fault("the complement forgets roles of which some parts are chosen", "selection/parts.py", "if role not in whole}, chosen)",
          "if role not in chosen}, {})", (LAWS, "tests/selection")),
    Fault("parts of other slots are counted in full", "selection/parts.py",
          "n = slot.n_parts if whole[row] else int(np.count_nonzero(bits[row, slot.numbers]))",
          "n = slot.n_parts if whole[row] else int(np.count_nonzero(bits[row]))", (LAWS,)),
    Fault("a whole parameter has a mask all the same", "selection/masks.py",
          "if all(line is not None and line.all() for line in lines):", "if False:",
          (LAWS, "tests/selection/test_masks.py")),
    Fault("a mask forgets the first of several slots", "selection/masks.py",
          "for slot, line in zip(slots, lines, strict=True):\n            if line is not None:",
          "for slot, line in zip(slots, lines, strict=True):\n"
          "            if line is not None and (slot is not slots[0] or len(slots) == 1):", (LAWS,)),
    Fault("axes along which masks differ are dropped", "selection/masks.py", "if (canvas == first).all():",
          "if (canvas == first).any():", (LAWS,)),
    Fault("masked entries keep a gradient of the optimizer's momentum", "selection/masks.py",
          "parameter.copy_(parameter.where(cut[id(parameter)], old))", "pass", ("tests/selection/test_masks.py",)),
    Fault("key and value heads are those of other queries", "selection/parts.py",
          "return np.asarray(chosen[:, stack.kv_head_of])", "return np.asarray(chosen[:, stack.kv_head_of[::-1]])",
          (LAWS, "tests/selection")),
    Fault("heads with chosen keys do not count as siblings", "selection/parts.py",
          "found = union(found, heads(stack, readers & ~own))", "found = union(found, heads(stack, readers & own))",
          ("tests/selection/test_preview.py tests/selection/test_zero.py",)),
    Fault("an activation without its output side", "selection/activations.py", '"q": heads, "o": heads,', '"q": heads,',
          ("tests/selection/test_activations.py tests/hooks/test_ablation.py",)),
    Fault("a small share reads 0%", "selection/preview.py", "if 0 < share < 0.1:", "if 0 < share < 0.01:",
          ("tests/selection/test_preview.py",)),
    # ---- models
    Fault("queries and keys change places in Phi-3", "models/families/decoders.py",
          "W_Q     self_attn.qkv_proj.weight   ([n h] + g h + g h) m\n"
          "        W_K     self_attn.qkv_proj.weight   (n h + [g h] + g h) m",
          "W_K     self_attn.qkv_proj.weight   ([n h] + g h + g h) m\n"
          "        W_Q     self_attn.qkv_proj.weight   (n h + [g h] + g h) m", (f"{FORWARD} phi3", "tests/models")),
    Fault("keys and values change places in CodeGen", "models/families/decoders.py",
          "W_K     attn.qkv_proj.weight   (*/4 2/3 g h) m\n        W_V     attn.qkv_proj.weight   (*/4 1/3 g h) m",
          "W_V     attn.qkv_proj.weight   (*/4 2/3 g h) m\n        W_K     attn.qkv_proj.weight   (*/4 1/3 g h) m",
          (f"{FORWARD} codegen",)),
    Fault("the gate and the input of a fused MLP change places", "models/families/decoders.py",
          "W_gate    mlp.gate_up_proj.weight        (0/2 f) m\n        W_in      mlp.gate_up_proj.weight        (1/2 f) m",
          "W_in      mlp.gate_up_proj.weight        (0/2 f) m\n        W_gate    mlp.gate_up_proj.weight        (1/2 f) m",
          ("tests/test_weights.py",)),
    Fault("layers whose number a config denies are accepted", "models/binding.py",
          "if isinstance(said, int) and said != measured:", "if False:", ("tests/models/test_models.py tests/models/test_configs.py",)),
    Fault("scores of GPT-2 are scaled alike in all layers", "models/scaling.py",
          "return 1 / math.sqrt(size) / (layer + 1)", "return 1 / math.sqrt(size)", ("tests/circuits/test_factors.py",)),
    Fault("a proof holds with its failures", "models/verify/proof.py",
          "return tuple(check for check in self.checks if not check.ok)", "return ()", ("tests/models/test_verify.py -k refuted|wrong|fail|swapped",)),
    # ---- weights, linalg
    Fault("a head's keys are those of its own number", "weights.py",
          'int(stack.kv_head_of[part]) if letter == "g" else part', "part % found.shape[axis]", ("tests/test_weights.py",)),
    Fault("heads stored in several places are read in stored order", "weights.py",
          "sorted(slots, key=lambda slot: slot.first)", "sorted(slots, key=lambda slot: -slot.first)",
          ("tests/test_weights.py", f"{FORWARD} codegen|falcon")),
    Fault("swapped rows have the version of before", "weights.py",
          "one @ torch.arange(1, len(one) + 1, dtype=torch.float32, device=one.device).sqrt() for one in sums",
          "one.sum() for one in sums", ("tests/widget/compute/test_weight_versions.py tests/test_weights.py",)),
    Fault("a norm by squares where they cancel", "linalg/factored.py", "(square > 1e-6 * traces[0] * traces[1]).all()",
          "(square > -1).all()", ("tests/linalg",)),
    Fault("the trace is that of another pairing", "linalg/factored.py", "lambda a, b: (a * b.mT).sum()",
          "lambda a, b: (a * b.mT).sum().abs()", ("tests/linalg",)),
    Fault("eigenvalues from small to large", "linalg/factored.py", "descending=True, stable=True", "stable=True",
          ("tests/linalg",)),
    Fault("a vector from the left meets the wrong side", "linalg/factored.py",
          "return _product(_product(other, self.A)[..., None, :], self.B)[..., 0, :]",
          "return _product(self.A, _product(self.B, other)[..., None])[..., 0]", ("tests/linalg",)),
    # ---- circuits
    Fault("the mean stays in what reads a LayerNorm", "circuits/norms.py",
          "return wide(W) - _mean(W, -2) if self.centered else W", "return W",
          ("tests/circuits/test_norms.py tests/circuits/test_factors.py -k gpt2",)),
    Fault("RMSNorms with 1 + weight are read without the 1", "circuits/norms.py",
          "NONE if kind is None else Norm(name, weight + kind.plus_one, kind.centered)",
          "NONE if kind is None else Norm(name, weight, kind.centered)", ("tests/circuits/test_norms.py -k gemma",)),
    Fault("queries are not scaled", "circuits/factors.py", "Q = wide(Q) * scale", "Q = wide(Q)",
          ("tests/circuits/test_factors.py -k gpt2",)),
    Fault("OV multiplies with the values of one head", "circuits/factors.py", "return V[:, None], self._grouped(out)",
          "return V[:1, None].expand(len(V), -1, -1, -1), self._grouped(out)", ("tests/circuits/test_factors.py -k grouped",)),
    Fault("the stable rank over the first power", "circuits/scores.py",
          "return _ratio(square.sum(-1), square[..., 0], 0.0)", "return _ratio(square.sum(-1), singular_values[..., 0], 0.0)",
          ("tests/circuits/test_scores.py",)),
    Fault("copying is scored with the matrix turned", "circuits/scores.py", "read = (W_UE @ values)", "read = (W_UE.mT @ values)",
          ("tests/circuits/test_scores.py tests/circuits/test_scan.py -k gpt2",)),
    Fault("offsets count from the next token", "circuits/pairs.py", "offsets = block[:, None] - position",
          "offsets = block[:, None] - position - 1", ("tests/circuits/test_pairs.py tests/circuits/test_tokens.py",)),
    Fault("z of composition over another deviation", "circuits/products.py", "sd = (2 * wide / ((m - 1) * (m + 2))).sqrt()",
          "sd = (wide / ((m - 1) * (m + 2))).sqrt()", ("tests/circuits/test_composition.py",)),
    Fault("a layer without heads has zeros in a scan", "circuits/scan.py", "torch.full((n_layers, *shape), torch.nan",
          "torch.full((n_layers, *shape), 0.0", ("tests/circuits/test_scan.py",)),
    # ---- hooks
    Fault("a mean is over one axis too few", "hooks/ablation.py",
          "return (0,) if self.per_position else tuple(range(source.ndim - tap.own))", "return (0,)",
          ("tests/hooks/test_ablation.py tests/hooks/test_modes.py",)),
    Fault("a mean counts what only fills up", "hooks/ablation.py", "/ counts.sum(over, keepdim=True)",
          "/ torch.ones_like(counts).sum(over, keepdim=True)", ("tests/hooks/test_modes.py tests/hooks/test_ablation.py",)),
    Fault("a row may take itself for another", "hooks/ablation.py", "(torch.arange(n_rows, device=device) + 1 + drawn)",
          "(torch.arange(n_rows, device=device) + drawn)", ("tests/hooks",)),
    Fault("runs of a pass that broke off stay", "hooks/cache.py", "self.kept[where].pop()", "pass",
          ("tests/hooks/test_modes.py -k broke_off",)),
    # ---- plots
    Fault("outliers take the contrast of the others", "plots/color_scale.py", "usual = _usual(finite)", "usual = finite",
          ("tests/plots",)),
    Fault("two-sided colors with unequal ends", "plots/color_scale.py", "low, high = -(reach or 1.0), reach or 1.0",
          "low, high = float(finite.min()) if finite.size else -1.0, reach or 1.0", ("tests/plots",)),
    Fault("layers of a figure go up", "plots/heatmap.py", "ylim=(n_layers - 0.5, -0.5)", "ylim=(-0.5, n_layers - 0.5)", ("tests/plots",)),
    # ---- widget
    Fault("a click switches off what a sibling needs", "widget/state/cells.py",
          "parts.difference(switched_off, still_needed)", "switched_off", ("tests/widget/state/test_cells.py",)),
    Fault("a cell that is on is partial too", "widget/state/cells.py", "return on, some & ~on", "return on, some",
          ("tests/widget/state/test_cells.py",)),
    Fault("experts are numbered across kinds", "widget/state/cell_index.py", "self.kinds[:column].count(kind)", "column",
          ("tests/widget/compute tests/widget/state",)),
    Fault("colors of a stack go to the first", "widget/state/cell_colors.py",
          'values[index.stacks[name].cells("head")] = found.numpy()',
          'values[next(iter(index.stacks.values())).cells("head")[: len(found), : found.shape[1]]] = found.numpy()',
          ("tests/widget/state/test_cell_colors.py",)),
    Fault("a caret is counted in code points", "widget/state/query.py", 'return len(text.encode("utf-16-le")) // 2', "return len(text)",
          ("tests/widget/state",)),
    Fault("names that look alike are two", "widget/state/saved.py", 'unicodedata.normalize("NFC", " ".join(name.split()))',
          '" ".join(name.split())', ("tests/widget/state/test_saved.py",)),
    Fault("a command is done twice", "widget/wire/commands.py", "if key not in self._known and", "if",
          ("tests/widget/wire/test_commands.py",)),
    Fault("True is a number", "widget/wire/validate.py",
          "if type(value) is not int or not least <= value <= MOST:", "if not isinstance(value, int) or not least <= value <= MOST:",
          ("tests/widget/wire/test_validate.py",)),
    Fault("cells behind the last are taken", "widget/wire/commands.py", "if len(bits) > n_bytes or int(first) > n_bytes:",
          "if False:", ("tests/widget/wire/test_commands.py tests/widget/wire/test_validate.py",)),
    Fault("failures are remembered", "widget/compute/summary_cache.py", "if age == self._age and not answer.failed:",
          "if age == self._age:", ("tests/widget/compute",)),
    Fault("a change of a norm is not seen", "widget/compute/weight_versions.py", ".union(NORMS, OUTSIDE_LAYERS)", ".union(OUTSIDE_LAYERS)",
          ("tests/widget/compute",)),
    Fault("a page without a doctype", "widget/export/html.py", "f'<!doctype html>\\n<html lang=\"en\">\\n<head>",
          "f'<html lang=\"en\">\\n<head>", ("tests/widget/export",)),
    # ---- utils
    Fault("an interrupted file leaves its half", "utils/files.py", "unfinished.unlink(missing_ok=True)", "pass",
          ("tests/utils/test_files.py",)),
    Fault("a file loses its permissions", "utils/files.py", "unfinished.chmod(mode)", "pass", ("tests/utils/test_files.py",)),
)  # fmt: skip


def copied(target: Path, old: str | None) -> Path:
    """The files of the working tree, with the tests of another commit if one is named."""
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith("js/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    if old is not None:
        shutil.rmtree(target / "tests")
        archive = subprocess.check_output(["git", "archive", old, "tests"], cwd=ROOT)
        subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return target


def tried(tree: Path, tests: str) -> str:
    """The first test that fails in a tree, or ""; in a copy of this process, which has imported what takes long."""
    where, _, words = tests.partition(" -k ")
    if words.startswith("not("):
        words = f"not {words[4:-1]}"
    chosen = " or ".join(words.split(" ")[0].split("|"))
    of = " or ".join(words.split(" ")[1].split("|")) if " " in words and not words.startswith("not ") else ""
    chosen = words if words.startswith("not ") else f"({chosen}) and ({of})" if of else chosen
    report = tree / "report"
    child = os.fork()
    if child == 0:
        os.chdir(tree)
        os.environ |= {"PYTHONPATH": str(tree / "src"), "CI": "1"}
        sys.path[:0] = [str(tree / "src")]
        sys.dont_write_bytecode = True
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        import pytest

        class First:
            def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
                if report.failed:
                    (tree / "report").write_text(report.nodeid)

            def pytest_collectreport(self, report: pytest.CollectReport) -> None:
                if report.failed:
                    (tree / "report").write_text(f"{report.nodeid} (collection)")

        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *(["-k", chosen] if chosen else [])]
        os._exit(int(pytest.main([*options, *where.split()], plugins=[First()])))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = report.read_text() if report.exists() else ""
    report.unlink(missing_ok=True)
    if status not in (0, 1, 2) and not found:
        return f"pytest exited with {status}: no test is chosen by {tests!r}"
    return found


def caught(tree: Path, fault: Fault) -> str:
    """By which test a tree's suite finds a fault; "" where it does not."""
    file = tree / "src" / "headgrid" / fault.file
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace(fault.old, fault.new), encoding="utf-8")
    try:
        return next((found for tests in fault.tests if (found := tried(tree, tests))), "")
    finally:
        file.write_text(before, encoding="utf-8")


def same(old: Path, new: Path, fault: Fault) -> bool:
    """Whether what should find a fault is the same in two trees, to the letter: the files of tests, and their helpers."""
    named = {name for tests in fault.tests for name in tests.partition(" -k ")[0].split()}
    mine, theirs = (
        {
            path.relative_to(tree): path.read_bytes()
            for path in (tree / "tests").rglob("*.py")
            if not path.name.startswith("test_") or any(str(path.relative_to(tree)).startswith(one) for one in named)
        }
        for tree in (new, old)
    )
    return mine == theirs


def main() -> int:
    """The table, and 1 where a fault is missed or can no longer be planted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", help="a commit whose tests are tried as well")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names or files of faults")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS if any(one in fault.name or one in fault.file for one in arguments.only)]
    for fault in chosen:
        times = (ROOT / "src" / "headgrid" / fault.file).read_text(encoding="utf-8").count(fault.old)
        if times != 1:
            print(f"{fault.file} has the text of {fault.name!r} {times} times: plant it anew")
            return 1
    import hypothesis
    import matplotlib
    import numpy
    import pandas
    import torch
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.llama.modeling_llama  # noqa: F401

    del hypothesis, matplotlib, numpy, pandas
    torch.set_num_threads(1)
    missed = 0
    with tempfile.TemporaryDirectory() as home:
        trees = {"new": copied(Path(home) / "new", None)}
        if arguments.old:
            trees = {"old": copied(Path(home) / "old", arguments.old)} | trees
        print("| fault | in |", " | ".join(trees), "|\n|---|---|" + "---|" * len(trees), flush=True)
        for fault in chosen:
            found = {"new": caught(trees["new"], fault)}
            if "old" in trees:
                found = {"old": found["new"] if same(*trees.values(), fault) else caught(trees["old"], fault)} | found
            missed += not found["new"]
            said = [one.rpartition("/")[2].replace("|", "/") or "**missed**" for one in found.values()]
            print(f"| {fault.name} | `{fault.file}` |", " | ".join(said), "|", flush=True)
    print(f"\n{len(chosen)} faults, {missed} missed")
    return missed > 0


if __name__ == "__main__":
    raise SystemExit(main())
