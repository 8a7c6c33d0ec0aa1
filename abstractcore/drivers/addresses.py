"""Connecting to the first of a host's addresses that answers, as RFC 8305 (Happy Eyeballs) asks.

asyncio's own race leaves the winner's socket open when the caller is cancelled in the moment
of winning; here every socket that is not given to the caller is closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import Any

_HEAD_START = 0.25
_Address = tuple[int, int, int, str, Any]


async def connected_socket(host: str, port: int) -> socket.socket:
    """Give a connected, non-blocking socket. Raises OSError, that of the first address when all fail."""
    addresses = _literal(host, port)
    if addresses is None:
        loop = asyncio.get_running_loop()
        addresses = _in_turn(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return await _connected(addresses[0]) if len(addresses) == 1 else await _first_of(addresses)


def _literal(host: str, port: int) -> list[_Address] | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, socket.SOCK_STREAM, 0, "", (host, port))]
    return None


def _in_turn(addresses: list[Any]) -> list[_Address]:
    """Let the address families take turns, so that a family which leads nowhere costs one head start."""
    families: dict[int, list[_Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address is not None]


async def _first_of(addresses: list[_Address]) -> socket.socket:
    waiting = deque(addresses)
    racing: list[asyncio.Task[socket.socket]] = []
    pending: set[asyncio.Task[socket.socket]] = set()
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while waiting or pending:
            if waiting:
                racing.append(asyncio.ensure_future(_connected(waiting.popleft())))
                pending.add(racing[-1])
            head_start = _HEAD_START if waiting else None
            done, pending = await asyncio.wait(
                pending, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            winner = next((task for task in done if task.exception() is None), None)
            if winner is not None:
                return winner.result()
    finally:
        for task in racing:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_close_loser)
    raise racing[0].exception() or OSError("no address")


async def _connected(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_loser(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
