"""A tool, and the types that the tests of this room write into signatures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NotRequired, TypedDict

from pydantic import BaseModel

from abstractcore.tools import tool

if TYPE_CHECKING:
    from nowhere import Nothing


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: float
    y: float = 0.0


class Place(BaseModel):
    name: str
    zip_code: str


class Trip(TypedDict):
    to: str
    days: NotRequired[int]


@tool
def forecast(city: str, days: int = 3) -> Nothing:
    """Forecast the weather,
    day by day.

    Args:
        city: The city's name,
            in English.
        days (int): How many days.
    """
    return f"{city} {days}"


def lambda_free() -> None: ...
