"""Let an agent read the files of one folder, through the MCP filesystem server.

    pip install '.[mcp]'        # and Node.js, for the server
    python examples/agent_files.py openai:gpt-5-mini npx -y @modelcontextprotocol/server-filesystem

What follows the model is the command that starts the server; the folder is added to it. The server opens that
folder alone, and the agent gets only those of its tools that read.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import abstractcore
from abstractcore import Agent, MCPClient, pretty_print

READS = {"list_directory", "read_text_file", "search_files"}
NOTES = {
    "lamp.txt": "The lamp is in the cellar, behind the paint.",
    "bicycle.txt": "Mr Byron repaired the bicycle on Monday. It cost 36 euros.",
}


def main(model: str, command: str, *args: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, text in NOTES.items():
            (folder / file).write_text(text)
        with (
            MCPClient(command=command, args=[*args, str(folder)]) as mcp,
            abstractcore.client(model) as client,
        ):
            tools = [tool for tool in mcp.as_tools() if tool.name in READS]
            agent = Agent(client, f"Answer from the files in {folder}.", tools=tools, name="reader")
            pretty_print(agent.run("What did the repair of the bicycle cost?", stream=True))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
