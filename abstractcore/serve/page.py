"""The small page at `/`: one file, to which nothing else is loaded."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from pathlib import Path

PAGE = Path(__file__).with_name("page.html").read_bytes()


def page_headers() -> dict[str, str]:
    """Give the headers that let the page run its own script and ask this gateway, and nothing else."""
    policy = {
        "default-src": "'none'",
        "script-src": _digest(rb"<script>(.*?)</script>"),
        "style-src": _digest(rb"<style>(.*?)</style>"),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


def _digest(pattern: bytes) -> str:
    found = re.search(pattern, PAGE, re.DOTALL)
    digest = sha256(found.group(1) if found else b"").digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
