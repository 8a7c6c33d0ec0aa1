"""What stands at a model's path: found out before anything native opens it."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from abstractcore.engines.gguf import read_gguf
from abstractcore.engines.model_files import look_at
from abstractcore.errors import ModelLoadError

from .conftest import TINY, needs
from .gguf_parts import split_gguf

FORMATS = ("gguf", "openvino")
HEADER = b"GGUF" + struct.pack("<I", 3)


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


def tensor(dimensions: list[int], kind: int = 0, offset: int = 0) -> bytes:
    shape = b"".join(struct.pack("<Q", size) for size in dimensions)
    return text("w") + struct.pack("<I", len(dimensions)) + shape + struct.pack("<IQ", kind, offset)


def one_tensor(written: bytes) -> bytes:
    return HEADER + struct.pack("<QQ", 1, 0) + written


DAMAGED = {
    "empty": b"",
    "text": b"hello" * 1000,
    "a header alone": HEADER,
    "version 9": b"GGUF" + struct.pack("<I", 9),
    "big-endian": b"GGUF" + struct.pack(">I", 3),
    "endless metadata": HEADER + struct.pack("<QQ", 0, 2**60),
    "a huge text": HEADER + struct.pack("<QQ", 0, 1) + struct.pack("<Q", 2**60),
    "a huge array": HEADER + struct.pack("<QQ", 0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 2**61),
    "an array of arrays of arrays": HEADER
    + struct.pack("<QQ", 0, 1)
    + text("k")
    + struct.pack("<I", 9)
    + struct.pack("<IQ", 9, 1) * 100,
    "an unknown type": HEADER + struct.pack("<QQ", 0, 1) + text("k") + struct.pack("<I", 77),
    "alignment 0": HEADER + struct.pack("<QQ", 0, 1) + text("general.alignment") + struct.pack("<II", 4, 0),
    "many dimensions": one_tensor(text("w") + struct.pack("<I", 2**31)),
    "weights past the end": one_tensor(tensor([2**40])),
    "an offset past the end": one_tensor(tensor([1], offset=2**50)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_file_that_is_no_model_is_refused(damage: str, tmp_path: Path) -> None:
    """FAULTS 1.11: quickly, naming the path; lengths and offsets are checked against the size."""
    path = tmp_path / "model.gguf"
    path.write_bytes(DAMAGED[damage])
    began = time.monotonic()

    with pytest.raises(ModelLoadError, match=r"model\.gguf"):
        look_at(str(path), FORMATS)
    assert time.monotonic() - began < 1


def test_every_cut_of_a_model_is_noticed(tmp_path: Path) -> None:
    """FAULTS 1.11: truncated weights."""
    whole = TINY.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(0, 2000, 97), *range(2000, len(whole), 9973), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelLoadError, match=r"cut\.gguf"):
            look_at(str(path), FORMATS)
    path.write_bytes(whole)
    look_at(str(path), FORMATS)


def test_a_model_says_how_long_its_context_is() -> None:
    metadata = read_gguf(TINY)

    assert metadata["general.architecture"] == "llama"
    assert look_at(str(TINY), FORMATS).context_length == metadata["llama.context_length"] == 2048
    assert look_at(str(TINY), FORMATS).size_bytes == TINY.stat().st_size


def folder(path: Path, *, config: str | None) -> Path:
    for part in ("model", "tokenizer", "detokenizer"):
        (path / f"openvino_{part}.xml").write_text("<net/>")
        (path / f"openvino_{part}.bin").write_bytes(b"1234")
    if config is not None:
        (path / "config.json").write_text(config)
    return path


@pytest.mark.parametrize(
    ("config", "length"),
    [('{"max_position_embeddings": 4096}', 4096), ("{}", None), ("[]", None), (None, None)],
)
def test_an_openvino_folder_says_it_in_its_config(
    tmp_path: Path, config: str | None, length: int | None
) -> None:
    assert look_at(str(folder(tmp_path, config=config)), FORMATS).context_length == length


def test_a_folder_that_lacks_its_tokenizer_is_refused(tmp_path: Path) -> None:
    """FAULTS 1.11: the message says what is missing, and how to make it."""
    folder(tmp_path, config=None)
    (tmp_path / "openvino_detokenizer.xml").unlink()

    with pytest.raises(ModelLoadError, match=r"openvino_detokenizer\.xml missing.*optimum-cli"):
        look_at(str(tmp_path), FORMATS)


def test_a_config_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        look_at(str(folder(tmp_path, config="{nope")), FORMATS)


# ---- safetensors ---------------------------------------------------------------------------------

TINY_FOLDER = TINY.with_suffix("")


def weights(header: bytes, *, length: int | None = None, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + rest


CUT_OFF = b'{"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'
BAD_WEIGHTS = {
    "nothing": b"",
    "text": b"hello" * 100,
    "an endless header": weights(b"{}", length=2**60),
    "a header that is no JSON": weights(b"{nope"),
    "a header that is a list": weights(b"[]"),
    "a deep header": weights(b"[" * 100_000),
    "no offsets": weights(b'{"w": {"dtype": "F32"}}'),
    "offsets that run back": weights(b'{"w": {"data_offsets": [8, 0]}}', rest=b"12345678"),
    "cut off": weights(CUT_OFF, rest=b"12345678"),
}


@pytest.mark.parametrize("damage", BAD_WEIGHTS)
def test_damaged_weights_are_refused(tmp_path: Path, damage: str) -> None:
    """FAULTS 1.11: header length and offsets are checked; what is wrong is said, and where."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(BAD_WEIGHTS[damage])

    with pytest.raises(ModelLoadError, match=rf"{tmp_path}.*model\.safetensors: "):
        look_at(str(tmp_path), ("safetensors",))


def test_whole_weights_pass(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 64}')
    (tmp_path / "model.safetensors").write_bytes(weights(CUT_OFF, rest=b"1" * 16))

    assert look_at(str(tmp_path), ("safetensors",)).context_length == 64
    assert look_at(str(TINY_FOLDER), ("safetensors",)).context_length == 2048


def test_an_index_that_names_a_file_which_is_missing_is_refused(tmp_path: Path) -> None:
    """FAULTS 1.11"""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(weights(CUT_OFF, rest=b"1" * 16))
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"w": "b.safetensors"}}')

    with pytest.raises(ModelLoadError, match=r"names b\.safetensors, which is missing"):
        look_at(str(tmp_path), ("safetensors",))


def test_what_a_file_says_of_each_layer_is_read(tmp_path: Path) -> None:
    """And what it says of each word of a vocabulary is not."""

    def array(numbers: list[int]) -> bytes:
        return struct.pack(f"<IIQ{len(numbers)}I", 9, 4, len(numbers), *numbers)

    entries = text("heads") + array([4, 0, 2]) + text("kinds") + array([1] * 5000)
    path = tmp_path / "model.gguf"
    path.write_bytes(HEADER + struct.pack("<QQ", 0, 2) + entries + bytes(64))

    assert read_gguf(path) == {"heads": [4, 0, 2]}


def test_a_part_of_the_weights_that_is_missing_is_named(tmp_path: Path) -> None:
    """FAULTS 1.11: also where a cut-off download has left no index."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(weights(CUT_OFF, rest=b"1" * 16))

    with pytest.raises(ModelLoadError, match=r"model-00002-of-00002\.safetensors is missing"):
        look_at(str(tmp_path), ("safetensors",))


def test_a_gguf_model_in_several_files_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    """FAULTS 1.11"""
    needs("gguf")
    first, second, third = split_gguf(TINY, tmp_path / "tiny.gguf")
    whole = look_at(str(first), ("gguf",))
    assert whole.context_length == 2048
    assert whole.size_bytes == sum(part.stat().st_size for part in (first, second, third))

    with pytest.raises(ModelLoadError, match=f"name the first, {first.name}"):
        look_at(str(second), ("gguf",))
    second.write_bytes(second.read_bytes()[:-1000])
    with pytest.raises(ModelLoadError, match="cut off"):
        look_at(str(first), ("gguf",))
    third.unlink()
    with pytest.raises(ModelLoadError, match=f"{third.name} is missing"):
        look_at(str(first), ("gguf",))


def test_weights_without_a_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(weights(CUT_OFF, rest=b"1" * 16))

    with pytest.raises(ModelLoadError, match=r"config\.json is missing"):
        look_at(str(tmp_path), ("safetensors",))


def test_a_format_that_the_engine_does_not_read_is_named(tmp_path: Path) -> None:
    """FAULTS 1.11"""
    with pytest.raises(ModelLoadError, match="safetensors weights; this engine reads a GGUF file"):
        look_at(str(TINY_FOLDER), ("gguf",))
