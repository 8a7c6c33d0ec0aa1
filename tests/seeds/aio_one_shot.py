from abstractcore import aio

# One-shot
text = await aio.chat("Hello", model="anthropic:claude-sonnet-4-6")

# Multi-turn
client = aio.client("ollama:qwen3.5:9b", system="You are concise.")
await client.chat("Hi there")
await client.chat("What did I just say?") # history preserved
