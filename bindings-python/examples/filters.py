"""Lists the documents that a user may see, by the user's own rules in the application's query."""

import sqlite3

import rolekeep

POLICY = """
permissions = ["document:list"]
[types.document]
attributes = { owner_id = "id", is_public = "bool" }
[roles.author]
allow = [{ permission = "document:list", when = "resource.owner_id == principal.id or resource.is_public == true" }]
"""

with rolekeep.open(policy_toml=POLICY) as um:
    ada, bob = (um.system.users.create(f"{name}@example.org", roles=["author"]) for name in ("ada", "bob"))
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE documents (title TEXT, author TEXT NOT NULL, is_public INTEGER NOT NULL)")
    documents = [("Maps", str(ada.id), 0), ("Plans", str(bob.id), 0), ("News", str(bob.id), 1)]
    database.executemany("INSERT INTO documents VALUES (?, ?, ?)", documents)

    me = um.acting_as(ada.id)
    filter = me.filter("document:list", dialect="sqlite", qualifier="d", columns={"owner_id": "author"})
    query = f"SELECT title FROM documents AS d WHERE ({filter.sql}) ORDER BY title LIMIT 20"
    print([title for title, in database.execute(query, filter.parameters)])  # ['Maps', 'News']
