"""Plays conformance scenarios through the typed faces: see tests/conformance/README.md."""

from __future__ import annotations

import asyncio
import base64
import hmac
import inspect
import json
import keyword
import logging
import re
import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints
from uuid import UUID, uuid4

import rolekeep
from authenticator import Authenticator
from mails import AsyncOutbox, Outbox
from persisters import AsyncPersister
from planted import Watch
from rolekeep import RolekeepError, _store
from rolekeep._codec import encode

REPOSITORY = Path(__file__).parents[2]
SEED = json.loads((REPOSITORY / "examples/flyos/seed.json").read_text())
CHEAP = {"hashing_memory_kib": 7168, "hashing_iterations": 5, "hashing_max_millis": 0}


def password(email: str) -> str:
    return f"correct horse battery {email.partition('@')[0]}"


@dataclass(frozen=True)
class Scenario:
    name: str
    store: dict[str, Any]
    steps: list[dict[str, Any]] = field(repr=False)

    @property
    def needs_file(self) -> bool:
        return any("reopen" in step for step in self.steps)


def scenarios(folder: Path) -> list[Scenario]:
    found = []
    for path in sorted(folder.glob("*.json")):
        whole = json.loads(path.read_text())
        for each in whole["scenarios"]:
            store = each.get("store", whole.get("store", {}))
            found.append(Scenario(f"{path.stem}: {each['name']}", store, each["steps"]))
    return found


class Player:
    """Plays one scenario; `is_async` chooses the face, `postgres` a database, where each store has a schema of its own, and `persists` a
    storage written in Python."""

    def __init__(
        self, scenario: Scenario, folder: Path, is_async: bool, postgres: str | None = None, persists: bool = False
    ) -> None:
        self.scenario = scenario
        self.is_async = is_async
        self.persisted: Path | None = None
        self.settings = CHEAP | scenario.store.get("settings", {})
        if postgres is not None:
            self.settings |= {"postgres": postgres, "postgres_schema": f"s{uuid4().hex}"}
        elif persists and "sqlite" not in self.settings:
            self.persisted = folder / "store.log"
        elif scenario.needs_file:
            self.settings.setdefault("sqlite", str(folder / "store.db"))
        self.saved: dict[str, Any] = {}
        self.callers: dict[str, Any] = {}
        self.passkeys: dict[str, Authenticator] = {}
        self.um: Any = None
        self.here = ""
        self.others: dict[str, Any] = {}
        self.watch = Watch()
        self.outbox = (AsyncOutbox() if is_async else Outbox()) if scenario.store.get("notifier") else None

    async def play(self) -> None:
        logger = logging.getLogger("rolekeep")
        logger.addHandler(self.watch)
        self.watch.given(self.settings)
        self.um = await self.open(self.settings, self.outbox, self.persisted)
        try:
            if self.scenario.store.get("seed") == "flyos":
                passwords = {user["email"]: password(user["email"]) for user in SEED["users"]}
                await settle(typed(self.um.system.setup.seed, SEED | {"passwords": passwords}))
            for number, step in enumerate(self.scenario.steps, 1):
                try:
                    await self.step(self.filled(step))
                except AssertionError as wrong:
                    raise AssertionError(f"{self.scenario.name}, step {number} {json.dumps(step)}: {wrong}") from wrong
        finally:
            logger.removeHandler(self.watch)
            for um in (self.um, *self.others.values()):
                await settle(um.close())
        assert (leak := self.watch.leak()) is None, f"{self.scenario.name}: {leak}"

    def beside(self, name: str) -> dict[str, Any]:
        """The settings of another store with a file or schema of its own, where the first has one."""
        if "postgres" in self.settings:
            schema = f"{self.settings['postgres_schema']}_{name.encode().hex()}"
            return self.settings | {"postgres_schema": schema[:63]}
        if self.persisted is not None:
            return self.settings
        file = {"sqlite": f"{self.settings['sqlite']}-{name}"} if "sqlite" in self.settings else {}
        return self.settings | file

    async def open(self, settings: dict[str, Any], outbox: Outbox | AsyncOutbox | None, log: Path | None = None) -> Any:
        known = inspect.signature(rolekeep.open).parameters.keys()
        if settings.keys() <= known:
            given = settings | {"notifier": outbox} | ({"persister": AsyncPersister(log)} if log else {})
            return await rolekeep.open_async(**given) if self.is_async else rolekeep.open(**given)
        # What no caller can say with keyword arguments.
        return rolekeep.UserManagement(_store.start(settings, None, outbox).wait())

    async def step(self, step: dict[str, Any]) -> None:
        for each in [step, *step.get("together", [])]:
            for sent in ("with", "login", "import"):
                self.watch.given(each.get(sent))
        try:
            answered = await self.act(step)
        except RolekeepError as error:
            self.watch.failed(error)
            assert "error" in step, f"{error!r} ({error.code}/{error.reason})"
            wanted, raised = step["error"], shown(error)
            wanted |= {key: {"$unordered": wanted[key]} for key in ("fields", "problems") if key in wanted}
            assert matches(wanted, raised), f"raised {raised}"
            return
        answer = plain(answered)
        # Of an untyped call the JSON itself is the answer.
        if not step.get("raw") and "text" not in step and "together" not in step:
            self.watch.printed(answered)
        self.watch.answered(answer)
        assert "error" not in step, f"answered {answer}"
        if "expect" in step:
            assert matches(step["expect"], answer), f"answered {answer}"
        for name, path in step.get("save", {}).items():
            self.saved[name] = at(answer, path)

    async def act(self, step: dict[str, Any]) -> Any:
        match step:
            case {"call": name, "raw": True} | {"call": name, "text": _}:
                text = step.get("text", json.dumps(step.get("with", {})))
                return json.loads(await settle(self.caller(step).call(name, text)))
            case {"call": name}:
                area, _, method = name.partition(".")
                # A word of the language has an underscore after it: `policy.import_`.
                method += "_" if keyword.iskeyword(method) else ""
                return await settle(typed(getattr(getattr(self.caller(step), area), method), step.get("with", {})))
            case {"login": given}:
                request = step.get("request", {})
                answer = (await settle(typed(self.um.anonymous(**request).sessions.login, given))).done()
                if "name" in step:
                    self.callers[step["name"]] = await settle(self.um.authenticate(answer.access_token, **request))
                return answer
            case {"authenticate": token}:
                self.callers[step.get("name", "")] = await settle(self.um.authenticate(token, **step.get("request", {})))
            case {"act_as": user}:
                self.callers[step.get("name", "")] = await settle(self.um.acting_as(UUID(user)))
            case {"act_as_identity": identity}:
                self.callers[step.get("name", "")] = await settle(self.um.acting_as_identity(**identity))
            case {"can": permission}:
                return self.caller(step).can(permission, *about(step))
            case {"can_somewhere": permission}:
                return self.caller(step).can_somewhere(permission)
            case {"require": permission}:
                return self.caller(step).require(permission, *about(step))
            case {"explain": permission}:
                return self.caller(step).explain(permission, *about(step))
            case {"can_many": checks}:
                pairs = [(each["permission"], each["resource"]) if "resource" in each else each["permission"] for each in checks]
                return self.caller(step).can_many(pairs)
            case {"has_role": role}:
                return self.caller(step).has_role(role, step.get("scope"))
            case {"require_role": role}:
                return self.caller(step).require_role(role, step.get("scope"))
            case {"is_administrator": True}:
                return self.caller(step).is_administrator()
            case {"require_admin": True}:
                return self.caller(step).require_admin()
            case {"check_cached": permission}:
                return self.um.check_cached(step["user"], permission, *about(step), **circumstances(step))
            case {"check": permission}:
                return await settle(self.um.check(UUID(step["user"]), permission, *about(step), **circumstances(step)))
            case {"check_many": checks}:
                asked = [(each["user"], each["permission"], *about(each)) for each in checks]
                return await settle(self.um.check_many(asked, **circumstances(step)))
            case {"explain_user": permission}:
                return await settle(self.um.explain(step["user"], permission, *about(step), **circumstances(step)))
            case {"import": options, "text": text}:
                return await self.import_users(options, text, step)
            case {"position": True}:
                return self.um.position
            case {"together": steps}:
                return await asyncio.gather(*map(self.apart, steps))
            case {"mail": kind, "to": address}:
                return await self.mail(kind, address)
            case {"wait": seconds}:
                await asyncio.sleep(seconds)
            case {"reopen": True}:
                await settle(self.um.close())
                self.callers.clear()
                self.um = await self.open(self.settings, self.outbox, self.persisted)
            case {"switch": name}:
                known = self.others.pop(name, None)
                self.others[self.here] = self.um
                beside = self.persisted and self.persisted.with_name(f"store-{name.encode().hex()}.log")
                self.um, self.here = known or await self.open(self.beside(name), self.outbox, beside), name
            case {"open": settings}:
                await settle((await self.open(CHEAP | settings, None)).close())
            case _:
                raise NotImplementedError(f"no such step: {step}")
        return None

    async def import_users(self, options: dict[str, Any], text: str, step: dict[str, Any]) -> Any:
        whole = text.encode()
        size = step.get("pieces", max(len(whole), 1))
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        import_users = rolekeep.import_users_async if self.is_async else rolekeep.import_users
        resume = {"resume": step["resume"]} if "resume" in step else {}
        return await settle(typed(import_users, options | resume, self.caller(step), pieces))

    async def mail(self, kind: str, address: str) -> Any:
        assert self.outbox is not None, "the store has no notifier"
        for _ in range(1_000):
            if (notice := self.outbox.take(kind, address)) is not None:
                return notice
            await asyncio.sleep(0.02)
        raise AssertionError(f"no {kind} to {address} came in 20 seconds")

    async def apart(self, step: dict[str, Any]) -> Any:
        """A step beside others: a task of this loop, or a thread."""
        try:
            if self.is_async:
                return {"answer": plain(await self.act(step))}
            return {"answer": plain(await asyncio.to_thread(lambda: asyncio.run(self.act(step))))}
        except RolekeepError as error:
            return {"error": shown(error)}

    def caller(self, step: dict[str, Any]) -> Any:
        name = step.get("as", "system")
        callers = {"system": lambda: self.um.system, "anonymous": self.um.anonymous}
        caller = callers[name]() if name in callers else self.callers[name]
        return caller.with_request(**step["request"]) if "request" in step else caller

    def filled(self, value: Any) -> Any:
        """`$ada` stands for what was saved."""
        match value:
            case {"$repeat": [text, times]}:
                return text * times
            case {"$join": parts}:
                return "".join(self.filled(parts))
            case {"$from_now": seconds}:
                return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
            case {"$base64": text}:
                return base64.b64encode(self.filled(text).encode()).decode()
            case {"$totp": secret}:
                return totp(self.filled(secret), int(time.time()) // 30 + value.get("step", 0))
            case {"$jwt": claims, "secret": secret}:
                return token(self.filled(claims), secret)
            case {"$passkey": name, "create": options, **more}:
                self.passkeys[name] = Authenticator()
                return self.passkeys[name].create(self.filled(options), **more)
            case {"$passkey": name, "get": options, **more}:
                return self.passkeys[name].get(self.filled(options), **more)
        if isinstance(value, str) and value.startswith("$") and value[1:] in self.saved:
            return self.saved[value[1:]]
        if isinstance(value, dict):
            return {name: self.filled(part) for name, part in value.items()}
        return [self.filled(part) for part in value] if isinstance(value, list) else value


def totp(secret: str, step: int) -> str:
    """What an authenticator app shows (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = digest[19] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def token(claims: dict[str, Any], secret: str) -> str:
    """A token of another issuer, whose times are in seconds from now (RFC 7515, HS256)."""
    times = {"iat", "nbf", "exp", "auth_time"}
    claims = {name: int(time.time()) + value if name in times else value for name, value in claims.items()}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed, "sha256")).rstrip(b"=")
    return f"{signed.decode()}.{signature.decode()}"


def about(step: dict[str, Any]) -> tuple[Any, ...]:
    """The resource, if the question is about one."""
    return (step["resource"],) if step.get("resource") is not None else ()


def circumstances(step: dict[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("context", "at_least") if name in step}


async def settle(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def typed(method: Any, given: dict[str, Any], *before: Any) -> Any:
    """Calls a method with values of the types that it asks for, after those that need no change."""
    hints = get_type_hints(method)
    names = {name: name + "_" if name + "_" in hints else name for name in given}
    return method(*before, **{names[name]: value_of(hints.get(names[name]), value) for name, value in given.items()})


def value_of(hint: Any, value: Any) -> Any:
    """What is no value of the type stays as it is: the library is to refuse it."""
    for each in (hint, *get_args(hint)):
        try:
            if isinstance(value, str) and each is UUID:
                return UUID(value)
            if isinstance(value, str) and each is datetime:
                return utc(value)
            if isinstance(value, str) and each is date:
                return date.fromisoformat(value)
            if isinstance(each, type) and issubclass(each, Enum) and each is not NoneType:
                return each(value)
        except ValueError:
            continue
    return value


def shown(error: RolekeepError) -> dict[str, Any]:
    """An error as scenarios speak of it."""
    timestamp = error.timestamp and error.timestamp.isoformat()
    return {
        "code": str(error.code), "reason": str(error.reason), "message": error.message, "timestamp": timestamp,
        "http_status": error.http_status, "fields": plain(list(error.fields)), "problems": plain(list(error.problems)),
    }


def plain(answer: Any) -> Any:
    return json.loads(encode(answer)) if not isinstance(answer, str) else answer


def at(answer: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def matches(wanted: Any, got: Any) -> bool:
    match wanted:
        case {"$any": True}:
            return got is not None
        case {"$contains": text}:
            return isinstance(got, str) and text in got
        case {"$length": count}:
            return isinstance(got, list) and len(got) == count
        case {"$not": other}:
            return not matches(other, got)
        case {"$unordered": items} | {"$includes": items}:
            rest = list(got) if isinstance(got, list) else []
            for item in items:
                found = next((each for each in rest if matches(item, each)), None)
                if found is None:
                    return False
                rest.remove(found)
            return not rest or "$includes" in wanted
        case dict():
            return isinstance(got, dict) and all(key in got and matches(wanted[key], got[key]) for key in wanted)
        case list():
            return isinstance(got, list) and len(wanted) == len(got) and all(map(matches, wanted, got))
        case str() if isinstance(got, str) and TIME.match(wanted) and TIME.match(got):
            return utc(wanted) == utc(got)
    return type(wanted) is type(got) and bool(wanted == got)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
