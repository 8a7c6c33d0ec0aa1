MCPClient: abstractcore.MCPClient
Tool: abstractcore.Tool
ToolContext: abstractcore.ToolContext
tool: abstractcore.tool
