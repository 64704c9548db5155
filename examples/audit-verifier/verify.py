#!/usr/bin/env python3
"""Verifies an exported audit log without Rolekeep, with the standard library of Python alone.

    verify.py LOG.jsonl --key-file KEY... [--head TEXT]

LOG.jsonl has the lines of `audit.export`, in their order. A key file holds a value of `audit_key`, the one of today or a
retired one; --head is what `audit.head` answered, at the time of the export or before. Prints the first entry that is not what
was written, and ends with 1 then. docs/decisions/042-sealed-audit.md says what is hashed.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

START = "0" * 64


class Fault(Exception):
    """What is wrong, and where."""


def parts(texts: Iterable[str]) -> bytes:
    """Texts, each behind its length in eight bytes, so that no two lists are one text."""
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(8, "big") + text for text in encoded)


def digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(parts(texts)).hexdigest()


def optional(text: str | None) -> list[str]:
    return ["0"] if text is None else ["1", text]


@dataclass
class Key:
    secret: bytes

    @property
    def id(self) -> str:
        return hashlib.sha256(b"rolekeep audit key id\0" + self.secret).hexdigest()[:12]

    def sealed(self, texts: list[str], mac: str) -> bool:
        expected = hmac.new(self.secret, parts(texts), hashlib.sha256).digest()
        return hmac.compare_digest(base64.urlsafe_b64encode(expected).rstrip(b"="), mac.encode())


def hash_of(entry: dict) -> str:
    named = [entry[name] for name in ("previous", "lane", "seq", "id", "at", "action", "actor")]
    texts = ["rolekeep-audit-2", *map(str, named)]
    for name in ("on_behalf_of", "session_id", "target_type", "target_id", "facts"):
        texts += optional(entry[name])
    return digest([*texts, entry["commitment"], *optional(entry["origin_commitment"]), entry["key_id"]])


def check(entry: dict, previous: str, keys: dict[str, Key]) -> None:
    """Raises what is wrong with an entry that follows this hash."""
    if entry["previous"] != previous:
        raise Fault("does not follow the entry before it")
    if entry["key_id"] is None:
        raise Fault("is not sealed")
    if hash_of(entry) != entry["hash"]:
        raise Fault("was altered")
    key = keys.get(entry["key_id"])
    if key is None or not key.sealed(["rolekeep-audit-2", entry["hash"]], entry["mac"] or ""):
        raise Fault("was sealed with none of the keys")
    for part, salt, commitment in (("payload", "salt", "commitment"), ("origin", "origin_salt", "origin_commitment")):
        if entry[commitment] is entry[part] is entry[salt] is None:
            continue
        if entry[part] is None or entry[salt] is None:
            raise Fault(f"has lost its {part}")
        if digest([entry[salt], entry[part]]) != entry[commitment]:
            raise Fault(f"has another {part}")


def read_head(text: str, keys: dict[str, Key]) -> dict[int, tuple[int, str]]:
    """Where each chain ended, by what `audit.head` handed out."""
    signed, _, mac = text.strip().rpartition(".")
    prefix, _, *ends, key = signed.split(".")
    if prefix != "rka1" or key not in keys or not keys[key].sealed(["rolekeep-audit-heads-1", signed], mac):
        raise Fault("the head was sealed with none of the keys")
    found = (end.split("-", 2) for end in ends)
    return {int(lane): (int(seq), hash_) for lane, seq, hash_ in found}


def verify(lines: Iterable[str], keys: list[Key], head: str | None = None) -> int:
    """How many entries there are; raises the first fault."""
    known = {key.id: key for key in keys}
    ends = read_head(head, known) if head else {}
    last: dict[int, tuple[int, str]] = {}
    count = 0
    for line in lines:
        entry = json.loads(line)
        lane, seq = entry["lane"], entry["seq"]
        before, previous = last.get(lane, (0, START))
        where = f"entry {before + 1} of chain {lane}"
        if seq != before + 1:
            raise Fault(f"{where} is missing")
        try:
            check(entry, previous, known)
        except Fault as fault:
            raise Fault(f"{where} {fault}") from None
        if lane in ends and ends[lane][0] == seq and ends[lane][1] != entry["hash"]:
            raise Fault(f"{where} is not the one that the head names")
        last[lane] = (seq, entry["hash"])
        count += 1
    for lane, (seq, _) in ends.items():
        if last.get(lane, (0, START))[0] < seq:
            raise Fault(f"chain {lane} ends before entry {seq}, which the head names")
    return count


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("log", type=Path)
    arguments.add_argument("--key-file", type=Path, action="append", required=True)
    arguments.add_argument("--head")
    given = arguments.parse_args()
    keys = [Key(file.read_bytes().strip()) for file in given.key_file]
    try:
        with given.log.open(encoding="utf-8") as lines:
            count = verify(lines, keys, given.head)
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    print(f"{count} entries are what was written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
