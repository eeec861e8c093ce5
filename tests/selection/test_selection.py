from __future__ import annotations

import pytest
import tiny
import torch

import headgrid as hg

anatomy = hg.dissect(tiny.model("llama with grouped-query attention"))


def test_a_selection_shows_as_the_text_that_makes_it() -> None:
    selection = anatomy.select("l1h2 | l0 mlp")
    assert repr(selection) == "Selection('l1h2 | l0 mlp')"
    assert str(selection) == "l1h2 | l0 mlp"


def test_a_list_is_the_union_of_its_texts_pairs_and_selections() -> None:
    both = anatomy.select(["l1h2", (0, 3), anatomy.select("embed")])
    assert both == anatomy.select("l1h2 | l0h3 | embed")
    assert anatomy.select([]) == anatomy.select("none")
    assert anatomy.select((2, 5)) == anatomy.select("l2h5")


def test_operators_take_selections_and_texts() -> None:
    heads = anatomy.select("l1h2 | l0h3")
    assert heads | "embed" == anatomy.select("l0h3 | l1h2 | embed")
    assert heads & "l1" == anatomy.select("l1h2")
    assert heads - anatomy.select("l1") == anatomy.select("l0h3")
    assert heads ^ "l1h2 | embed" == anatomy.select("l0h3 | embed")
    assert ~~heads == heads


def test_containment_is_that_of_sets() -> None:
    heads = anatomy.select("l1h* | embed")
    assert "l1h2" in heads
    assert "l0h2" not in heads
    assert anatomy.select("l1h2") <= heads


def test_an_empty_selection_is_false_and_masks_nothing() -> None:
    nothing = anatomy.select("l0 & l1")
    assert not nothing
    assert nothing.masks() == {}
    assert nothing.n_params == 0
    assert nothing == anatomy.select("")


def test_equal_selections_are_one_key_of_a_dictionary() -> None:
    assert {anatomy.select("l1g0"): 1}[anatomy.select("l1h0-2")] == 1


def test_heads_are_those_that_are_selected_whole() -> None:
    assert anatomy.select("l1h2 | l0 attn - l0h0.q | l2h1.q").heads == [*((0, h) for h in range(1, 6)), (1, 2)]
    assert anatomy.select("l0 mlp").heads == []


def test_a_selection_cannot_be_changed() -> None:
    selection = anatomy.select("l1h2")
    with pytest.raises(AttributeError, match="does not change"):
        selection.parts = {}
    with pytest.raises(ValueError, match="read-only"):
        selection.parts["W_Q"][0, 0] = True


def test_a_selection_of_another_model_is_refused_by_name() -> None:
    other = hg.dissect(tiny.model("gpt2")).select("l1h2")
    with pytest.raises(ValueError, match=r"is of GPT2LMHeadModel .* another model than LlamaForCausalLM"):
        anatomy.select(other)
    with pytest.raises(ValueError, match="another model"):
        anatomy.select("l1h2") | other
    assert anatomy.select("l1h2") != other


def test_what_cannot_be_selected_is_refused_with_what_can() -> None:
    with pytest.raises(TypeError, match=r"3 cannot be selected: a layer is .* select takes a text such as"):
        anatomy.select(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="joined and compared with a selection or a text such as 'l1h2', not 3"):
        anatomy.select("l0") | 3  # type: ignore[operator]
    with pytest.raises(hg.SelectionError, match="there is no head 7"):
        anatomy.select([(0, 1), (0, 7)])


def test_selected_heads_is_true_at_the_heads_that_are_selected_whole() -> None:
    mask = anatomy.select("l1h2 | l0h3-4 | l2h0.q").selected_heads()
    assert mask.shape == (3, 6)
    assert mask.dtype == torch.bool
    assert mask.nonzero().tolist() == [[0, 3], [0, 4], [1, 2]]


def test_only_the_selected_entries_get_gradients_and_all_is_as_before_after_it() -> None:
    model = tiny.fresh("llama with grouped-query attention")
    model.get_parameter("model.norm.weight").requires_grad_(False)
    selection = anatomy.select("l1h2 | l0 mlp n3 | ln_final")
    masks = selection.masks()

    def gradients() -> dict[str, torch.Tensor | None]:
        model.zero_grad()
        tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
        model(tokens, labels=tokens).loss.backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    free = gradients()
    held: dict[str, torch.Tensor | None] = {}

    def fail_in_context() -> None:
        with selection.training_only(model):
            held.update(gradients())
            raise RuntimeError("as expected")

    with pytest.raises(RuntimeError, match="as expected"):
        fail_in_context()
    for name, gradient in held.items():
        if name not in masks:
            assert gradient is None
        elif name != "model.norm.weight":
            torch.testing.assert_close(gradient, free[name] * masks[name])
    assert held["model.norm.weight"] is None, "what is frozen stays so"
    for name, gradient in gradients().items():
        torch.testing.assert_close(gradient, free[name])


def test_training_only_refuses_another_model() -> None:
    with pytest.raises(ValueError, match="of another model"), anatomy.select("l1h2").training_only(tiny.model("gpt2")):
        pass


def test_json_is_read_back_on_an_equal_anatomy_and_refused_on_another_by_name() -> None:
    line = anatomy.select("l1h2 | l0 mlp").to_json()
    again = hg.dissect(tiny.fresh("llama with grouped-query attention"))
    assert hg.Selection.from_json(again, line) == anatomy.select("l1h2 | l0 mlp")
    with pytest.raises(ValueError, match=r"is of LlamaForCausalLM .* another model than GPT2LMHeadModel"):
        hg.Selection.from_json(hg.dissect(tiny.model("gpt2")), line)
    with pytest.raises(ValueError, match="another model"):
        hg.Selection.from_json(hg.dissect(tiny.model("mistral")), line.replace("Llama", "Mistral")[:-2] + '0"}')
    for garbage in ["", "3", "{}", '"l1h2"']:
        with pytest.raises(ValueError, match="no selection as to_json writes it"):
            hg.Selection.from_json(anatomy, garbage)
