from abstractcore import aio

async def main():
    mcp = await aio.MCPClient.connect(server=my_fastmcp_server)
    try:
        c = aio.client("anthropic:claude-sonnet-4-6")
        c.mcp_client = mcp
        agent = aio.Agent(c)
        reply = await agent.run("Use the MCP tools to ...")
    finally:
        await mcp.aclose()
