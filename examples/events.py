"""Write a line of log for each request, retry, answer and failure of an LLM.

python examples/events.py openai gpt-5-mini
"""

from __future__ import annotations

import sys

from abstractcore import ErrorEvent, RequestEvent, ResponseEvent, RetryEvent, create_llm


def on_request(event: RequestEvent) -> None:
    print(f"request: {event.provider} {event.model}, {len(event.request.messages)} messages")


def on_failure(event: RetryEvent | ErrorEvent) -> None:
    print(f"failure: {event.provider} {event.model}, {type(event.error).__name__}: {event.error}")


def on_response(event: ResponseEvent) -> None:
    print(f"answer: {event.provider} {event.model}, {event.seconds:.2f} s, {event.usage}")


def main(provider: str, model: str) -> None:
    with create_llm(provider, model) as llm:
        llm.on("request", on_request)
        llm.on("retry", on_failure)
        llm.on("response", on_response)
        llm.on("error", on_failure)
        llm.generate("Why is the sky blue, in one sentence?")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
