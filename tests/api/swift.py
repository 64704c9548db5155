"""Prints the public declarations of Swift sources, one a line: `swift.py FOLDER`.

Read from the text, so that no compiler is needed. It knows what our sources have: types, extensions, their members, and
protocols, not macros, subscripts or operators.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

TYPE = re.compile(r"\b(?:struct|class|enum|protocol|actor|extension)\s+(?!func\b|var\b)([\w.]+)")
PUBLIC = re.compile(r"^(?:\w+\s+)*(?:public|open)\b(?!\()")
HIDDEN = re.compile(r"^(?:\w+\s+)*(?:private|fileprivate|internal)\b(?!\()")
IGNORED = re.compile(r"#\w+.*|@[\w.]+(?:\([^)]*\))?")


class Scope(NamedTuple):
    """A type or an extension, or the body of something else, which has no path."""

    path: str | None
    keyword: str
    is_public: bool


def main(folder: str) -> None:
    texts = [without_comments(path.read_text()) for path in sorted(Path(folder).glob("**/*.swift"))]
    found = [line for text in texts for line in declarations(text)]
    ours = {path for path, text in found if not text.startswith("extension ")}
    # What an extension gives to a type that is not public concerns nobody, nor what another type is within.
    hidden = {name for text in texts for name in hidden_types(text)}
    shown = [one for one in found if one[0].split(".")[0] not in hidden and (one[0] in ours or not one[1].startswith("extension "))]
    print("\n".join(sorted({f"{path}: {text}" for path, text in shown})))


def without_comments(text: str) -> str:
    """Nor with braces in strings."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', lambda found: re.sub(r"[{}]|//", "", found[0]), text)
    return re.sub(r"//.*", "", text)


def hidden_types(text: str) -> list[str]:
    found = re.findall(rf"^(.*{TYPE.pattern})", text, re.MULTILINE)
    return [name for head, name in found if "extension " not in head and not re.search(rf"\b(?:public|open)\s+(?:\w+\s+)*{name}\b", text)]


def declarations(text: str) -> list[tuple[str, str]]:
    """Each where it is, as `Caller.users`, and as it is written."""
    found: list[tuple[str, str]] = []
    scopes: list[Scope] = []
    head = ""
    for letter in text + "\n":
        is_open = head.count("(") > head.count(")") or head.count("[") > head.count("]")
        if letter == "{" and not is_open:
            scopes.append(opened(head, scopes))
            found += told(head, scopes[:-1])
            head = ""
        elif letter == "}" and not is_open:
            found += told(head, scopes)
            scopes.pop()
            head = ""
        elif letter == "\n" and not is_open:
            if re.search(r"(?:[,=:]|->|^\s*(?:public|open|final|static))\s*$", head):
                # It goes on in the next line.
                head += " "
            else:
                found += told(head, scopes)
                head = ""
        else:
            head += letter
    assert not scopes, "braces do not match"
    return found


def tidy(head: str) -> str:
    head = IGNORED.sub("", head) if head.lstrip().startswith(("#", "@")) else head
    head = re.sub(r"\s+", " ", head).strip()
    head = head.replace("( ", "(").replace(" )", ")")
    return re.sub(r"\)(async|throws|->)", r") \1", head)


def opened(head: str, scopes: list[Scope]) -> Scope:
    head = tidy(head)
    kind = TYPE.search(head.split("(")[0].split("=")[0])
    if kind is None or any(scope.path is None for scope in scopes):
        return Scope(None, "", False)
    keyword = kind[0].split()[0]
    outer = scopes[-1].path if scopes else None
    is_public = bool(PUBLIC.match(head)) or keyword == "extension"
    return Scope(f"{outer}.{kind[1]}" if outer else kind[1], keyword, is_public)


def told(head: str, scopes: list[Scope]) -> list[tuple[str, str]]:
    """A declaration as a line, where others may use it."""
    head = tidy(head)
    if not head or not all(scope.path is not None and scope.is_public for scope in scopes):
        return []
    within = scopes[-1] if scopes else None
    is_implied = within is not None and (within.keyword == "protocol" or (within.keyword == "enum" and head.startswith("case ")))
    is_extension = head.startswith("extension ") and ":" in head
    if HIDDEN.match(head) or not (PUBLIC.match(head) or is_implied or is_extension):
        return []
    # Not the value of a property.
    head = re.sub(r"^([^(]*?\b(?:var|let) \w+(?:: [^=]+)?) = .*", r"\1", head)
    kind = TYPE.search(head.split("(")[0])
    outer = within.path if within and within.path else ""
    name = f"{outer}.{kind[1]}" if outer and kind else kind[1] if kind else outer
    return [(name or "Rolekeep", head)]


if __name__ == "__main__":
    main(*sys.argv[1:])
