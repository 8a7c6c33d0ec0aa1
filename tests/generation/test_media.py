"""Images become image parts; files are read, URLs are not fetched."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from abstractcore.errors import ConfigurationError
from abstractcore.generation.media import image_part, image_parts, needs_reading

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
IMAGES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
}


@pytest.mark.parametrize(("media_type", "data"), IMAGES.items())
def test_the_first_bytes_tell_the_type_not_the_files_name(media_type, data, tmp_path):
    path = tmp_path / "picture.txt"
    path.write_bytes(data)
    expected = {"type": "image", "data": base64.b64encode(data).decode(), "media_type": media_type}

    for item in (data, bytearray(data), memoryview(data), path, str(path)):
        assert image_part(item) == expected


def test_urls_are_passed_through_and_data_urls_taken_apart():
    assert image_part("HTTPS://example.com/a.png") == {"type": "image", "url": "HTTPS://example.com/a.png"}
    assert image_part("data:image/gif;base64,R0lG") == {
        "type": "image",
        "data": "R0lG",
        "media_type": "image/gif",
    }


def test_an_image_part_passes_through_as_a_copy():
    part = image_part(PNG)

    again = image_part(part)

    assert again == part
    assert again is not part


def test_a_single_image_counts_as_a_list_of_one(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    for media in (PNG, path, str(path), image_part(PNG)):
        assert image_parts(media) == image_parts([media]) == [image_part(PNG)]
    assert image_parts(None) == image_parts([]) == []


@pytest.mark.parametrize(
    "name", ["missing.png", "folder", "text.png", "empty.png", "nul\x00.png", "x" * 5000]
)
def test_a_file_that_is_no_image_is_named(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()

    with pytest.raises(ConfigurationError) as caught:
        image_part(tmp_path / name)

    assert repr(str(tmp_path))[1:-1] in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"not an image",
        5,
        None,
        "data:image/png,raw",
        "data:text/plain;base64,aGk=",
        "data:image/png;base64,",
        "data:image/png;base64,é",
        "https://example.com/\ud800.png",
        {"type": "image"},
        {"type": "text", "text": "hi"},
        {"type": "image", "data": PNG, "media_type": "image/png"},
        {"type": "image", "data": "iVBOR"},
        {"type": "image", "url": "/etc/passwd"},
    ],
)
def test_what_is_no_image_is_refused_with_its_place(item):
    with pytest.raises(ConfigurationError, match=r"media\[1\]"):
        image_parts([PNG, item])


def test_only_paths_need_reading():
    assert all(map(needs_reading, ["a.png", Path("a.png"), "/tmp/data.png", "httpfoo"]))
    assert not any(map(needs_reading, [PNG, "https://x/a.png", "data:image/png;base64,AA", image_part(PNG)]))


def test_media_that_is_no_list_is_refused():
    with pytest.raises(ConfigurationError, match="media: expected a list"):
        image_parts(5)
