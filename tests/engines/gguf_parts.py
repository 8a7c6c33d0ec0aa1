"""Splits a GGUF file as llama.cpp's own tool does."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def split_gguf(source: Path, target: Path, *, tensors: int = 8) -> list[Path]:
    """Write *source* in parts of so many tensors, named after *target*; give their paths."""
    import gguf

    reader: Any = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    target.parent.mkdir(parents=True, exist_ok=True)
    writer: Any = gguf.GGUFWriter(str(target), architecture, split_max_tensors=tensors)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, *rest = field.types
            writer.add_key_value(name, field.contents(), kind, sub_type=rest[-1] if rest else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(target.parent.glob(f"{target.stem}-*-of-*.gguf"))
