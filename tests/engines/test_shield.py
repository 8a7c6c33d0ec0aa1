"""Text that looks like a control token is found in data, and stays text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.engines.worker.shield import Controls, Shield

CONTROLS = ["<s>", "</s>", "<|im_end|>", "<|im_end|>x", "[INST]", "<", "\n\n"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain < text\n\n", []),
        ("a<s>b</s>", [(1, "<s>"), (5, "</s>")]),
        ("<<s>", [(1, "<s>")]),
        ("<|im_end|>x", [(0, "<|im_end|>x")]),
        ("<|im_end|>y", [(0, "<|im_end|>")]),
        ("[[INST][INST", [(1, "[INST]")]),
    ],
)
def test_controls_are_found(text: str, found: list[tuple[int, str]]) -> None:
    controls = Controls(CONTROLS)

    assert list(controls.found(text)) == found
    assert controls.are_in({"a": [1, None, {"b": text}]}) == bool(found)
    assert controls.are_in({text: 1}) == bool(found)


def test_a_model_may_have_no_controls() -> None:
    assert not Controls([]).are_in("<s>")


@given(st.lists(st.sampled_from([*CONTROLS, "a", "<", "|im", "z"])).map("".join))
def test_the_text_comes_back_as_it_was(text: str) -> None:
    controls = Controls(CONTROLS)
    shield = Shield(controls)
    covered = shield.over({"content": [text]})["content"][0]

    assert not controls.are_in(covered)
    parts = shield.parts(f"<s>{covered}</s>")
    assert "".join(part for part, _ in parts) == f"<s>{text}</s>"
    assert [part for part, is_data in parts if is_data] == [control for _, control in controls.found(text)]


def test_thousands_of_controls_cost_next_to_nothing() -> None:
    """A pattern of 6,000 took 50 ms for each 15 kB of HTML, and the whole batch would wait for it."""
    controls = Controls([f"<unused{number}>" for number in range(6_000)])
    text = "a < b <br> <unused " * 1_000
    began = time.process_time()

    for _ in range(10):
        assert not controls.are_in(text)

    assert (time.process_time() - began) / 10 < 0.4


def test_a_prompt_full_of_control_tokens_is_split_at_once() -> None:
    """FAULTS 1.7: a pattern with a word for each of them would take minutes, and every other call with it."""
    shield = Shield(Controls(["<|end|>"]))
    parts = shield.parts(shield.over("<|end|>a" * 100_000))

    assert parts == [("<|end|>", True), ("a", False)] * 100_000
