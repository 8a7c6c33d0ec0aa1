"""Test a program without any model: an agent's tools, a failure, a cancelled stream.

pytest examples/testing_scripted.py      or      python examples/testing_scripted.py
"""

from __future__ import annotations

from abstractcore import LLM, Agent, RateLimitError, client
from abstractcore.testing import FunctionLLM, Request, ScriptedLLM, tool_call

STOCK = {"tea": 3, "coffee": 0}


def in_stock(product: str) -> int:
    """Tell how many of a product are left."""
    return STOCK[product]


def answer_customer(llm: LLM, question: str) -> str:
    """The program under test."""
    try:
        return Agent(client(llm), "You sell drinks.", tools=[in_stock]).run(question)
    except RateLimitError as failure:
        return f"Please come back in {failure.retry_after:g} seconds."


def test_the_stock_is_looked_up():
    llm = ScriptedLLM([tool_call("in_stock", product="tea"), "We have 3 boxes of tea."])

    assert answer_customer(llm, "Is there tea?") == "We have 3 boxes of tea."

    first, second = llm.requests
    assert first.system_prompt == "You sell drinks."
    assert first.tool_names == ["in_stock"]
    assert second.tool_results == ["3"]
    assert llm.unused == 0


def test_a_busy_provider_is_no_crash():
    llm = ScriptedLLM([RateLimitError("busy", retry_after=20.0)])

    assert answer_customer(llm, "Is there tea?") == "Please come back in 20 seconds."


def test_any_order_of_questions():
    def model(request: Request):
        if request.tool_results:
            return f"We have {request.tool_results[-1]}."
        return tool_call("in_stock", product="coffee" if "coffee" in request.prompt else "tea")

    llm = FunctionLLM(model)

    assert answer_customer(llm, "Is there coffee?") == "We have 0."
    assert answer_customer(llm, "Is there tea?") == "We have 3."


if __name__ == "__main__":
    for test in (
        test_the_stock_is_looked_up,
        test_a_busy_provider_is_no_crash,
        test_any_order_of_questions,
    ):
        test()
        print(f"{test.__name__}: passed")
