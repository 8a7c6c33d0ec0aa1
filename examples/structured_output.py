"""Get an object of your own type out of a text.

python examples/structured_output.py openai gpt-5-mini
"""

from __future__ import annotations

import sys
from typing import Literal

from pydantic import BaseModel, Field

from abstractcore import StructuredOutputError, create_llm

PROVIDER, MODEL = sys.argv[1:3] if len(sys.argv) > 2 else ("ollama", "qwen3:4b-instruct")
MAIL = "Hello, the lamp that I bought on Monday flickers. I want my 36 euros back. Ada Byron"


class Complaint(BaseModel):
    """What a customer's mail says."""

    customer: str
    product: str
    price: float = Field(description="in euros")
    wish: Literal["refund", "repair", "answer"]


def main() -> None:
    with create_llm(PROVIDER, MODEL, temperature=0) as llm:
        try:
            complaint = llm.generate(f"Read this mail:\n\n{MAIL}", response_model=Complaint)
        except StructuredOutputError as error:
            raise SystemExit(f"The model wrote {error.last_text!r}: {error.validation_error}") from error
    print(
        f"{complaint.customer} wants a {complaint.wish} for the {complaint.product}: {complaint.price} euros"
    )


if __name__ == "__main__":
    main()
