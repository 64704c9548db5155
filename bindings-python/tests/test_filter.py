"""Row filters in a host's own SQLite."""

import json
import random
import sqlite3
from datetime import datetime, timezone
from uuid import UUID, uuid4

import pytest
from rolekeep import FilteredRows, Forbidden, RowFilter, SqlColumn, SqlKind, ValidationError

POLICY = """
[types.document]
attributes = { id = "id", owner_id = "id?", region_id = "id?", level = "int", title = "string", tags = "set<string>?" }
[permissions]
"document:read" = ""
"document:edit" = ""
[roles.author]
allow = [
    { permission = "document:read", when = "resource.owner_id == principal.id or resource.level < 3" },
    { permission = "document:read", when = "'shared' in resource.tags" },
    { permission = "document:edit", when = "resource.owner_id == principal.id" },
]
[roles.clerk]
allow = ["document:read"]
[roles.admin]
allow = ["admin:all"]
"""


@pytest.fixture
def host(open_store):
    um = open_store(policy_toml=POLICY)
    ada = um.system.users.create("ada@example.org", roles=["author"])
    east = um.system.regions.create("east", "East")
    bob = um.system.users.create("bob@example.org")
    um.system.roles.assign(bob.id, "clerk", scope=f"region:{east.id}")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE documents (id TEXT, author TEXT, region_id TEXT, level INT, title TEXT, meta TEXT)")
    made = random.Random(7)
    rows = [
        (
            str(uuid4()), made.choice([str(ada.id), str(bob.id), None]), made.choice([str(east.id), str(uuid4()), None]),
            made.randrange(6), made.choice(["a'b", "ä", ""]), json.dumps(made.choice([{}, {"tags": ["shared"]}, {"tags": ["x"]}])),
        )
        for _ in range(300)
    ]
    database.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", rows)
    return um, um.acting_as(ada.id), um.acting_as(bob.id), database, rows


COLUMNS = {"owner_id": "author", "tags": SqlColumn(column="meta", keys=["tags"])}


@pytest.mark.parametrize("permission", ["document:read", "document:edit"])
def test_a_row_passes_if_and_only_if_the_check_allows_it(host, permission):
    um, ada, bob, database, rows = host
    counts = []
    for me in (ada, bob, um.system, um.anonymous()):
        found = me.filter(permission, dialect="sqlite", qualifier="documents", columns=COLUMNS)
        assert type(found) is RowFilter and len(found.kinds) == len(found.parameters)
        passing = {row[0] for row in database.execute(f"SELECT id FROM documents WHERE {found.sql}", found.parameters)}
        keys = ("id", "owner_id", "region_id", "level", "title")
        allowed = {
            row[0] for row in rows
            if me.can(permission, {"type": "document", **dict(zip(keys, row)), "tags": json.loads(row[5]).get("tags")})
        }
        assert passing == allowed
        counts.append(len(passing))
        assert found.rows == {0: FilteredRows.NONE, 300: FilteredRows.ALL}.get(len(passing), FilteredRows.SOME)
        assert found.expires > datetime.now(timezone.utc)
    assert counts[2:] == [300, 0] and 0 < counts[0] < 300
    assert 0 < counts[1] < 300 if permission == "document:read" else counts[1] == 0


def test_postgres_and_native_values(host):
    um, ada, bob, *_ = host
    found = ada.filter("document:edit", dialect="postgres", qualifier="d", columns=COLUMNS, first_parameter=4)
    assert found.sql == '"d"."author" = $4::uuid' and found.kinds == (SqlKind.UUID,)
    assert type(found.parameters[0]) is UUID
    blob = ada.filter("document:edit", dialect="sqlite", qualifier="documents", ids="blob", strict=True, columns=COLUMNS)
    assert blob.parameters == (ada.users.me().id.bytes,)
    assert ada.aio.filter("document:edit", dialect="sqlite", qualifier="documents", columns=COLUMNS).rows is FilteredRows.SOME


def test_what_cannot_be_said(host):
    _, ada, *_ = host
    with pytest.raises(ValidationError) as caught:
        ada.filter("document:read", dialect="sqlite", qualifier="documents", ids="uuid", columns=COLUMNS)
    assert "owner_id" in [field.field for field in caught.value.fields]
    with pytest.raises(ValidationError, match="document:read"):
        ada.filter("document:raed", dialect="sqlite", qualifier="documents")
    with pytest.raises(ValidationError) as caught:
        ada.filter("document:read", dialect="oracle", qualifier="documents")  # type: ignore[arg-type]
    assert caught.value.fields[0].field == "table.dialect"
