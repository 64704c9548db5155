"""Plain dicts are read as they are, everything else through JSON: both must answer the same, errors included."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from uuid import UUID

import pytest
from player import REPOSITORY
from rolekeep import AssignedRole, Principal, Reason, RolekeepError, Rules, ValidationError

POLICY = (REPOSITORY / "tests/conformance/rules/resources.toml").read_text()
ID = UUID("0190a0b0-0000-7000-8000-00000000000a")
PERMISSIONS = ["document:read", "document:edit", "document:edit{title}", "document:delete", "document:share", "note:read"]
ROUNDS = 4_000


class AsJson(dict):
    """A dict that is none of the plain ones, and goes through JSON."""


class Colour(str, Enum):
    RED = "public"


class Level(IntEnum):
    LOW = 7


class Text(str):
    """A text of a class of its own."""


class Number(int):
    """A number of a class of its own."""


@dataclass
class Record:
    owner: str


def endless() -> list[object]:
    around: list[object] = []
    around.append(around)
    return around


NOON = datetime(2999, 1, 31, 12, 30, 0, 5, tzinfo=timezone.utc)
GOOD: dict[str, list[object]] = {
    "owner": ["ada", "bob", "Zoë", "😀", "", "nul\0", ID, NOON, date(2020, 1, 1)],
    "tenant": ["acme", "other", None, ID],
    "region": [ID, str(ID), str(ID).upper(), ID.hex, None],
    "size": [0, 1, -1, 999, 1000, 7.0, -0.0, 2**53 - 1, 2**53, 2**63 - 1, -(2**63), float(2**53 - 1)],
    "is_open": [True, False],
    "due_at": [NOON, NOON.astimezone(timezone(timedelta(hours=-5))), "2999-01-01T00:00:00Z", "2000-01-01T00:00:00.5+01:00", None],
    "lasts": ["1h", "30m", 5, None],
    "address": ["10.1.2.3", "192.0.2.1", "::1", None],
    "labels": [[], ["public"], ("public", "ö"), {"public", "x"}, frozenset({"y"}), [ID, "public"]],
    "readers": [[ID], [str(ID), ID], [], None, {ID}],
    "codes": [[7], (1, 2.0, 7), {3}, [], None],
    "title": ["On engines", None],
}
ODD: list[object] = [
    None, True, 0, 1, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 1.5, 2.0**53, float("nan"), float("inf"), "", "x", "\ud800", "a\udc00b",
    "x" * 200_000, ID, NOON.replace(tzinfo=None), date(2020, 1, 1), timedelta(1), Decimal("1.5"), b"bytes", Colour.RED, Level.LOW,
    Text("public"), Number(7), [], [None], [[1]], [{}], {}, {"a": 1}, ("x", 1.5), [1, True], list(range(3_000)), endless(), Record("ada"),
    object(), MappingProxyType({"a": 1}), REPOSITORY, range(3), AsJson(a=1), Colour, ["\ud800"], [10**30], [float("nan")], {1: 2},
]  # fmt: skip
STRANGE_KEYS: list[object] = ["ownr", "Owner", "", "\ud800", "nul\0", 1, None, True, 1.5, Text("owner"), Colour.RED, "type ", ("a",)]


def resources(made: random.Random) -> Iterator[dict]:
    while True:
        given: list[tuple[object, object]] = [("type", "document"), *((name, made.choice(values)) for name, values in GOOD.items())]
        made.shuffle(given)
        resource = dict(given)
        if made.random() < 0.5:
            for _ in range(made.choice([1, 1, 2])):
                strange = made.choice(["odd", "missing", "key", "type", "many"])
                if strange == "odd":
                    resource[made.choice(list(GOOD))] = made.choice(ODD)
                elif strange == "missing":
                    resource.pop(made.choice([*GOOD, "type"]), None)
                elif strange == "key":
                    resource[made.choice(STRANGE_KEYS)] = made.choice([*ODD, "x"])
                elif strange == "type":
                    resource["type"] = made.choice(["note", "user", "documnt", "\ud800", Text("document"), Colour.RED, *ODD])
                else:
                    resource |= {f"extra{at}": at for at in range(made.choice([3, 60, 2_000]))}
        yield resource


def outcome(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except RolekeepError as error:
        return type(error), error.reason, str(error), error.fields, error.code


@pytest.fixture(scope="module")
def principals() -> list[Principal]:
    rules = Rules(policy_toml=POLICY)
    held = AssignedRole(role="member", scope="tenant:acme")
    ada = rules.principal("ada", roles=["author", held], attributes={"region": ID, "level": 3})
    return [ada, rules.principal("bob", roles=["reader", held], attributes={"region": None, "level": None}), rules.anonymous()]


def test_a_dict_is_asked_as_its_json_is(principals):
    made = random.Random(11)
    seen: dict[object, int] = {}
    for resource, _ in zip(resources(made), range(ROUNDS)):
        who, permission = made.choice(principals), made.choice(PERMISSIONS)
        plain = outcome(lambda: who.can(permission, resource))
        assert plain == outcome(lambda: who.can(permission, AsJson(resource))), (permission, resource)
        kind = plain if isinstance(plain, bool) else plain[1]
        seen[kind] = seen.get(kind, 0) + 1
    assert min(seen[True], seen[False], seen[Reason.RESOURCE_INVALID], seen[Reason.INVALID_INPUT]) > 100
    assert seen[Reason.INVALID_JSON] > 0 and seen[Reason.RESOURCE_INCOMPLETE] > 100


def test_many_dicts_are_asked_as_their_json_is(principals):
    made = random.Random(12)
    stream = resources(made)
    answered = 0
    for _ in range(ROUNDS // 8):
        known = [next(stream) for _ in range(made.choice([1, 1, 2, 4]))]
        if made.random() < 0.7:
            known = [each for each in known if not isinstance(outcome(lambda: principals[0].can("document:read", each)), tuple)]
        checks: list[object] = []
        for _ in range(made.randrange(12)):
            permission = made.choice(PERMISSIONS[:5])
            checks.append(made.choice([permission] * 2 + [(permission, each) for each in known] * 2))
        if made.random() < 0.1:
            checks.append(made.choice(["document:raed", ("note:read", known[0] if known else None), 5, None, ("a", "b", "c"), ("note:read", None), ("note:read",), Text("note:read")]))
        who = made.choice(principals)
        plain = outcome_or_error(lambda: who.can_many(checks))
        # A tuple is no plain list, and goes through JSON.
        assert plain == outcome_or_error(lambda: who.can_many(tuple(checks))), checks
        if isinstance(plain, list):
            answered += 1
            alone = [who.can(each) if isinstance(each, str) else who.can(*each) for each in checks]
            assert plain == alone
    assert answered > ROUNDS // 40


def outcome_or_error(ask: Callable[[], object]) -> object:
    """What is no question at all is refused by Python."""
    try:
        return outcome(ask)
    except (TypeError, ValueError) as error:
        return type(error), str(error)


def test_a_caller_and_a_store_ask_so_too(open_store):
    # An account's attributes are the library's own.
    lines = [line for line in POLICY.splitlines() if not line.startswith(("attributes = { id", "[types.user]", "deny"))]
    um = open_store(policy_toml="\n".join(lines).replace("resource.owner", "resource.region"))
    ada = um.system.users.create("ada@example.org", roles=["author"])
    me, made = um.acting_as(ada.id), random.Random(13)
    own = {"type": "document", **{name: values[0] for name, values in GOOD.items()}, "region": ada.id, "size": 1}
    assert me.can("document:edit", own) and um.check_cached(ada.id, "document:edit", own)
    for resource, _ in zip(resources(made), range(ROUNDS // 4)):
        permission, slow = made.choice(PERMISSIONS), AsJson(resource)
        asked = outcome(lambda: me.can(permission, resource))
        assert asked == outcome(lambda: me.can(permission, slow))
        assert outcome(lambda: um.check_cached(ada.id, permission, resource)) == outcome(lambda: um.check_cached(ada.id, permission, slow))
        assert outcome(lambda: me.can_many([(permission, resource)])) == outcome(lambda: me.can_many(((permission, resource),)))
        host = outcome(lambda: um.system.can(permission, resource))
        assert host == outcome(lambda: um.system.can(permission, slow))
    assert um.system.can_many([("document:edit", own), "document:read"]) == [True, True]
    with pytest.raises(ValidationError):
        um.system.can_many([("document:edit", own), "document:raed"])


@contextmanager
def called() -> Iterator[set[str]]:
    """The functions in Python that are called meanwhile."""
    names: set[str] = set()
    sys.setprofile(lambda frame, event, _: names.add(frame.f_code.co_name) if event == "call" else None)
    try:
        yield names
    finally:
        sys.setprofile(None)


def test_a_plain_dict_needs_no_json(principals):
    ada = principals[0]
    for at in range(12):
        resource = {"type": "document", **{name: values[at % len(values)] for name, values in GOOD.items()}}
        with called() as names:
            ada.can("document:read", resource)
            ada.can_many([("document:read", resource), "document:edit", ("document:edit{title}", resource)])
        assert not names & {"encode", "encode_checks"}, resource
    with called() as names:
        ada.can("document:read", AsJson(resource))
        ada.can_many((("document:read", resource),))
    assert {"encode", "encode_checks"} <= names


def test_what_is_too_much_is_refused_as_before(principals):
    large = {"type": "note", "text": "x" * 60_000}
    assert principals[0].can_many([("note:read", large)] * 2) == [True, True]
    for checks in ([("note:read", large)] * 20, [("note:read", {"type": "note", "text": "\0" * 200_000})]):
        with pytest.raises(ValidationError) as refused:
            principals[0].can_many(checks)
        assert refused.value.reason is Reason.INVALID_JSON
    assert principals[0].can_many(["note:read"] * 5_000) == [True] * 5_000


def test_a_dict_that_changes_while_it_is_read(principals):
    class Moving(timezone.__base__):  # type: ignore[misc]
        """A time zone that empties the resource when it is asked."""

        def utcoffset(self, _: object) -> timedelta:
            resource.clear()
            return timedelta(0)

    resource = {"type": "document", "due_at": datetime(2999, 1, 1, tzinfo=Moving())}
    resource |= {name: values[0] for name, values in GOOD.items() if name not in resource}
    assert isinstance(principals[0].can("document:delete", resource), bool)


def test_a_resource_that_was_not_found_is_not_taken_for_none(open_store):
    roles = {"editor": ["document:edit"]}
    um = open_store(roles=roles)
    id = um.system.users.create("ada@example.org", roles=["editor"]).id
    found = {"type": "document"}
    for asker in (um.acting_as(id), um.acting_as(id).aio, Rules(roles=roles).principal(id, roles=["editor"])):
        assert asker.can_many(["document:edit", ("document:edit", found)]) == [True, True]
        assert asker.can("document:edit") and asker.can("document:edit", found) and asker.can("document:edit", resource=found)
        assert asker.explain("document:edit").allowed and asker.explain("document:edit", found).allowed
        asker.require("document:edit")
        for ask in (asker.can, asker.require, asker.explain):
            for none in ({"resource": None}, {"resource": 5}):
                with pytest.raises(ValidationError, match="resource"):
                    ask("document:edit", **none)
            with pytest.raises(ValidationError, match="resource"):
                ask("document:edit", None)
        for each in (("document:edit", None), ("document:edit",), ("document:edit", found, 1), (), 5, None, {"document:edit": found}, "de"):
            for checks in (["document:edit", each], ("document:edit", each)):
                with pytest.raises(ValidationError, match=r"checks\[1\]|there is no"):
                    asker.can_many(checks)
        for none in ("document:edit", 5, None, {"document:edit": found}):
            with pytest.raises(ValidationError, match="a list, each of it a permission"):
                asker.can_many(none)
    for check in (um.check, um.check_cached, lambda *about, **given: um.explain(*about, **given).allowed):
        for given in ({}, {"context": {}}, {"at_least": um.position}):
            assert check(id, "document:edit", **given) and check(id, "document:edit", found, **given)
            for none in (None, 5):
                with pytest.raises(ValidationError, match="resource"):
                    check(id, "document:edit", none, **given)
    for ask, about in ((um.acting_as(id).can, ()), (um.check, (id,)), (um.check_cached, (id,)), (um.explain, (id,))):
        with pytest.raises(ValidationError, match="there is no resource") as refused:
            ask(*about, "document:edit", None)
        assert [one.field for one in refused.value.fields] == ["resource"]
    assert um.check_many([(id, "document:edit"), (id, "document:edit", found)]) == [True, True]
    for each in ((id, "document:edit", None), (id,), (id, "document:edit", found, 1), (), 5, None, "abc"):
        with pytest.raises(ValidationError, match=r"checks\[1\]"):
            um.check_many([(id, "document:edit"), each])
    for none in ("document:edit", 5, None):
        with pytest.raises(ValidationError, match="a list, each of it a tuple"):
            um.check_many(none)
