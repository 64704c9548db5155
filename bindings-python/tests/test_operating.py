"""How a store is, and settings of the environment."""

import asyncio
import base64
import json
import os

import pytest
import rolekeep
from rolekeep import CacheKind, Health, HealthStatus, Reason, ValidationError


def test_ops_1_a_store_says_how_it_is(tmp_path):
    with rolekeep.open(sqlite=tmp_path / "x.db") as um:
        ada = um.system.users.create("ada@example.org")
        um.check(ada.id, "user:read")
        health = um.health()
        assert isinstance(health, Health)
        assert (health.status, health.is_ready, um.ready()) == (HealthStatus.HEALTHY, True, True)
        assert health.storage.schema_version >= 33 and health.storage.reason is None
        assert [pool.name for pool in health.storage.pools] == ["writers", "readers"]
        assert health.feed.is_shared and health.feed.age_millis < 2000
        assert health.caches[0].kind is CacheKind.USERS and health.caches[0].count == 1
        assert health.at.tzinfo is not None and "ada" not in repr(health)
    health = um.health()
    assert (health.status, health.is_ready, health.storage.reason) == (HealthStatus.UNHEALTHY, False, Reason.CLOSED)


def test_ops_1_asyncio():
    async def ask():
        async with rolekeep.open_async() as um:
            assert await um.ready()
            return await um.health()

    assert asyncio.run(ask()).notices.is_offered is False


@pytest.fixture
def environment(monkeypatch):
    """Without what begins like a setting and is one of the tests."""
    for name in [name for name in os.environ if name.startswith("ROLEKEEP_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_ops_5_settings_of_the_environment(environment, tmp_path):
    file, key = tmp_path / "app.toml", tmp_path / "key"
    file.write_text('issuer = "file"\naudience = "file"\n[roles]\neditor = ["document:edit"]\n')
    key.write_text("0123456789012345678901234567890123456789\n")
    environment.setenv("ROLEKEEP_SQLITE", str(tmp_path / "x.db"))
    environment.setenv("ROLEKEEP_AUDIENCE", "variable")
    environment.setenv("ROLEKEEP_SIGNING_KEY_FILE", str(key))
    environment.setenv("ROLEKEEP_ISSUER", "variable")
    with rolekeep.open(from_env=True, config_file=file, issuer="program") as um:
        um.system.users.create("ada@example.org", password="correct horse battery", roles=["editor"])
        token = um.login("ada@example.org", "correct horse battery").done().access_token
    assert (tmp_path / "x.db").exists()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["iss"], claims["aud"]) == ("program", "variable")
    # Without being asked to nothing is taken from there.
    with rolekeep.open() as um:
        assert not um.health().storage.pools


def test_ops_5_every_wrong_variable_is_named(environment):
    environment.setenv("ROLEKEEP_SESSION_SECONDS", "long")
    environment.setenv("ROLEKEEP_MAX_SESSIONS", "0")
    environment.setenv("ROLEKEEP_ROLES__EDITOR", '["documentedit"]')
    environment.setenv("ROLEKEEP_SESION_SECONDS", "1")
    with pytest.raises(ValidationError) as raised:
        rolekeep.open(from_env=True)
    assert raised.value.reason is Reason.CONFIG_INVALID
    for name in ["SESSION_SECONDS", "MAX_SESSIONS", "SESION_SECONDS"]:
        assert f"(ROLEKEEP_{name})" in str(raised.value)
    assert {field.field for field in raised.value.fields} == {"session_seconds", "max_sessions", "sesion_seconds"}
    assert len(raised.value.problems) >= 1, "the policy's, too"
