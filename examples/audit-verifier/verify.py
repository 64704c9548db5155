#!/usr/bin/env python3
"""Verifies an exported audit log without Rolekeep.

    verify.py LOG.jsonl --key-file KEY... [--head TEXT]
    verify.py LOG.jsonl --public-key JWK --signed-head TEXT

LOG.jsonl has the lines of `audit.export`, in their order. A key file holds a value of `audit_key`, the one of today or a
retired one; --head is what `audit.head` answered, at the time of the export or before. Whoever does not have that key
verifies by a signed head (`signed` of `audit.head`) and the public part of `audit_signing_key`, a JWK; entries behind that head
are not counted then. Prints the first entry that is not what was written, and ends with 1 then. The standard library of Python is
enough, but for signed heads, which PyJWT and cryptography verify. docs/decisions/042-sealed-audit.md says what is hashed.
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


def check(entry: dict, previous: str, keys: dict[str, Key] | None) -> list[str]:
    """The parts that are missing of an entry that follows this hash; raises what is wrong with it.

    Without keys its seal is not looked at: a signed head speaks for it.
    """
    if entry["previous"] != previous:
        raise Fault("does not follow the entry before it")
    if entry["key_id"] is None:
        raise Fault("is not sealed")
    if hash_of(entry) != entry["hash"]:
        raise Fault("was altered")
    if keys is not None:
        key = keys.get(entry["key_id"])
        if key is None or not key.sealed(["rolekeep-audit-2", entry["hash"]], entry["mac"] or ""):
            raise Fault("was sealed with none of the keys")
    missing = []
    for part, salt, commitment in (("payload", "salt", "commitment"), ("origin", "origin_salt", "origin_commitment")):
        if entry[commitment] is entry[part] is entry[salt] is None:
            continue
        if entry[part] is entry[salt] is None:
            missing.append(part)
        elif entry[part] is None or digest([entry[salt] or "", entry[part]]) != entry[commitment]:
            raise Fault(f"has another {part}")
    return missing


def erased_by(entry: dict) -> set[tuple[int, int, str]]:
    """The parts of other entries of which this one says that they were erased."""
    if entry["action"] != "audit.erased":
        return set()
    said = json.loads(entry["facts"])["after"]
    return {(lane, seq, part) for part in ("payload", "origin") for lane, seq in said[f"{part}s"]}


def read_head(text: str, keys: dict[str, Key]) -> dict[int, tuple[int, str]]:
    """Where each chain ended, by what `audit.head` handed out."""
    signed, _, mac = text.strip().rpartition(".")
    prefix, _, *ends, key = signed.split(".")
    if prefix != "rka1" or key not in keys or not keys[key].sealed(["rolekeep-audit-heads-1", signed], mac):
        raise Fault("the head was sealed with none of the keys")
    found = (end.split("-", 2) for end in ends)
    return {int(lane): (int(seq), hash_) for lane, seq, hash_ in found}


def read_signed_head(text: str, jwk: str) -> dict[int, tuple[int, str]]:
    """The same by a signed head, for whoever has the public key alone."""
    import jwt

    try:
        key = jwt.PyJWK.from_json(jwk)
        signed = jwt.decode_complete(text.strip(), key, algorithms=["EdDSA", "ES256"], options={"verify_iat": False})
    except jwt.PyJWTError as error:
        raise Fault(f"the head was not signed with the key: {error}") from None
    if signed["header"].get("typ") != "rolekeep-audit-head+jwt":
        raise Fault("what was signed with the key is no head")
    return {head["lane"]: (head["seq"], head["hash"]) for head in signed["payload"]["heads"]}


def verify(lines: Iterable[str], keys: list[Key], head: str | None = None) -> int:
    """How many entries there are; raises the first fault."""
    known = {key.id: key for key in keys}
    return walk(lines, known, read_head(head, known) if head else {})


def verify_signed(lines: Iterable[str], jwk: str, head: str) -> int:
    """The same for whoever has the public key alone."""
    return walk(lines, None, read_signed_head(head, jwk))


def walk(lines: Iterable[str], known: dict[str, Key] | None, ends: dict[int, tuple[int, str]]) -> int:
    last: dict[int, tuple[int, str]] = {}
    missing: set[tuple[int, int, str]] = set()
    erased: set[tuple[int, int, str]] = set()
    count = 0
    for line in lines:
        entry = json.loads(line)
        lane, seq = entry["lane"], entry["seq"]
        before, previous = last.get(lane, (0, START))
        if known is None and seq > ends.get(lane, (0, START))[0]:
            # Nothing speaks for it.
            continue
        where = f"entry {before + 1} of chain {lane}"
        if seq != before + 1:
            raise Fault(f"{where} is missing")
        try:
            missing |= {(lane, seq, part) for part in check(entry, previous, known)}
        except Fault as fault:
            raise Fault(f"{where} {fault}") from None
        if lane in ends and ends[lane][0] == seq and ends[lane][1] != entry["hash"]:
            raise Fault(f"{where} is not the one that the head names")
        erased |= erased_by(entry)
        last[lane] = (seq, entry["hash"])
        count += 1
    for lane, (seq, _) in ends.items():
        if last.get(lane, (0, START))[0] < seq:
            raise Fault(f"chain {lane} ends before entry {seq}, which the head names")
    # Known at the end, as the entry that says so comes later.
    for lane, seq, part in sorted(missing - erased):
        raise Fault(f"entry {seq} of chain {lane} has lost its {part}, and no entry says that it was erased")
    return count


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("log", type=Path)
    keys = arguments.add_mutually_exclusive_group(required=True)
    keys.add_argument("--key-file", type=Path, action="append")
    keys.add_argument("--public-key", type=Path)
    heads = arguments.add_mutually_exclusive_group()
    heads.add_argument("--head")
    heads.add_argument("--signed-head")
    given = arguments.parse_args()
    if (given.public_key is None) != (given.signed_head is None):
        arguments.error("--public-key and --signed-head go together")
    try:
        with given.log.open(encoding="utf-8") as lines:
            if given.public_key:
                count = verify_signed(lines, given.public_key.read_text(), given.signed_head)
            else:
                count = verify(lines, [Key(file.read_bytes().strip()) for file in given.key_file], given.head)
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    print(f"{count} entries are what was written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
