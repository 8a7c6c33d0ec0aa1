"""The texts of several callers on one embedding model, with a model of nothing but lengths."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.worker.embeddings import EmbeddingBatch

numpy = pytest.importorskip("numpy")


class Lengths:
    """Tokens are words; a vector tells its text's length."""

    default_prompt = ""

    def __init__(self) -> None:
        self.max_tokens = 100
        self.step_tokens = 8_192
        self.prompts = {"query": "find "}
        self.pieces: list[list[str]] = []

    def count(self, texts: list[str]) -> Sequence[int]:
        return [len(text.split()) for text in texts]

    def embed(self, texts: list[str], prompt: str) -> Any:
        self.pieces.append([prompt + text for text in texts])
        return [[float(len(prompt + text)), 3.0, 4.0] for text in texts]


def order(*texts: str, **options: Any) -> dict[str, Any]:
    return {"texts": list(texts), "dimensions": None, "truncate": False, "extra": {}, **options}


def read(vector: str) -> list[float]:
    data = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def test_jobs_share_a_step_and_each_keeps_its_order():
    model = Lengths()
    batch = EmbeddingBatch(model)
    assert batch.add(1, order("a", "a longer text")) == []
    assert batch.add(2, order("bb")) == []

    events = batch.step()

    assert [(kind, number, tokens) for kind, number, _, tokens in events] == [
        ("embedded", 1, 4),
        ("embedded", 2, 1),
    ]
    assert [read(vector) for vector in events[0][2]] == [[1.0, 3.0, 4.0], [13.0, 3.0, 4.0]]
    assert len(model.pieces) == 1
    assert batch.step() == []


def test_a_step_is_bounded_by_texts_and_by_tokens():
    model = Lengths()
    batch = EmbeddingBatch(model)
    batch.add(1, order(*["word"] * 40, *["word " * 100] * 90, truncate=True))

    while not batch.step():
        pass

    assert [len(piece) for piece in model.pieces] == [32, 32, 32, 32, 2]
    model.max_tokens = 1_000
    batch.add(2, order(*["word " * 1_000] * 10))
    while not batch.step():
        pass
    assert [len(piece) for piece in model.pieces[5:]] == [8, 2]


def test_one_text_longer_than_a_step_is_a_step():
    model = Lengths()
    model.max_tokens = 20_000
    batch = EmbeddingBatch(model)
    batch.add(1, order("word " * 10_000, "word"))

    assert batch.step() == []
    assert len(batch.step()) == 1


def test_a_cancelled_job_is_gone_and_its_neighbour_is_not():
    model = Lengths()
    batch = EmbeddingBatch(model)
    batch.add(1, order("a"))
    batch.add(2, order("b"))

    batch.cancel(1)
    batch.cancel(7)

    assert [event[1] for event in batch.step()] == [2]
    assert model.pieces == [["b"]]


def test_prompts_stand_before_the_texts_and_do_not_mix():
    model = Lengths()
    batch = EmbeddingBatch(model)
    batch.add(1, order("a", extra={"prompt_name": "query"}))
    batch.add(2, order("b"))
    batch.add(3, order("c", extra={"prompt": "see: "}))

    done = [event[1] for _ in range(3) for event in batch.step()]

    assert done == [1, 2, 3]
    assert model.pieces == [["find a"], ["b"], ["see: c"]]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"texts": ["ok", "word " * 101]}, "ContextLengthError", "text 1 of its batch has 101 tokens"),
        ({"extra": {"prompt_name": "other"}}, "ConfigurationError", "it has: query"),
        ({"extra": {"batch_size": 3}}, "ConfigurationError", "extra has no batch_size"),
    ],
)
def test_what_the_model_cannot_take_is_refused(options: dict[str, Any], kind: str, words: str):
    batch = EmbeddingBatch(Lengths())

    ((event, number, told, message),) = batch.add(5, order("a", **options))

    assert (event, number, told) == ("failed", 5, kind)
    assert words in message
    assert batch.step() == []


def test_fewer_dimensions_are_the_first_ones_at_the_same_length():
    batch = EmbeddingBatch(Lengths())
    batch.add(1, order("a" * 12, dimensions=2))  # 12, 3, 4 is 13 long

    ((_, _, (vector,), _),) = batch.step()

    first, second = read(vector)
    assert first / second == pytest.approx(4)
    assert (first**2 + second**2) ** 0.5 == pytest.approx(13)


def test_openvino_reads_how_to_pool_from_the_files_of_the_model(tmp_path: Path):
    pytest.importorskip("openvino_genai")
    from abstractcore.engines.worker.openvino_embeddings import _longest, _pooling
    from abstractcore.errors import ModelLoadError

    def folder(name: str, pooling: str, *steps: str) -> Path:
        place = tmp_path / name
        (place / "1_Pooling").mkdir(parents=True)
        (place / "1_Pooling" / "config.json").write_text(pooling)
        kinds = [f"sentence_transformers.models.{step}" for step in steps]
        modules = [{"path": "1_Pooling", "type": kind} for kind in kinds]
        (place / "modules.json").write_text(json.dumps(modules))
        return place

    old = '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    assert _pooling(folder("old", old, "Transformer", "Pooling")) == "CLS"
    assert _pooling(folder("new", '{"pooling_mode": "lasttoken"}', "Transformer", "Pooling")) == "LAST_TOKEN"
    for pooling, step, words in (
        ('{"pooling_mode": "max"}', "Pooling", "max"),
        ('{"pooling_mode": ["cls", "mean"]}', "Pooling", "cls, mean"),
        ("{}", "Pooling", "does not say how"),
        ('{"pooling_mode": "cls"}', "Dense", "Dense"),
    ):
        with pytest.raises(ModelLoadError, match=words):
            _pooling(folder(f"bad {words}", pooling, "Transformer", step))
    (tmp_path / "bare").mkdir()
    with pytest.raises(ModelLoadError, match=r"copy modules\.json"):
        _pooling(tmp_path / "bare")
    assert _longest(tmp_path / "bare", 512) == 512
    with pytest.raises(ModelLoadError, match="how long a text"):
        _longest(tmp_path / "bare", None)
