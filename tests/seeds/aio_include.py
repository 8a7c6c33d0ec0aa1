stream = await client.chat("hi", stream=True, include=["generating"])
async for chunk in stream:
    print(chunk.content, end="")
