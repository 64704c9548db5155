"""A service on FastAPI whose routes say what they need: `uvicorn service:app`."""

from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI
import rolekeep
from rolekeep import AsyncCaller, SignInResult, NotFound, Page, User
from rolekeep.fastapi import Rolekeep

POLICY = """
[types.document]
attributes = { owner_id = "id", is_published = "bool" }
[permissions]
"document:list" = "See which documents there are"
"document:read" = "Read a document"
"document:edit" = "Change a document"
"document:delete" = "Throw a document away"
[roles.reader]
allow = ["document:list", { permission = "document:read", when = "resource.is_published == true" }]
[roles.author]
inherits = ["reader"]
allow = [{ permission = ["document:read", "document:edit"], when = "resource.owner_id == principal.id" }]
[roles.librarian]
inherits = ["reader"]
allow = ["document:delete"]
[roles.admin]
allow = ["admin:all"]
"""

app = FastAPI()
um = rolekeep.open(policy_toml=POLICY, access_token_seconds=15, hashing_memory_kib=7168, hashing_iterations=5)
rk = Rolekeep(um, app)
Me = Annotated[AsyncCaller, Depends(rk.current_user)]
documents: dict[int, dict[str, Any]] = {}


def document(number: int) -> dict[str, Any]:
    """What the policy reads of a document; an error of the library becomes its answer."""
    if number not in documents:
        raise NotFound("no such document")
    return {"type": "document", **documents[number]}


Reader = Annotated[AsyncCaller, Depends(rk.require_permission("document:read", document))]


@app.post("/login")
async def login(
    somebody: Annotated[AsyncCaller, Depends(rk.anonymous)],
    identifier: Annotated[str, Body()],
    password: Annotated[str, Body()],
    device_token: Annotated[str | None, Body()] = None,
) -> SignInResult:
    return await somebody.sessions.login(identifier, password, device_token=device_token)


@app.get("/me")
async def me(me: Me) -> User:
    return await me.users.me()


@app.get("/documents")
async def list_documents(me: Annotated[AsyncCaller, Depends(rk.require_permission("document:list"))]) -> list[int]:
    readable = me.can_many([("document:read", document(number)) for number in documents])
    return [number for number, is_readable in zip(documents, readable) if is_readable]


@app.get("/documents/{number}")
def read(number: int, me: Reader) -> dict[str, Any]:
    return document(number)


@app.put("/documents/{number}", dependencies=[Depends(rk.require_permission("document:edit", document))])
def publish(number: int, is_published: Annotated[bool, Body(embed=True)]) -> dict[str, Any]:
    documents[number]["is_published"] = is_published
    return document(number)


@app.delete("/documents/{number}", dependencies=[Depends(rk.require_permission("document:delete"))])
async def delete(number: int) -> None:
    document(number)
    del documents[number]


@app.get("/desk", dependencies=[Depends(rk.require_role("librarian"))])
async def desk() -> str:
    return "welcome"


@app.get("/users", dependencies=[Depends(rk.require_admin())])
async def users(me: Me) -> Page[User]:
    return await me.users.list()
