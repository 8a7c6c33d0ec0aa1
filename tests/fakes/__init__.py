"""Loopback stand-ins for model servers and proxies, and the two surfaces that tests drive them with.

Sockets (`server`, `proxy`, `network`) know no dialect; a dialect (`openai_chat`) knows no socket;
`replies` and `faults` are the scripts that pass between them. Standard library only.
"""
