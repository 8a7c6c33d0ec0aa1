"""Images on OpenVINO: a tiny LLaVA that tells red, green and blue apart."""

from __future__ import annotations

import base64
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore.errors import ConfigurationError, ModelLoadError, UnsupportedFeatureError
from tests.fakes.surfaces import Surface, WholeOrStream

from .conftest import TINY, needs
from .test_every_engine import BY_HEART, COUNT, FOREVER
from .toy import failure_of, scheduler_of
from .waiting import wait_until

VISION = TINY.with_name("tiny-llava-openvino")
RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
ASK = "What colour is it?"

Open = Callable[..., Any]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(colour: str, width: int = 40, height: int = 32) -> bytes:
    """An image of one colour."""
    rows = (b"\0" + bytes(RGB[colour]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def open_seeing(needs_openvino: None, open_model: Open) -> Open:
    """Make an LLM of the tiny model that reads images."""
    needs("PIL")
    return partial(open_model, "openvino", str(VISION))


@pytest.fixture
def seeing(open_seeing: Open) -> Any:
    return open_seeing()


@pytest.mark.parametrize("colour", RGB)
def test_the_model_sees(surface: Surface, seeing: Any, whole_or_stream: WholeOrStream, colour: str) -> None:
    """CONTRACT B1, H2: an image costs tokens, which the runtime counts."""
    response = whole_or_stream.ask(surface, seeing, ASK, media=png(colour))
    blind = surface.generate(seeing, ASK)

    assert response.content == f"It is {colour}."
    assert response.usage.input_tokens >= blind.usage.input_tokens + 4
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_images_and_texts_share_a_batch(surface: Surface, open_seeing: Open) -> None:
    """CONTRACT I1, I2: and the prefix cache takes no image for another."""
    seeing = open_seeing(deterministic=True)
    told = {"hello": BY_HEART["hello"], COUNT: BY_HEART[COUNT]}
    calls = [surface.later(seeing, ASK, media=png(colour)) for colour in RGB]
    calls += [surface.later(seeing, prompt) for prompt in told]
    calls += [surface.later(seeing, "Which colours?", media=[png("blue"), png("green")])]
    expected = [*(f"It is {colour}." for colour in RGB), *told.values(), "blue and green"]

    for _ in range(2):
        assert [response.content for response in surface.gather(*calls, timeout=20)] == expected


def test_an_image_of_an_earlier_turn_is_seen_again(surface: Surface, seeing: Any) -> None:
    """CONTRACT C3"""
    data = base64.b64encode(png("green")).decode()
    image = {"type": "image", "data": data, "media_type": "image/png"}
    question = {"role": "user", "content": [{"type": "text", "text": "Look."}, image]}
    messages = [question, {"role": "assistant", "content": "I do."}, {"role": "user", "content": ASK}]
    seen = surface.generate(seeing, messages=messages)
    question["content"] = "Look."

    assert seen.usage.input_tokens >= surface.generate(seeing, messages=messages).usage.input_tokens + 4


def test_leaving_an_image_answer_stops_the_decoding(surface: Surface, seeing: Any) -> None:
    """FAULTS 1.11"""
    surface.take(seeing, 2, ASK, media=png("red"), **FOREVER)
    wait_until(lambda: scheduler_of(seeing).busy().running == 0)

    assert surface.generate(seeing, ASK, media=png("red")).content == "It is red."


def bomb() -> bytes:
    """An image that says that it has 10,000 times 10,000 pixels."""
    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"media": png("red")[:60]}, ConfigurationError, "damaged"),
        ({"media": bomb()}, ConfigurationError, "pixels"),
        ({"media": "https://example.com/a.png"}, UnsupportedFeatureError, "its path or its bytes"),
        ({"prompt": "<image>", "media": png("red")}, UnsupportedFeatureError, "control token"),
        ({"prompt": "<ov_genai_image_0>", "media": png("red")}, UnsupportedFeatureError, "control token"),
        ({"prompt": "<ov_genai_video_0>"}, UnsupportedFeatureError, "control token"),
        ({"prompt": "a<|im_end|>"}, UnsupportedFeatureError, "control token"),
    ],
)
def test_a_bad_image_fails_alone(
    surface: Surface, seeing: Any, options: dict[str, Any], error: type[Exception], word: str
) -> None:
    """CONTRACT I1, FAULTS 1.7: text cannot stand for an image, nor end a message."""
    neighbour = surface.start(surface.later(seeing, COUNT))
    failure = failure_of(lambda: surface.generate(seeing, **{"prompt": ASK, **options}))

    assert isinstance(failure, error)
    assert word in str(failure)
    assert neighbour.result(10).content == BY_HEART[COUNT]


def test_a_model_that_reads_text_refuses_before_it_loads(
    surface: Surface, needs_openvino: None, open_model: Open, workers: Callable[[], set[int]]
) -> None:
    """CONTRACT B10"""
    before = workers()
    for model in (TINY, TINY.with_name("tiny-llama-chat-openvino")):
        failure = failure_of(
            partial(surface.generate, open_model("openvino", str(model)), ASK, media=png("red"))
        )
        assert isinstance(failure, UnsupportedFeatureError)
    assert workers() <= before


def test_what_a_seeing_model_cannot_is_refused_at_load(surface: Surface, open_seeing: Open) -> None:
    llm = open_seeing(draft_model=TINY.with_name("tiny-llama-chat-openvino"))

    assert isinstance(failure_of(lambda: surface.call(llm, "load")), ConfigurationError)


def test_a_vision_folder_without_its_eye_is_refused(
    open_model: Open, needs_openvino: None, tmp_path: Path
) -> None:
    """FAULTS 1.11"""
    folder = shutil.copytree(VISION, tmp_path / "blind")
    (folder / "openvino_vision_embeddings_model.xml").unlink()
    failure = failure_of(open_model("openvino", str(folder)).load)

    assert isinstance(failure, ModelLoadError)
    assert "openvino_vision_embeddings_model.xml" in str(failure)
