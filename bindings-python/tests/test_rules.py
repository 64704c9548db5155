"""Rules without accounts."""

import inspect
import json
import multiprocessing
import re
import runpy
from datetime import datetime, timezone
from uuid import UUID

import pytest
from player import REPOSITORY
from rolekeep import AssignedRole, Forbidden, Principal, Reason, Rules, ValidationError

SHARED = REPOSITORY / "tests/conformance/rules"
POLICY = """
[types.user]
attributes = { id = "string", level = "int?" }
[types.document]
attributes = { owner = "string", tenant = "string?" }
[permissions]
"note:read" = "Read a note"
"document:edit" = "Change a document"
[context]
on_site = "bool"
[scopes.tenant]
attribute = "tenant"
[roles.author]
allow = [{ permission = "document:edit", when = "resource.owner == principal.id" }]
[roles.visitor]
allow = [{ permission = "note:read", when = "context.on_site == true" }]
"""

DEMANDING = """
[types.user]
attributes = { id = "string", ward = "int" }
[types.ward]
attributes = { number = "int" }
[permissions]
"ward:enter" = "Enter a ward"
[roles.nurse]
allow = [{ permission = "ward:enter", when = "resource.number == principal.ward" }]
"""


def document(owner: str) -> dict[str, object]:
    return {"type": "document", "owner": owner, "tenant": "acme"}


def test_they_decide_as_rules_with_accounts_do():
    decisions = json.loads((SHARED / "decisions.json").read_text())
    rules = Rules(policy_toml=(SHARED / "policy.toml").read_text(), library_types=True)
    principals = [rules.principal(**described(each)) for each in decisions["principals"]]
    answers = [ask(rules.anonymous() if who is None else principals[who], rest) for who, *rest in decisions["questions"]]
    assert answers == [each[-1] for each in decisions["questions"]]
    assert len(answers) == 1000


def described(data: dict) -> dict:
    """A role of the file as programs write it."""
    roles = [each if isinstance(each, str) else AssignedRole(**each | moments(each)) for each in data["roles"]]
    return {**data, "id": UUID(data["id"]), "roles": roles}


def moments(role: dict) -> dict:
    times = {key: role[key] for key in ("valid_from", "valid_until")}
    return {key: time and datetime.fromisoformat(time.replace("Z", "+00:00")) for key, time in times.items()}


def ask(principal: Principal, question: list) -> object:
    permission, resource, context, _ = question
    principal = principal.with_context(context)
    try:
        return principal.can(permission) if resource is None else principal.can(permission, resource)
    except ValidationError as error:
        return error.reason.value


def test_a_principal_is_asked_as_a_caller_is():
    rules = Rules(policy_toml=POLICY)
    ada = rules.principal("ada", roles=["author"], groups={"staff": ["visitor"]})
    own, other = document("ada"), document("bob")
    assert ada.can("document:edit", own) and not ada.can("document:edit", other)
    assert ada.can_many([("document:edit", own), ("document:edit", other), "document:edit"]) == [True, False, False]
    assert ada.can_somewhere("document:edit")
    ada.require("document:edit", own)
    with pytest.raises(Forbidden):
        ada.require("document:edit", other)
    assert ada.has_role("author") and ada.has_role("visitor", "tenant:acme")
    assert not ada.explain("document:edit", other).allowed
    rows = ada.filter("document:edit", dialect="sqlite", qualifier="documents", columns={"owner": "made_by"})
    assert (rows.sql, rows.parameters) == ('"documents"."made_by" COLLATE BINARY = ?1', ("ada",))
    with pytest.raises(ValidationError) as refused:
        ada.can("note:read")
    assert refused.value.reason is Reason.CONTEXT_INCOMPLETE
    assert ada.with_context({"on_site": True}).can("note:read")


def test_a_principal_is_described_by_all_that_the_core_reads():
    api = (REPOSITORY / "docs/api/rust.txt").read_text()
    fields = set(re.findall(r"^pub rolekeep::rules::PrincipalData::(\w+):", api, re.MULTILINE))
    parameters = inspect.signature(Rules.principal).parameters
    assert "second_factor" in fields and fields == set(parameters) - {"self"}


def test_a_role_may_need_a_second_factor():
    rules = Rules(policy_toml='[types.user]\nattributes = { id = "string" }\n[permissions]\n"a:b" = "?"\n[roles.safe]\nsecond_factor = true\nallow = ["a:b"]\n')
    assert not rules.principal("ada", roles=["safe"]).can("a:b")
    assert rules.principal("ada", roles=["safe"], second_factor=True).can("a:b")


def test_the_program_of_the_guide(monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    runpy.run_path(str(REPOSITORY / "bindings-python/examples/rules.py"))
    assert capsys.readouterr().out.startswith("True False\ndocument:edit is denied: no role that is held allows it\n")


def test_all_that_is_wrong_is_told():
    rules = Rules(policy_toml=POLICY)
    with pytest.raises(ValidationError) as refused:
        rules.principal(
            "ada", roles=["auhtor", AssignedRole(role="author", scope="tennant:acme")], attributes={"level": "high", "x": 1}
        )
    fields = [each.field for each in refused.value.fields]
    assert fields == ["attributes.level", "attributes.x", "roles[0].role", "roles[1].scope"]
    assert "did you mean `author`?" in str(refused.value)
    with pytest.raises(ValidationError):
        Rules()
    with pytest.raises(ValidationError):
        Rules(policy_toml=POLICY, preset="standard")
    with pytest.raises(ValidationError) as problems:
        Rules(policy_toml="[roles.author]\nallow = ['document:edit']")
    assert [each.line for each in problems.value.problems] == [2]
    with pytest.raises(ValidationError):
        rules.principal("ada", roles=["author"] * 20_000)
    nested: list = []
    for _ in range(1_000):
        nested = [nested]
    for level in (nested, "x" * 10_000_000):
        with pytest.raises(ValidationError):
            rules.principal("ada", attributes={"level": level})
    demanding = Rules(policy_toml=DEMANDING)
    with pytest.raises(ValidationError, match="read `principal.ward`") as missing:
        demanding.principal("ada", roles=["nurse"])
    assert [each.field for each in missing.value.fields] == ["attributes.ward"]
    assert demanding.principal("ada", roles=["nurse"], attributes={"ward": 3}).can("ward:enter", {"type": "ward", "number": 3})


def test_other_rules_refuse_a_principal_and_a_fork_goes_on():
    rules = Rules(policy_toml=POLICY)
    ada = rules.principal("ada", roles=["author"])
    assert Rules(preset="flyos").principal(UUID(int=1), roles=["OPERATOR"]).can_somewhere("drone:read")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(ask_of, (POLICY,))
    assert ada.can("document:edit", document("ada"))


def ask_of(policy: str) -> bool:
    return Rules(policy_toml=policy).principal("ada", roles=["author"]).can("document:edit", document("ada"))
