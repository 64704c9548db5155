"""Prints what the public modules of a Python package give, one name a line: `python.py FOLDER PACKAGE`.

Read from the source and the stubs, so that nothing need be built. A class has the members that it inherits from those that
are not public themselves: what a caller sees. What is public at several places is told once, at the one with the shortest
path.
"""

import sys
from collections.abc import Iterator

import griffe
from griffe import ParameterKind

Line = tuple[str, str]
"""Where it lives, and what it is."""

PLAIN = {"__doc__", "__hash__", "__match_args__", "__module__", "__slots__", "__version__"}
"""What a class has whether we say so or not."""


def main(folder: str, package: str) -> None:
    root = griffe.load(package, search_paths=[folder], allow_inspection=False)
    assert isinstance(root, griffe.Module)
    homes: dict[str, str] = {}
    names = [name for module in modules(root) for name in public(module)]
    for path, what in sorted(names, key=lambda name: (name[0].count("."), name[0])):
        homes.setdefault(what.path, path)
    lines = [(module.path, ": module") for module in modules(root)]
    for path, what in names:
        lines += of(path, what, homes) if homes[what.path] == path else [(path, f": {homes[what.path]}")]
    for path, text in sorted(set(lines)):
        print(path + text)


def modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for inner in module.modules.values():
        if not inner.name.startswith("_"):
            yield from modules(inner)


def public(module: griffe.Module) -> Iterator[tuple[str, griffe.Object]]:
    for name, member in module.members.items():
        # Without `__all__`, what it imports is not its own.
        is_own = not name.startswith("_") and not member.is_alias if module.exports is None else name in module.exports
        if is_own and not member.is_module:
            yield f"{module.path}.{name}", target(member)


def target(member: griffe.Object | griffe.Alias) -> griffe.Object:
    return member.final_target if isinstance(member, griffe.Alias) else member


def of(path: str, what: griffe.Object, homes: dict[str, str]) -> Iterator[Line]:
    if isinstance(what, griffe.Class):
        marks = "".join(f" @{decorator.value}" for decorator in what.decorators)
        yield path, f": class({', '.join(map(str, what.bases))}){marks}"
        for name, member in what.all_members.items():
            owner = target(member).parent
            is_told = member.inherited and owner is not None and owner.path in homes
            # That of a dataclass says what its fields say.
            is_written = not (name == "__init__" and "dataclass" in target(member).labels | what.labels)
            if (not name.startswith("_") or name.startswith("__")) and name not in PLAIN and is_written and not is_told:
                yield from of(f"{path}.{name}", target(member), homes)
    elif isinstance(what, griffe.Function):
        for each in what.overloads or [what]:
            yield path, signature(each)
    elif isinstance(what, griffe.Attribute):
        kind = " (property)" if "property" in what.labels else ""
        # What a method assigns is not said by its value.
        is_told = "class-attribute" in what.labels or "module-attribute" in what.labels
        default = f" = {what.value}" if what.value is not None and is_told and not kind else ""
        yield path, f": {what.annotation}{default}{kind}" if what.annotation is not None else default


def signature(what: griffe.Function) -> str:
    is_method = what.parent is not None and what.parent.is_class and "staticmethod" not in what.labels
    parameters = list(what.parameters)[1 if is_method else 0 :]
    parts = []
    for at, each in enumerate(parameters):
        following = parameters[at + 1].kind if at + 1 < len(parameters) else None
        kinds = {earlier.kind for earlier in parameters[:at]}
        mark = {ParameterKind.var_positional: "*", ParameterKind.var_keyword: "**"}.get(each.kind, "")
        if each.kind is ParameterKind.keyword_only and not kinds & {ParameterKind.var_positional, each.kind}:
            parts.append("*")
        typed = f": {each.annotation}" if each.annotation is not None else ""
        default = f" = {each.default}" if each.default is not None and not mark else ""
        parts.append(f"{mark}{each.name}{typed}{default}")
        if each.kind is ParameterKind.positional_only and following is not each.kind:
            parts.append("/")
    returns = f" -> {what.returns}" if what.returns is not None else ""
    return f"({', '.join(parts)}){returns}{' (async)' if 'async' in what.labels else ''}"


if __name__ == "__main__":
    main(*sys.argv[1:])
