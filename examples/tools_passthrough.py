"""Let the model ask for a function, run it yourself, and give the result back.

python examples/tools_passthrough.py openai gpt-5-mini
"""

from __future__ import annotations

import sys

from abstractcore import BasicSession, create_llm, tool

PROVIDER, MODEL = sys.argv[1:3] if len(sys.argv) > 2 else ("ollama", "qwen3:4b-instruct")


@tool
def get_weather(city: str) -> str:
    """Tell the weather of today.

    Args:
        city: The city, in English.
    """
    return f"It is sunny in {city}, 24 degrees."


def main() -> None:
    with create_llm(PROVIDER, MODEL) as llm:
        session = BasicSession(llm, tools=[get_weather])
        response = session.generate("What is the weather in Paris?")

        while response.tool_calls:
            results = []
            for call in response.tool_calls:
                print(f"{call.name}({call.arguments})")
                known = call.name == "get_weather" and call.arguments_raw is None
                content = get_weather(**call.arguments) if known else "This is no call of a tool that exists."
                results.append({"role": "tool", "tool_call_id": call.id, "content": content})
            response = session.generate(messages=results)

        print(response.content)


if __name__ == "__main__":
    main()
