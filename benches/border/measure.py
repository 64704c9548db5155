"""A check across the language border, in Python: measure.py WORKLOAD OUT [--quick].

Every engine's answers are compared with the reference, then all are timed in turns, by the processor's time; the least of
the rounds counts.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

ROUNDS, ROUND_S = 15, 0.05


class ByHand:
    """Dicts: of each user, the grants of its roles."""

    name = "by hand: dicts"

    def __init__(self, workload: dict[str, Any]) -> None:
        self.users = {user: [workload["roles"][role] for role in roles] for user, roles in workload["users"].items()}

    def who(self, user: str) -> Any:
        return user, self.users[user]

    def what(self, document: dict[str, Any]) -> Any:
        return document

    def plain(self, who: Any) -> bool:
        return len(who[1]) > 0

    def can(self, who: Any, action: str, document: Any) -> bool:
        user, grants = who
        if document["owner"] != user:
            return False
        status = document["status"]
        for held in grants:
            if held.get(action) == status:
                return True
        return False


class Rolekeep:
    name = "**Rolekeep**"

    def __init__(self, workload: dict[str, Any]) -> None:
        from rolekeep import Rules

        rules = Rules(policy_toml=workload["policy"])
        self.users = {user: rules.principal(user, roles=roles) for user, roles in workload["users"].items()}
        self.names = {action: f"document:{action}" for action in workload["actions"]}

    def who(self, user: str) -> Any:
        return self.users[user]

    def what(self, document: dict[str, Any]) -> Any:
        return document

    def plain(self, who: Any) -> bool:
        return who.can("document:list")

    def can(self, who: Any, action: str, document: Any) -> bool:
        return who.can(self.names[action], document)

    def many(self, who: Any, actions: list[str], document: Any) -> list[bool]:
        names = self.names
        return who.can_many([(names[action], document) for action in actions])


class Casbin:
    name = "pycasbin"

    def __init__(self, workload: dict[str, Any]) -> None:
        from casbin import Enforcer
        from casbin.model import Model
        from casbin.persist.adapters.string_adapter import StringAdapter

        def enforcer(request: str, policy: str, matcher: str, lines: list[str]) -> Any:
            model = Model()
            model.load_model_from_text(
                f"[request_definition]\nr = {request}\n[policy_definition]\np = {policy}\n[role_definition]\ng = _, _\n"
                f"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
            )
            held = [f"g, {user}, {role}" for user, roles in workload["users"].items() for role in roles]
            return Enforcer(model, StringAdapter("\n".join(lines + held)))

        grants = [f"p, {role}, {action}, {status}" for role, all in workload["roles"].items() for action, status in all.items()]
        own = "g(r.sub, p.sub) && r.act == p.act && r.obj.owner == r.sub && r.obj.status == p.status"
        self.on = enforcer("sub, obj, act", "sub, act, status", own, grants)
        lists = [f"p, {role}, list" for role in workload["roles"]]
        self.at_all = enforcer("sub, act", "sub, act", "g(r.sub, p.sub) && r.act == p.act", lists)

    def who(self, user: str) -> Any:
        return user

    def what(self, document: dict[str, Any]) -> Any:
        return SimpleNamespace(**document)

    def plain(self, who: Any) -> bool:
        return self.at_all.enforce(who, "list")

    def can(self, who: Any, action: str, document: Any) -> bool:
        return self.on.enforce(who, document, action)


def least(runs: dict[str, Callable[[], int]], rounds: int, seconds: float) -> dict[str, float]:
    """Nanoseconds of one run, of each the least of rounds in which all have their turn."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            spent, count, started = 0.0, 0, time.process_time()
            while spent < seconds:
                count += run()
                spent = time.process_time() - started
            best[name] = min(best[name], spent / count * 1e9)
    return best


def main() -> None:
    file, out = sys.argv[1:3]
    logging.disable()
    with open(file) as text:
        workload = json.load(text)
    runs: dict[str, Callable[[], int]] = {}
    actions = workload["actions"]
    for make in (ByHand, Rolekeep, Casbin):
        engine: Any = make(workload)
        documents = [engine.what(document) for document in workload["documents"]]
        asked = [(engine.who(user), action, documents[at]) for user, action, at, _ in workload["questions"]]
        for (who, action, document), (*_, wanted) in zip(asked, workload["questions"]):
            assert engine.can(who, action, document) is wanted, engine.name
        assert all(engine.plain(who) for who, *_ in asked[:100])

        def plain(engine: Any = engine, asked: Any = asked[:200]) -> int:
            for who, _, _ in asked:
                engine.plain(who)
            return len(asked)

        def resource(engine: Any = engine, asked: Any = asked[:200]) -> int:
            for who, action, document in asked:
                engine.can(who, action, document)
            return len(asked)

        def loop(engine: Any = engine, asked: Any = asked[:20]) -> int:
            for who, _, document in asked:
                [engine.can(who, action, document) for action in actions]
            return len(asked)

        runs |= {f"{engine.name}|plain": plain, f"{engine.name}|resource": resource, f"{engine.name}|loop": loop}
        if hasattr(engine, "many"):
            for who, _, document in asked:
                assert engine.many(who, actions, document) == [engine.can(who, action, document) for action in actions]

            def many(engine: Any = engine, asked: Any = asked[:20]) -> int:
                for who, _, document in asked:
                    engine.many(who, actions, document)
                return len(asked)

            runs[f"{engine.name}|many"] = many
    is_quick = "--quick" in sys.argv
    best = least(runs, 3 if is_quick else ROUNDS, 0.02 if is_quick else ROUND_S)
    versions = {Casbin.name: version("casbin")}
    with open(out, "w") as text:
        json.dump({"language": f"Python {sys.version.split()[0]}", "versions": versions, "ns": best}, text, indent=2)


if __name__ == "__main__":
    main()
