async for chunk in await client.chat("Tell me a story", stream=True):
    if chunk.is_text():
        print(chunk.content, end="", flush=True)
