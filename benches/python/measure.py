"""Rolekeep's Python package beside other engines: measure.py WORKLOAD OUT [--quick].

The workload is the one that the Rust measurement drew, and the answers of every engine are compared with its
reference before the engine is timed. What is timed has strings in and a bool out, and it is the processor's time that
counts, so that what else the machine does does not.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import chain
from typing import Any

Check = Callable[[str, str], bool]
# Of each user, who asks for it.
Callers = dict[str, Any]
Engine = Callable[[dict[str, Any]], Check | Callers]

ROUNDS, ROUND_S, COMPARE_S = 9, 0.1, 4.0
QUICK_ROUNDS, QUICK_ROUND_S, QUICK_COMPARE_S = 3, 0.05, 1.0
# At least so many answers are compared, however slow an engine is.
COMPARED = 5


def closures(workload: dict[str, Any]) -> dict[str, list[str]]:
    """Of each role, itself and all its juniors."""
    roles = workload["roles"]

    def below(role: str) -> Iterator[str]:
        yield role
        for junior in roles[role]["inherits"]:
            yield from below(junior)

    return {role: list(dict.fromkeys(below(role))) for role in roles}


def sets(workload: dict[str, Any]) -> Check:
    """What one writes by hand: of each user, the sets of its roles, closures flattened."""
    flat = closures(workload)
    grants = {
        role: frozenset(chain.from_iterable(workload["roles"][one]["grants"] for one in below))
        for role, below in flat.items()
    }
    users = {user: [grants[role] for role in held] for user, held in workload["users"].items()}

    def check(user: str, permission: str) -> bool:
        for held in users[user]:
            if permission in held:
                return True
        return False

    return check


def rolekeep_store(workload: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """A store in memory with everybody in it, and the ids that it gave them."""
    import rolekeep

    um = rolekeep.open(policy_json=workload["policy"])
    create = um.system.users.create
    held = workload["users"].items()
    return um, {user: str(create(f"{user}@example.org", roles=roles).id) for user, roles in held}


def rolekeep_check(workload: dict[str, Any]) -> Check:
    """`um.check_cached(user, permission)`: any user, by its id as text."""
    um, ids = rolekeep_store(workload)
    first = next(iter(workload["roles"].values()))["grants"][0]
    asked = {query["user"] for query in workload["queries"]}
    for user in asked:
        # Reads the user's rights into memory.
        um.check(ids[user], first)
    # The store gives ids of its own; which user is asked about is settled before.
    rename(workload, ids)
    return um.check_cached


def rolekeep_can(workload: dict[str, Any]) -> Callers:
    """`caller.can(permission)` of a caller at hand: what a request handler does."""
    um, ids = rolekeep_store(workload)
    asked = {query["user"] for query in workload["queries"]}
    return {user: um.acting_as(ids[user]) for user in asked}


def rename(workload: dict[str, Any], ids: dict[str, str]) -> None:
    for query in workload["queries"]:
        query["user"] = ids[query["user"]]


CASBIN = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && r.act == p.act && g(r.sub, p.sub)
"""


def casbin_enforcer(workload: dict[str, Any], make: Callable[..., Any]) -> Check:
    from casbin.persist.adapters.string_adapter import StringAdapter

    def lines() -> Iterator[str]:
        for name, role in workload["roles"].items():
            for grant in role["grants"]:
                yield f"p, {name}, {grant.replace(':', ', ')}"
            for junior in role["inherits"]:
                yield f"g, {name}, {junior}"
        for user, held in workload["users"].items():
            for role in held:
                yield f"g, {user}, {role}"

    enforcer = make(StringAdapter("\n".join(lines())))

    def check(user: str, permission: str) -> bool:
        resource, action = permission.split(":")
        return enforcer.enforce(user, resource, action)

    return check


def casbin(workload: dict[str, Any]) -> Check:
    """Its enforcer."""
    from casbin import Enforcer
    from casbin.model import Model

    def make(adapter: Any) -> Any:
        model = Model()
        model.load_model_from_text(CASBIN)
        return Enforcer(model, adapter)

    return casbin_enforcer(workload, make)


def casbin_fast(workload: dict[str, Any]) -> Check:
    """Its fast enforcer: policies are found by resource and action."""
    from casbin import FastEnforcer
    from casbin.model import FastModel

    def make(adapter: Any) -> Any:
        model = FastModel([1, 2])
        model.load_model_from_text(CASBIN)
        return FastEnforcer(model, adapter, cache_key_order=[1, 2])

    return casbin_enforcer(workload, make)


def cedar(workload: dict[str, Any]) -> Check:
    """One policy, an entity for each permission with its roles; its own hierarchy; entities parsed before."""
    from cedarpy import Decision, Entities, PolicySet, is_authorized

    def uid(kind: str, name: str) -> dict[str, str]:
        return {"type": kind, "id": name}

    def entity(kind: str, name: str, parents: list[str], attrs: dict[str, Any]) -> dict[str, Any]:
        return {"uid": uid(kind, name), "attrs": attrs, "parents": [uid("Role", parent) for parent in parents]}

    granted: dict[str, list[dict[str, Any]]] = {permission: [] for permission in workload["permissions"]}
    for name, role in workload["roles"].items():
        for grant in role["grants"]:
            granted[grant].append({"__entity": uid("Role", name)})
    everything = chain(
        (entity("Role", name, role["inherits"], {}) for name, role in workload["roles"].items()),
        (entity("User", user, held, {}) for user, held in workload["users"].items()),
        (entity("Thing", permission, [], {"roles": roles}) for permission, roles in granted.items()),
    )
    entities = Entities.from_json_str(json.dumps(list(everything)))
    policies = PolicySet.from_str("permit(principal, action, resource) when { principal in resource.roles };")
    action = uid("Action", "use")

    def check(user: str, permission: str) -> bool:
        request = {"principal": uid("User", user), "action": action, "resource": uid("Thing", permission)}
        return is_authorized(request, policies, entities).decision == Decision.Allow

    return check


class User:
    """Oso's user: the host's."""

    def __init__(self, roles: list[str]) -> None:
        self.roles = roles


def oso(workload: dict[str, Any]) -> Check:
    """A fact for each grant; users and their flattened roles are the host's."""
    from oso import Oso

    polar = Oso()
    polar.register_class(User)
    facts = (
        f'grants("{name}", "{grant}");' for name, role in workload["roles"].items() for grant in role["grants"]
    )
    rule = "allow(user: User, _, permission) if role in user.roles and grants(role, permission);"
    polar.load_str("\n".join(chain([rule], facts)))
    flat = closures(workload)
    users = {
        user: User(list(dict.fromkeys(chain.from_iterable(flat[role] for role in held))))
        for user, held in workload["users"].items()
    }

    def check(user: str, permission: str) -> bool:
        for _ in polar.query_rule("allow", users[user], "use", permission):
            return True
        return False

    return check


ENGINES: dict[str, tuple[Engine, str | None]] = {
    "python-sets": (sets, None),
    "python-rolekeep-check": (rolekeep_check, "rolekeep"),
    "python-rolekeep-can": (rolekeep_can, "rolekeep"),
    "python-cedar": (cedar, "cedarpy"),
    "python-oso": (oso, "oso"),
    "python-casbin-fast": (casbin_fast, "casbin"),
    "python-casbin": (casbin, "casbin"),
}


class Contender:
    """An engine with the workload in it."""

    def __init__(self, name: str, file: str, compare_s: float) -> None:
        engine, package = ENGINES[name]
        with open(file) as text:
            workload = json.load(text)
        started = time.process_time()
        made = engine(workload)
        self.callers = made if isinstance(made, dict) else None
        self.check: Check = made if callable(made) else lambda user, permission: made[user].can(permission)
        self.row: dict[str, Any] = {"engine": name, "size": "M", "variant": "plain", "rounds_ns": []}
        self.row["load_s"] = time.process_time() - started
        self.row["version"] = version(package) if package else None
        self.asks: list[tuple[Any, str]] = []
        self.at = 0
        self.compare(workload["queries"], compare_s)

    def compare(self, queries: list[dict[str, Any]], seconds: float) -> None:
        started = time.process_time()
        for query in queries:
            answer = self.check(query["user"], query["permission"])
            if answer is not query["answer"]:
                sys.exit(f"{self.row['engine']} answers {answer}: {query}")
            who = self.callers[query["user"]] if self.callers else query["user"]
            self.asks.append((who, query["permission"]))
            if len(self.asks) >= COMPARED and time.process_time() - started > seconds:
                break
        self.row["compared"] = len(self.asks)
        # So many at a time as take about a hundredth of a second.
        each = (time.process_time() - started) / len(self.asks)
        self.block = max(1, min(len(self.asks), int(0.01 / each)))

    def round(self, seconds: float) -> None:
        check, spent, checks = self.check, 0.0, 0
        while spent < seconds:
            asks = self.asks[self.at : self.at + self.block]
            started = time.process_time()
            if self.callers:
                for caller, permission in asks:
                    caller.can(permission)
            else:
                for user, permission in asks:
                    check(user, permission)
            spent += time.process_time() - started
            checks += len(asks)
            self.at = (self.at + self.block) % len(self.asks)
        self.row["rounds_ns"].append(spent / checks * 1e9)


def main() -> None:
    file, out = sys.argv[1:3]
    is_quick = "--quick" in sys.argv
    rounds, round_s, compare_s = (
        (QUICK_ROUNDS, QUICK_ROUND_S, QUICK_COMPARE_S) if is_quick else (ROUNDS, ROUND_S, COMPARE_S)
    )
    logging.disable()
    contenders = []
    for name in ENGINES:
        contenders.append(Contender(name, file, compare_s))
        print(name, contenders[-1].row, file=sys.stderr)
    for _ in range(rounds):
        for contender in contenders:
            contender.round(round_s)
    with open(out, "w") as text:
        json.dump({"rows": [contender.row for contender in contenders]}, text, indent=2)
    for contender in contenders:
        ns = sorted(contender.row["rounds_ns"])[rounds // 2]
        print(f"{contender.row['engine']:<24} {ns:12.0f} ns, {contender.row['compared']} compared", file=sys.stderr)


if __name__ == "__main__":
    main()
