"""What a type checker makes of the public surface. Checked by `make types`, never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, assert_type

from pydantic import BaseModel

import abstractcore
from abstractcore import (
    LLM,
    AbstractCoreError,
    APIError,
    AsyncBatchJob,
    AsyncMapResults,
    AsyncStream,
    BasicSession,
    BatchJob,
    ConfigurationError,
    ConnectionFailedError,
    FallbackLLM,
    GenerateResponse,
    IncompleteStreamError,
    MapResult,
    MapResults,
    MCPToolsChangedError,
    Message,
    RateLimitError,
    RequestTimeoutError,
    Stream,
    StreamChunk,
    StructuredOutputError,
    Tool,
    ToolCall,
    ToolContext,
    Usage,
    aio,
    create_llm,
    fallback,
    tool,
)
from abstractcore.mcp import AsyncMCPClient
from abstractcore.tools import MCPClient
from abstractcore.types import ToolSpec


class City(BaseModel):
    name: str


@dataclass
class Point:
    x: int
    y: int


class Person(TypedDict):
    name: str


def double(x: int) -> int:
    """Give twice *x*."""
    return 2 * x


@tool
def half(x: int) -> float:
    """Give half of *x*."""
    return x / 2


@tool(name="look_up")
async def look_up(word: str, context: ToolContext) -> str:
    """Look *word* up."""
    await asyncio.sleep(0)
    return word


SCHEMA: dict[str, Any] = {"type": "object"}
HISTORY: list[Message] = [{"role": "user", "content": "hi"}]


# ---- create_llm ------------------------------------------------------------------------------

llm = create_llm("openai", "gpt-5-mini")
assert_type(llm, LLM)
assert_type(llm.provider, str)
assert_type(llm.model, str)
assert_type(create_llm("openai:gpt-5-mini"), LLM)
assert_type(fallback([llm], on=RateLimitError, max_failures=2), FallbackLLM)
assert_type(fallback([llm]).generate("hi"), GenerateResponse)
assert_type([each for each in llm.map(["hi"], rate=60, temperature=0)], list[MapResult])
assert_type(llm.amap(["hi"], ordered=False), AsyncMapResults)
assert_type(llm.batch(["hi", {"prompt": "ho", "seed": 1}], metadata={"run": "1"}, seed=2), BatchJob)
assert_type(llm.batch_job("batch_1").wait(timeout=60).results(), MapResults)
assert_type(
    create_llm(
        "vllm",
        model="m",
        base_url="http://localhost:8000/v1",
        api_key="k",
        headers={"X-Team": "red"},
        timeout=30,
        max_retries=0,
        strict=True,
        max_connections=8,
        connect_timeout=1.5,
        read_timeout=60,
        temperature=0,
        top_p=0.9,
        seed=7,
        stop=["END"],
        thinking="low",
        extra={"service_tier": "flex"},
    ),
    LLM,
)
assert_type(create_llm("openvino", "m.gguf", deterministic=True, device="CPU", cache_gb=1, max_batch=4), LLM)
create_llm("openai", "m", temprature=1)  # pyright: ignore[reportCallIssue]
create_llm("openai", "m", temperature="hot")  # pyright: ignore[reportArgumentType]
create_llm("openai", "m", thinking="hard")  # pyright: ignore[reportArgumentType]
create_llm(provider=3)  # pyright: ignore[reportArgumentType]


# ---- generate --------------------------------------------------------------------------------


def whole() -> None:
    assert_type(llm.generate("hi"), GenerateResponse)
    assert_type(llm.generate("hi", stream=False), GenerateResponse)
    assert_type(llm.generate(messages=HISTORY, system_prompt="Be brief."), GenerateResponse)
    assert_type(
        llm.generate("hi", tools=[double, half, look_up, SCHEMA], tool_choice="auto"), GenerateResponse
    )
    assert_type(llm.generate("hi", media=[Path("a.png"), b"...", "https://x.test/a.png"]), GenerateResponse)
    assert_type(llm.generate("hi", media="a.png", include="generating", timeout=5), GenerateResponse)
    assert_type(llm.generate("hi", temperature=0.5, seed=1, thinking=False, extra={}), GenerateResponse)
    llm.generate("hi", max_tokens=5)  # pyright: ignore[reportCallIssue]
    llm.generate("hi", seed="seven")  # pyright: ignore[reportCallIssue, reportArgumentType]


def parsed() -> None:
    assert_type(llm.generate("hi", response_model=City), City)
    assert_type(llm.generate("hi", response_model=Point), Point)
    assert_type(llm.generate("hi", response_model=Person), Person)
    assert_type(llm.generate("hi", response_model=list[City]), list[City])
    assert_type(llm.generate("hi", response_model=City, return_response=True), GenerateResponse)
    assert_type(llm.generate("hi", response_model=City, stream=True), Stream)
    assert_type(llm.generate("hi", response_model=SCHEMA), Any)
    assert_type(llm.generate("hi", response_model=Literal["yes", "no"]), Any)
    assert_type(llm.generate("hi", response_model=SCHEMA, return_response=True), GenerateResponse)


def streamed(is_streamed: bool) -> None:
    stream = llm.generate("hi", stream=True)
    assert_type(stream, Stream)
    iterator: Iterator[StreamChunk] = stream
    assert_type(next(iterator), StreamChunk)
    for chunk in stream:
        assert_type(chunk, StreamChunk)
    with llm.generate("hi", stream=True, include=["thinking", "generating"]) as same:
        assert_type(same, Stream)
    assert_type(stream.response, GenerateResponse)
    assert_type(stream.partial, GenerateResponse)
    assert_type(llm.generate("hi", stream=is_streamed), GenerateResponse | Stream)
    stream.close()


# ---- agenerate -------------------------------------------------------------------------------


async def awaited_whole() -> None:
    pending: Coroutine[Any, Any, GenerateResponse] = llm.agenerate("hi")
    assert_type(await pending, GenerateResponse)
    assert_type(await llm.agenerate("hi"), GenerateResponse)
    assert_type(await llm.agenerate("hi", stream=False, temperature=0.5), GenerateResponse)
    assert_type(await llm.agenerate("hi", response_model=City), City)
    assert_type(await llm.agenerate("hi", response_model=Person), Person)
    assert_type(await llm.agenerate("hi", response_model=SCHEMA), Any)
    assert_type(await llm.agenerate("hi", response_model=City, return_response=True), GenerateResponse)
    one, two = await asyncio.gather(llm.agenerate("hi"), llm.agenerate("ho", response_model=City))
    assert_type(one, GenerateResponse)
    assert_type(two, City)
    assert_type(await asyncio.wait_for(llm.agenerate("hi"), 5), GenerateResponse)
    llm.agenerate("hi", max_tokens=5)  # pyright: ignore[reportCallIssue, reportUnusedCoroutine]


async def awaited_stream(is_streamed: bool) -> None:
    stream = llm.agenerate("hi", stream=True)
    assert_type(stream, AsyncStream)
    assert_type(await stream, AsyncStream)
    awaitable: Awaitable[AsyncStream] = stream
    iterator: AsyncIterator[StreamChunk] = await awaitable
    assert_type(await anext(iterator), StreamChunk)
    async for chunk in stream:
        assert_type(chunk, StreamChunk)
    async for chunk in await llm.agenerate("hi", stream=True):
        assert_type(chunk, StreamChunk)
    async with llm.agenerate("hi", stream=True) as same:
        assert_type(same, AsyncStream)
    assert_type(await asyncio.create_task(llm.agenerate("hi", stream=True)), AsyncStream)
    assert_type(await asyncio.wait_for(llm.agenerate("hi", stream=True), 5), AsyncStream)
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(stream), asyncio.Task[AsyncStream])
    assert_type(stream.response, GenerateResponse)
    assert_type(stream.partial, GenerateResponse)
    assert_type(await llm.agenerate("hi", stream=is_streamed), GenerateResponse | AsyncStream)
    await stream.aclose()


# ---- what comes back -------------------------------------------------------------------------


def answered(response: GenerateResponse) -> None:
    assert_type(response.content, str)
    assert_type(response.reasoning, str | None)
    assert_type(response.tool_calls, list[ToolCall])
    assert_type(
        response.finish_reason, Literal["stop", "length", "tool_calls", "content_filter", "other"] | None
    )
    assert_type(response.usage, Usage)
    assert_type(response.usage.cached_tokens, int | None)
    assert_type(response.model, str | None)
    assert_type(response.provider, str | None)
    assert_type(response.request_id, str | None)
    assert_type(response.gen_time, float | None)
    assert_type(response.warnings, list[str])
    assert_type(response.tool_calls[0].arguments, dict[str, Any])
    assert_type(response.tool_calls[0].arguments_raw, str | None)


def chunked(chunk: StreamChunk) -> None:
    assert_type(chunk.phase, Literal["thinking", "tool_calling", "generating", "done"])
    assert_type(chunk.content, str)
    assert_type(chunk.agent, str | None)
    assert_type(chunk.iteration, int)
    assert_type(chunk.tool_call, ToolCall | None)
    assert_type(chunk.usage, Usage | None)
    assert_type(chunk.is_text(), bool)
    assert_type(chunk.is_tool_call(), bool)
    assert_type(chunk.is_done(), bool)
    chunk.content = "x"  # pyright: ignore[reportAttributeAccessIssue]


# ---- sessions --------------------------------------------------------------------------------


def conversed() -> None:
    session = BasicSession(llm, "Be brief.", tools=[half], temperature=0.5, seed=1, auto_compact=True)
    assert_type(session.generate("hi"), GenerateResponse)
    assert_type(session.generate("hi", stream=True), Stream)
    assert_type(session.generate("hi", response_model=City), City)
    assert_type(session.generate("hi", response_model=City, return_response=True), GenerateResponse)
    assert_type(session.provider, LLM | None)
    assert_type(session.system_prompt, str | None)
    assert_type(session.messages, list[Message])
    assert_type(session.usage, Usage)
    assert_type(session.fork(), BasicSession)
    assert_type(session.get_history(include_system=False), list[Message])
    assert_type(session.add_message("user", "hi", source="phone"), Message)
    assert_type(session.count_tokens(), int)
    session.compact(keep=4)
    session.clear()
    session.save(Path("chat.json"))
    session.provider = create_llm("ollama", "m")
    assert_type(BasicSession.load("chat.json", provider=llm), BasicSession)
    BasicSession("openai")  # pyright: ignore[reportArgumentType]
    session.generate("hi", max_tokens=5)  # pyright: ignore[reportCallIssue]


async def conversed_async() -> None:
    session = BasicSession(provider=llm, system_prompt="You are a helpful assistant.")
    assert_type(await session.agenerate("hi"), GenerateResponse)
    assert_type(session.agenerate("hi", stream=True), AsyncStream)
    assert_type(await session.agenerate("hi", response_model=Point), Point)
    assert_type(await session.acompact(keep=4), None)


def remembered(message: Message) -> None:
    assert_type(message["role"], Literal["system", "user", "assistant", "tool"])
    assert_type(message.get("tool_call_id"), str | None)
    assert_type(message.get("metadata"), dict[str, Any] | None)


# ---- tools and lifetimes ---------------------------------------------------------------------


async def decorated() -> None:
    assert_type(half(4), float)
    assert_type(half.name, str)
    assert_type(await look_up("word", ToolContext()), str)
    assert_type(Tool(double)(2), int)
    half("four")  # pyright: ignore[reportArgumentType]


async def closed() -> None:
    with create_llm("ollama", "m") as one:
        assert_type(one, LLM)
    async with create_llm("ollama", "m") as other:
        assert_type(other, LLM)
    assert_type(llm.close(), None)
    assert_type(await llm.aclose(), None)


# ---- MCP -------------------------------------------------------------------------------------


def worked() -> None:
    client = abstractcore.client("openai:m")
    agent = abstractcore.Agent(client, "Be brief.", tools=[double], name="a")
    assert_type(agent.run("?"), str)
    assert_type(agent.run("?", schema=City), City)
    assert_type(agent.run("?", stream=True, include="generating"), Stream)
    chain = abstractcore.Chain.from_client(client, ["a", "b"])
    assert_type(chain, abstractcore.Chain)
    assert_type(chain.run("?", timeout=3), str)
    assert_type(abstractcore.Parallel([agent, chain]).run("?", stream=True), Stream)
    assert_type(abstractcore.pretty_print(agent.run("?", stream=True)), str)


async def worked_async() -> None:
    client = aio.client("openai:m")
    agent = aio.Agent(client)
    assert_type(await agent.run("?"), str)
    assert_type(await agent.run("?", schema=City), City)
    assert_type(agent.run("?", stream=True), AsyncStream)
    assert_type(await aio.Parallel.from_client(client, ["a"], "b").run("?"), str)
    assert_type(await aio.pretty_print(agent.run("?", stream=True)), str)


async def batched() -> None:
    job = await llm.abatch(["hi"])
    assert_type(job, AsyncBatchJob)
    assert_type(await job.wait(), AsyncBatchJob)
    assert_type([each async for each in job.results(ordered=False)], list[MapResult])


async def mcp() -> None:
    with MCPClient(url="http://localhost/mcp", headers={"X-Key": "x"}) as client:
        assert_type(client.call_tool("add", {"a": 1}, timeout=5, progress=lambda *_: None), str)
        assert_type(client.list_tools(), list[ToolSpec])
        assert_type(client.as_tools(), list[Tool[..., Any]])
    async with await AsyncMCPClient.connect(command="server", args=["x"], cwd=Path()) as awaited:
        assert_type(awaited, AsyncMCPClient)
        assert_type(await awaited.call_tool("add"), str)
        assert_type(await awaited.as_tools(), list[Tool[..., Any]])


def changed(failure: MCPToolsChangedError) -> None:
    assert_type(failure.changes, Mapping[str, tuple[ToolSpec, ToolSpec]])


# ---- errors ----------------------------------------------------------------------------------


def failed() -> None:
    try:
        llm.generate("hi")
    except RateLimitError as failure:
        assert_type(failure.retry_after, float | None)
        assert_type(failure.status_code, int | None)
    except APIError as failure:
        assert_type(failure.code, str | None)
    except IncompleteStreamError as failure:
        assert_type(failure.partial, GenerateResponse | None)
        assert_type(
            failure.phase,
            Literal["connect", "tls", "write", "headers", "body", "pool", "total"] | None,
        )
    except StructuredOutputError as failure:
        assert_type(failure.last_text, str | None)
        assert_type(failure.validation_error, str | None)
    except AbstractCoreError as failure:
        assert_type(failure.provider, str | None)
        assert_type(failure.model, str | None)
        assert_type(failure.attempts, int)
        assert_type(failure.request_id, str | None)
        assert_type(failure.retryable, bool)


value_error: type[ValueError] = ConfigurationError
timeout_error: type[TimeoutError] = RequestTimeoutError
connection_error: type[ConnectionError] = ConnectionFailedError
headers: Mapping[str, str] = {}
