"""The public API as stubs, one for each public module: what was recorded, and what it is now.

`make api` records it, in tests/packaging/api. A stub holds what a user may type: the names of `__all__`, with
what they inherit from private classes, and keyword arguments by their names.
"""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "api"
MODULES = [
    f"abstractcore{room}" for room in ("", ".aio", ".testing", ".tools", ".distributed", ".serve", ".plugins")
]
#: These are made by a function, or by the package: nobody calls the class.
MADE = {
    "LLM": "create_llm",
    "Client": "client",
    "FallbackLLM": "fallback",
    "Stream": "generate(stream=True)",
    "AsyncStream": "agenerate(stream=True)",
    "MapResults": "map",
    "AsyncMapResults": "amap",
    "BatchJob": "batch",
    "AsyncBatchJob": "abatch",
    "Cassette": "cassette",
}
#: Without an underscore, since other rooms of the package call them; no page tells of them.
INTERNAL = {"abandon", "answer", "chunks", "watched"}


def current(source: Path = ROOT) -> dict[str, str]:
    """The stub of each public module, of the package in the folder *source*."""
    package = griffe.load("abstractcore", search_paths=[source], resolve_aliases=True, allow_inspection=False)
    rooms = {name: package[name.partition(".")[2]] if "." in name else package for name in MODULES}
    return {name: _module(room, package) for name, room in rooms.items()}


def recorded() -> dict[str, str]:
    return {name: (RECORDED / f"{name}.pyi").read_text(encoding="utf-8") for name in MODULES}


def breakages(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What a program written for *old* would miss in *new*, a line each."""
    found = [
        griffe.find_breaking_changes(_visited(name, old[name]), _visited(name, new[name])) for name in MODULES
    ]
    return [_words(each) for module in found for each in module]


def _words(breakage: griffe.Breakage) -> str:
    was, now = breakage.old_value, breakage.new_value
    values = [
        str(value.default) for value in (was, now) if isinstance(value, griffe.Parameter) and value.default
    ]
    subject = f" {was.name}" if isinstance(was, griffe.Parameter) else ""
    return f"{breakage.obj.path}: {breakage.kind.value}:{subject} {' -> '.join(values)}".rstrip()


def _visited(name: str, stub: str) -> griffe.Module:
    return griffe.visit(name, filepath=Path(f"{name}.pyi"), code=stub)


def _module(module: griffe.Object | griffe.Alias, package: griffe.Object | griffe.Alias) -> str:
    public = {str(name): _target(module[str(name)]) for name in module.exports or ()}
    at_the_top = (
        {}
        if module is package
        else {str(name): _target(package[str(name)]) for name in package.exports or ()}
    )
    lines: list[str] = []
    for name, target in sorted(public.items()):
        same = at_the_top.get(name) is target
        lines += [f"{name}: abstractcore.{name}"] if same else _entry(name, target, {*public, *at_the_top})
    return "\n".join(lines) + "\n"


def _target(value: griffe.Object | griffe.Alias) -> griffe.Object:
    return value.final_target if isinstance(value, griffe.Alias) else value


def _entry(name: str, target: griffe.Object, public: set[str]) -> Iterator[str]:
    if target.is_class:
        assert isinstance(target, griffe.Class)
        yield from _class(name, target, public)
    elif target.is_function:
        yield from _function(name, target)
    else:
        yield f"{name}: {'module' if target.is_module else _annotation(target)}"


def _class(name: str, target: griffe.Class, public: set[str]) -> Iterator[str]:
    bases = list(dict.fromkeys(_bases(target, public)))
    yield f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
    members = dict(_members(target, public))
    if "dataclass" in target.labels and "__init__" not in members:
        yield f"    def __init__({_parameters(target.parameters)}): ..."
    for member, value in members.items():
        if member == "__init__" and name in MADE:
            continue
        lines = _function(member, value) if value.is_function else [f"{member}: {_annotation(value)}"]
        yield from (f"    {line}" for line in lines)
    yield "    ..."


def _bases(target: griffe.Class, public: set[str]) -> Iterator[str]:
    """The public classes that it is a subclass of, through private ones too."""
    private = {base.name: base for base in target.resolved_bases if _private(base.name, public)}
    for base in map(str, target.bases):
        found = private.get(base.rpartition(".")[2].partition("[")[0])
        if isinstance(found, griffe.Class):
            yield from _bases(found, public)
        elif not _private(base, public):
            yield base


def _members(target: griffe.Class, public: set[str]) -> Iterator[tuple[str, griffe.Object]]:
    """Its own public members, and those of its bases until one is public itself."""
    seen: set[str] = set()
    for each in (target, *target.mro()):
        if each is not target and not _private(each.name, public):
            return
        for name, member in each.members.items():
            if name not in seen | INTERNAL and (name in ("__init__", "__call__") or not name.startswith("_")):
                seen.add(name)
                yield name, _target(member)


def _private(base: str, public: set[str]) -> bool:
    return base.rpartition(".")[2].partition("[")[0] not in public and not hasattr(builtins, base)


def _annotation(target: griffe.Object) -> str:
    return str(getattr(target, "annotation", None) or "Any")


def _function(name: str, target: griffe.Object) -> Iterator[str]:
    assert isinstance(target, griffe.Function)
    yield from (f"@{label}" for label in ("classmethod", "staticmethod") if label in target.labels)
    returns = f" -> {target.returns}" if target.returns else ""
    word = "async def" if "async" in target.labels else "def"
    yield f"{word} {name}({_parameters(target.parameters)}){returns}: ..."


def _parameters(parameters: griffe.Parameters) -> str:
    """As in the source, but with each keyword argument that a TypedDict holds by its own name."""
    written: list[str] = []
    kinds = griffe.ParameterKind
    for each in parameters:
        if each.kind is kinds.keyword_only and not any(one.startswith("*") for one in written):
            written.append("*")
        named = _unpacked(each) if each.kind is kinds.var_keyword else None
        if named:
            written += ["*"] * (not any(one.startswith("*") for one in written)) + named
            continue
        stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(each.kind, "")
        annotation = f": {each.annotation}" if each.annotation else ""
        default = f" = {each.default}" if each.default and not stars else ""
        written.append(f"{stars}{each.name}{annotation}{default}")
    return ", ".join(written)


def _unpacked(parameter: griffe.Parameter) -> list[str] | None:
    annotation = parameter.annotation
    if not isinstance(annotation, griffe.ExprSubscript) or annotation.canonical_name != "Unpack":
        return None
    assert isinstance(annotation.slice, griffe.ExprName)
    named = annotation.slice.parent.modules_collection[annotation.slice.canonical_path]
    return [f"{name}: {_annotation(value)} = ..." for name, value in named.all_members.items()]


def record() -> None:
    """Keep the stubs of today, laid out so that a review shows what changed."""
    RECORDED.mkdir(exist_ok=True)
    for name, stub in current().items():
        (RECORDED / f"{name}.pyi").write_text(stub, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(RECORDED)], check=True)


if __name__ == "__main__":
    record()
