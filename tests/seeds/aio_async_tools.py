import httpx
from abstractcore import aio
from abstractcore.tools import tool

@tool
async def fetch(url: str) -> str:
    """Fetch the contents of a URL."""
    async with httpx.AsyncClient() as c:
        return (await c.get(url)).text[:500]

@tool
def normalize(text: str) -> str:
    """Strip whitespace and lower-case the input."""
    return text.strip().lower()

client = aio.client("anthropic:claude-sonnet-4-6")
agent = aio.Agent(client, "Use the tools.", tools=[fetch, normalize])
reply = await agent.run("Fetch example.com and normalize the title.")
