"""A model of OpenVINO GenAI that reads images too: what it is told of them, and their pixels.

Runs in the worker's process only. The runtime itself puts an image's tokens where its tag stands, so such a
model takes its prompt as text, and only the runtime knows how long that is.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import openvino

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Reading
from abstractcore.engines.worker.openvino_model import Pipeline
from abstractcore.engines.worker.prompts import Reader, read

# https://openvinotoolkit.github.io/openvino.genai/docs/use-cases/image-processing/
_TAG = "<ov_genai_image_{}>"
_ANY_TAG = re.compile(r"<ov_genai_\w*>")
_MAX_PIXELS = 64_000_000


class SeeingPipeline(Pipeline):
    """A loaded model that reads images."""

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give a prompt as the model reads it, but for its images. Raises Refused."""
        if self._controls.are_in(prompt["messages"]) or _has_tags(prompt["messages"]):
            words = "OpenVINO cannot tell a control token from its text where a model reads images"
            raise Refused("UnsupportedFeatureError", words)
        reader = Reader(
            template=self._tokenizer.chat_template,
            render=lambda: self._text(prompt),
            encode=lambda text: self._encode(_ANY_TAG.sub("", text)),
            longest_token=self._longest_token,
        )
        reading = read(prompt, reader, self.context_length)
        is_counted = not _images(prompt["messages"])
        return Reading(reading.ids, reading.thinks, reading.unsaid, is_counted=is_counted)

    def _text(self, prompt: Mapping[str, Any]) -> str:
        return self._tokenizer.apply_chat_template(
            _tagged(prompt["messages"]),
            True,
            tools=prompt["tools"] or None,
            extra_context=prompt["template"] or None,
        )

    def _add(self, number: int, ids: Sequence[int], prompt: Mapping[str, Any], config: Any) -> Any:
        config.apply_chat_template = False
        pixels = [_pixels(image) for image in _images(prompt["messages"])]
        try:
            return self.pipeline.add_request(number, self._text(prompt), pixels, config)
        except RuntimeError as failure:
            raise Refused("ConfigurationError", "the model does not take these images") from failure

    def prompt_tokens(self, handle: Any) -> int | None:
        """Tell how long the prompt of a request that has ended was, its images included."""
        return int(handle.get_vlm_perf_metrics().get_num_input_tokens())


def _parts(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    lists = [message["content"] for message in messages if isinstance(message["content"], list)]
    return [part for parts in lists for part in parts]


def _images(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    return [part["data"] for part in _parts(messages) if part["type"] == "image"]


def _has_tags(messages: Sequence[Mapping[str, Any]]) -> bool:
    texts = [message["content"] for message in messages if isinstance(message["content"], str)]
    texts += [part["text"] for part in _parts(messages) if part["type"] == "text"]
    return any(_ANY_TAG.search(text) for text in texts)


def _tagged(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the messages as text, with the runtime's tag in each image's place."""
    seen = 0
    tagged: list[Mapping[str, Any]] = []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            texts: list[str] = []
            for part in content:
                texts.append(part["text"] if part["type"] == "text" else _TAG.format(seen))
                seen += part["type"] == "image"
            content = "".join(texts)
        tagged.append({**message, "content": content})
    return tagged


def _pixels(data: str) -> Any:
    """Decode one image. Raises Refused."""
    try:
        from PIL import Image
    except ImportError as failure:
        words = 'images need Pillow: pip install "abstractcore[openvino]"'
        raise Refused("MissingDependencyError", words) from failure
    import numpy

    refusal = Refused("ConfigurationError", "an image cannot be read: it is damaged, or of no known format")
    try:
        image: Any = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        if image.width * image.height > _MAX_PIXELS:
            refusal = Refused("ConfigurationError", f"an image has more than {_MAX_PIXELS:,} pixels")
            raise refusal
        rows: Any = numpy.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as failure:
        raise refusal from failure
    runtime: Any = openvino
    return runtime.Tensor(rows[None])
