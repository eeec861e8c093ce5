"""docs/families.md: what the tests found of every family, written by the test run itself.

The table is written when a run had every test that it tells of, for every family. A run that finds another table than
the committed one writes it and fails, so that the page cannot say what is no longer so.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

import headgrid as hg
from headgrid.utils import files

PAGE = Path(__file__).parent.parent / "docs" / "families.md"

COLUMNS = {
    "1": {"test_every_entry_of_every_parameter_belongs_to_exactly_one_part", "test_full_is_every_parameter_whole"},
    "2": {"test_masks_are_a_homomorphism_of_set_algebra", "test_counted_parameters_are_the_true_entries_of_the_masks"},
    "3": {"test_a_selection_prints_as_text_that_parses_back_to_it"},
    "4": {"test_zeroing_a_heads_masked_output_weights_is_ablating_its_z",
          "test_a_side_moves_its_own_heads_and_no_other",
          "test_zeroing_a_neurons_output_weights_is_ablating_its_activation",
          "test_zeroing_an_experts_output_weights_removes_what_it_adds_and_nothing_else"},
    "5": {"test_the_canonical_weights_reproduce_the_models_own_values_and_attention_output"},
    "OV, QK": {"test_every_number_of_a_scan_is_that_of_the_dense_circuit",
               "test_directions_of_a_head_are_singular_directions_of_its_dense_circuits",
               "test_heads_write_what_ov_makes_of_the_tokens_that_they_attend_to",
               "test_qk_gives_the_scores_that_the_model_gives_softmax",
               "test_an_mlp_reads_and_writes_the_stream_as_its_matrices_say"},
    "proven": {"test_every_family_is_proven_in_eager_attention",
               "test_every_family_is_proven_without_weights_and_in_the_attention_that_it_chooses"},
    "guess": {"test_a_family_that_is_not_in_the_table_is_guessed_right_or_refused"},
    "devinterp": {"test_devinterps_masks_of_every_head_are_judged"},
}  # fmt: skip
"""Column -> the tests, each parametrized by family, that must all pass for a tick in it."""

HEAD = """\
# Families

Written by the test run (`tests/families_table.py`), on small random models of every family, in double precision, with
transformers {transformers} and devinterp {devinterp}. A tick is a test that passed; the tests name what they compare.

| column | means |
|---|---|
| 1 | every entry of every parameter belongs to exactly one part |
| 2 | masks are a homomorphism of union, intersection, difference and complement |
| 3 | every selection prints as text that parses back to it |
| 4 | by the model's own forward pass, for every head: zeroing its masked `W_O` is ablating its `z`; its query side \
moves its attention alone, its key side that of the heads which read it, its value side their `z`; neurons and experts \
likewise |
| 5 | the canonical weights reproduce the model's own values and attention output; where positions are a table, its \
attention pattern too |
| OV, QK | with norms folded in: what a head writes and the scores before its softmax are those of the model's own \
forward pass, and what the MLP reads; every singular value, direction and copying score is that of the dense matrix in \
float64 |
| proven | `hg.verify` proves it, eager and in the attention that the model chooses by itself |
| guess | what headgrid guesses without the row of the table: the same layout (right); a refusal; or `1 of 2`: shapes \
allow two layouts, and the likeliest is the right one, which `hg.verify` tells as far as heads go |
| devinterp | `create_param_masks(model, ["l0h0"])` and so on, beside the masks that were proven: the same (right), \
some of a head's weights missing (incomplete), weights of another head (wrong), an error or no support (refused). It \
takes d_model / n_heads for d_head: where that is not so, it raises or selects other heads, as the sizes will have it |

"""


class Table:
    """A pytest plugin: collects what the tests of each family found, and writes the page."""

    def __init__(self) -> None:
        self.passed: dict[tuple[str, str], set[str]] = {}
        self.failed: set[tuple[str, str]] = set()
        self.said: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test, _, parameters = report.nodeid.rpartition("::")[2].partition("[")
        column = next((column for column, tests in COLUMNS.items() if test in tests), None)
        family = next((name for name in tiny.FAMILIES if parameters in (f"{name}]", *sides(name))), None)
        if column is None or family is None or (report.when != "call" and report.passed):
            return
        if report.passed:
            self.passed.setdefault((family, column), set()).add(test)
            self.said.update({(family, key): str(value) for key, value in report.user_properties})
        else:
            self.failed.add((family, column))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        complete = all(
            self.passed.get((family, column)) == tests and (family, column) not in self.failed
            for family in tiny.FAMILIES
            for column, tests in COLUMNS.items()
        )
        if not complete:
            return
        page = self.page()
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            files.write(PAGE, page)
            print(f"\n{PAGE.name} did not say what these tests found: it has been written anew, commit it")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def page(self) -> str:
        from importlib.metadata import version

        lines = ["| family | model | layers x heads | 1 | 2 | 3 | 4 | 5 | OV, QK | proven | guess | devinterp |"]
        lines.append("|---|---|---|" + ":-:|" * 7 + "---|---|")
        for name in tiny.FAMILIES:
            anatomy = hg.dissect(tiny.model(name))
            shape = anatomy.title.partition(f"({anatomy.family}), ")[2]
            said = [self.said[name, column] for column in ("guess", "devinterp")]
            lines.append(f"| `{anatomy.family}` | {name} | {shape} |{' ✓ |' * 7} {' | '.join(said)} |")
        verdicts = [self.said[name, "devinterp"].split(":")[0] for name in tiny.FAMILIES]
        counts = ", ".join(f"{verdicts.count(one)} {one}" for one in sorted(set(verdicts), key=verdicts.count)[::-1])
        text = HEAD.format(transformers=version("transformers"), devinterp=version("devinterp")) + "\n".join(lines)
        return f"{text}\n\ndevinterp on these {len(verdicts)} models: {counts}.\n"


def sides(family: str) -> list[str]:
    """The parameters of a test that has the sides of a head as well as families."""
    return [f"{side}-{family}]" for side in "qkv"]
