"""The layers of the design: imports go down only, inside packages too, and there is no import circle.

An import counts wherever it stands: at the top of a module, in a function, or for the type checker alone. Heavy
libraries are imported where they are used.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "headgrid"

ORDER = {
    "headgrid": """
        utils torch_state
        anatomy linalg demo
        selection models
        weights hooks
        circuits
        experiments
        plots
        widget
        library course
        __init__
    """,
    "headgrid.utils": "__init__ / arguments byte_cache frames frozen offloaded warning / files",
    "headgrid.anatomy": "__init__ / roles / slots / stacks / anatomy / names",
    "headgrid.linalg": "__init__ / triangles outliers / svd / factored",
    "headgrid.selection": """
        __init__ / words / lexer notations parts / masks pieces printer union / saving activations expression
        suggestions / entries parser / code completion points / indices / selection / preview
    """,
    "headgrid.models": """
        family vocabulary scaling proven configs weight_source / checkpoints families binding adapters / detect /
        huggingface / lens wrappers
        __init__ / verify
    """,
    "headgrid.models.checkpoints": "files / naming skeleton / __init__",
    "headgrid.models.families": "decoders encoders encoder_decoders vision lens / mixtures / __init__",
    "headgrid.models.detect": "lexicon / evidence / attention outside / layers report / stacks / __init__",
    "headgrid.models.verify": """
        frozen stand_in / watch / expected / findings / picture statements / passes proof / __init__ probe
    """,
    "headgrid.hooks": """
        execution taps positions / attached cache stream interceptor / attention modes / ablation found /
        recording / replacing / __init__
    """,
    "headgrid.circuits": """
        __init__ / norms progress readout scores strings targets / largest_entries / measured pairs tokens
        caveats summary / factors
        products describe scan / composition summarize
    """,
    "headgrid.experiments": """
        frozen_norms metrics ready receipts shortcuts tokens / effects task / runs singles contributions / copies /
        interventions patterns / replacing head_types / saturation attention gates / attribution direct logit_lens /
        sweep / directions edges effect keeping / faithfulness streams / ends smallest / readings / paths /
        composed / __init__
    """,
    "headgrid.plots": """
        style / canvas color_scale / attention circuit_sizes graph heatmap spectra token_tables / attention_page /
        __init__
    """,
    "headgrid.widget": "__init__ / wire / state / compute / export transaction / state_widget / head_grid",
    "headgrid.widget.wire": "__init__ / schema / commands empty / validate",
    "headgrid.widget.state": """
        __init__ / tooltips cell_index undo questions / cells cell_colors / grid_spec counts head_values / query saved /
        grid_state
    """,
    "headgrid.widget.compute": """
        __init__ / ipython_events pass_size silent_cells weight_location weight_versions worker
        shared_copy / to_wire / composition_to_wire next_tokens code_writer / live_patterns live_task summary_cache /
        selection_effect selected_heads task_numbers arrow_effects thumbnails / coloring live_reader / live_lane
        heads_table grader / live_lanes pattern_lane / live / scheduler
    """,
    "headgrid.widget.export": """
        __init__ / precompute precompute_live shapes widget_state / geometry marks nbconvert png scene svg /
        arrows cells / headers legend / figure / fallback html / files
    """,
    "headgrid.library": "facts / diff prompts remeasured / published / entries / __init__",
    "headgrid.library.entries": "gpt2_small larger shipped / small / __init__",
    "headgrid.course": """
        sealing notebook / mistakes result / kinds registry / asked report / exercise collecting / prediction /
        __init__
    """,
    "headgrid.demo": "name_task shipped / prompts / marked_names / __init__",
}
"""Package -> its modules and folders, lowest first; a line or a slash divides them.

A module imports what stands lower in the package that both are in. Those between two divisions import none of each
other. `__init__` of a folder that has nothing but its name is the lowest of it.
"""

DOORWAYS = {
    ("headgrid.anatomy.anatomy", "headgrid.selection.selection"),
    ("headgrid.circuits.composition", "headgrid.experiments.composed"),
    ("headgrid.circuits.composition", "headgrid.experiments.task"),
    ("headgrid.experiments.attention", "headgrid.plots.attention"),
    ("headgrid.experiments.attention", "headgrid.plots.attention_page"),
}
"""`Anatomy.select` makes a selection, `Attention` draws itself, and `Composition.test` asks a forward pass what weights
cannot say, so they import the modules above them when they are called. There are no others."""

HEAVY = {"transformers", "transformer_lens", "pandas", "matplotlib", "rich", "IPython", "devinterp", "datasets"}
"""Libraries that importing headgrid does not import: functions import them when they run."""


def name_of(path: Path) -> str:
    parts = ("headgrid", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}
PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py"]


def imports(name: str) -> Iterator[tuple[str, bool]]:
    """The modules that a module imports, and whether it does so when it is itself imported."""
    tree = ast.parse(FILES[name].read_text())
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in guarded
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relative to itself; write headgrid..."
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield member if member in FILES else node.module or "", id(node) not in guarded


def imported(name: str) -> set[str]:
    """The modules of headgrid that a module imports, but for the doorways."""
    return {other for other, _ in imports(name) if other in FILES and (name, other) not in DOORWAYS} - {name}


def below(package: str, name: str) -> str:
    """What a module is part of in a package that it is in."""
    return name.removeprefix(package).lstrip(".").split(".")[0] or "__init__"


def order(package: str) -> list[list[str]]:
    return [line.split() for line in ORDER[package].replace("/", "\n").splitlines() if line.strip()]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_of_a_package_has_its_layer(package: str) -> None:
    there = {below(package, name) for name in FILES if name == package or name.startswith(f"{package}.")}
    listed = [name for layer in order(package) for name in layer]
    assert sorted(listed) == sorted(there), f"write down in tests/test_layers.py where in {package} they stand"


@pytest.mark.parametrize("name", FILES)
def test_a_module_imports_only_what_is_below_it(name: str) -> None:
    for other in imported(name):
        both = f"{name}.", f"{other}."
        package = max((one for one in PACKAGES if all(path.startswith(f"{one}.") for path in both)), key=len)
        here, there = below(package, name), below(package, other)
        level = {unit: i for i, layer in enumerate(order(package)) for unit in layer}
        assert here == there or level[there] < level[here], f"{name} imports {other}, which is not below it"


def circles() -> list[list[str]]:
    """The sets of modules that import each other, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in imported(name):
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            circle = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for name in FILES:
        if name not in number:
            visit(name)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles() == []


def test_a_circle_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.DOORWAYS", set())
    known = {"headgrid.anatomy.anatomy", "headgrid.selection.parts", "headgrid.selection.selection"}
    assert any(known <= set(circle) for circle in circles())


def types(tree: ast.Module) -> set[str]:
    """The classes and aliases of types that a module defines."""
    named = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    set_to = [node.targets if isinstance(node, ast.Assign) else [node.target] for node in tree.body
              if isinstance(node, ast.Assign | ast.AnnAssign)]  # fmt: skip
    named |= {target.id for targets in set_to for target in targets if isinstance(target, ast.Name)}
    return {name for name in named if re.fullmatch(r"[A-Z]+[a-z]\w*", name)}


def test_a_name_of_a_type_means_one_thing() -> None:
    where: dict[str, list[str]] = {}
    for name, path in FILES.items():
        for found in types(ast.parse(path.read_text())):
            where.setdefault(found, []).append(name)
    assert len(where) > 100
    assert {found: names for found, names in where.items() if len(names) > 1} == {}


@pytest.mark.parametrize("name", FILES)
def test_heavy_libraries_are_imported_where_they_are_used(name: str) -> None:
    at_import = {other.split(".")[0] for other, eager in imports(name) if eager}
    assert not at_import & HEAVY


@pytest.mark.parametrize("name", FILES)
def test_only_models_and_the_demo_know_a_library_of_models(name: str) -> None:
    known = {other.split(".")[0] for other, _ in imports(name)} & {"transformers", "transformer_lens"}
    assert not known or below("headgrid", name) in {"models", "demo"}
