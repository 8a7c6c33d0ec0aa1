import pytest

from abstractcore.codecs.tool_call_parts import ToolCallParts, read_arguments


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": NaN}', '{"a": -Infinity}', "[1]", "{", '"x"'])
def test_arguments_that_no_request_could_carry_stay_as_the_models_words(text):
    """FAULTS 1.6: an answer that a session recorded must be valid to send back."""
    assert read_arguments(text) == ({}, text)


def test_arguments_sent_as_an_object_are_held_to_the_same() -> None:
    parts = ToolCallParts()
    parts.add(
        [
            {"function": {"name": "a", "arguments": {"x": [1, "é"]}}},
            {"function": {"name": "b", "arguments": {"é": float("inf")}}},
        ],
        are_whole=True,
    )

    whole, odd = parts.calls()

    assert (whole.arguments, whole.arguments_raw) == ({"x": [1, "é"]}, None)
    assert (odd.arguments, odd.arguments_raw) == ({}, '{"é": Infinity}')
