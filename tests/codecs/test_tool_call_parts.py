import pytest

from abstractcore.codecs.tool_call_parts import read_arguments


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": NaN}', '{"a": -Infinity}', "[1]", "{", '"x"'])
def test_arguments_that_no_request_could_carry_stay_as_the_models_words(text):
    """FAULTS 1.6: an answer that a session recorded must be valid to send back."""
    assert read_arguments(text) == ({}, text)
