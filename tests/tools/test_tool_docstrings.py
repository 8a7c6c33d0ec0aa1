"""The first paragraph and each argument's text, in the three styles that people write."""

from __future__ import annotations

import pytest

from abstractcore.tools.docstring import argument_texts, summary

GOOGLE = """Do it.

    More words: not an argument.

    Args:
        city: The name,
            in English: always.
        days (int, optional): How many.
        mode:
            One of these.

        last: After a blank line.

    Returns:
        city: Not an argument.
    """
NUMPY = """
    Do it.

    Parameters
    ----------
    city : str
        The name,
        in English: always.
    days : int, optional
        How many.
    mode
        One of these.

    last : {'a', 'b'}
        After a blank line.

    Returns
    -------
    other : str
        Not an argument.
    """
SPHINX = """Do it.

    :param city: The name,
        in English: always.
    :param int days: How many.
    :type days: int
    :param mode:
        One of these.

    :param last: After a blank line.
    :returns: Nothing
        of use.
    """


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style_gives_the_same_texts(doc):
    assert summary(doc) == "Do it."
    assert argument_texts(doc) == {
        "city": "The name, in English: always.",
        "days": "How many.",
        "mode": "One of these.",
        "last": "After a blank line.",
    }


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        ("Two\n    lines.\n\n    More.", "Two lines."),
        ("Args:\n    x: 1", ""),
        ("Do it.\n    Args:\n        x: 1", "Do it."),
        ("Do it.\n    :param x: 1", "Do it."),
        ("Parameters\n    ----------\n    x : int", ""),
        ("Note: this is a sentence.", "Note: this is a sentence."),
    ],
)
def test_the_summary_is_the_first_paragraph(doc, expected):
    assert summary(doc) == expected


@pytest.mark.parametrize(
    "doc", [None, "", "Args:", "Args:\n", "Parameters\n----------", ":param:", "---\n---"]
)
def test_a_docstring_that_says_nothing_gives_nothing(doc):
    assert argument_texts(doc) == {}
