"""A service on a wire that abstractcore knows: a row says where it is, which key it wants, what differs."""

from __future__ import annotations

from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.plugins import Endpoint

SERVICE = Endpoint(
    OpenAIChat(top_k=False),
    "https://api.example.com/v1",
    key="EXAMPLE_API_KEY",
    url_variables=("EXAMPLE_BASE_URL",),
)
