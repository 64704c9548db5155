"""A library whose functions say what they need: decorators for functions, coroutines and methods."""

import asyncio
from dataclasses import dataclass

import rolekeep
from rolekeep import AsyncCaller, Caller, Forbidden, require_admin, require_permission, require_role


@require_permission("document:edit")
def edit(me: Caller, document: int, text: str) -> str:
    return f"document {document} says {text}"


@require_role("editor")
async def publish(me: AsyncCaller, document: int) -> str:
    return f"{(await me.users.me()).email} published document {document}"


@dataclass
class Archive:
    """What its methods need is asked of `me`."""

    me: Caller

    @require_permission("document:delete")
    def delete(self, document: int) -> None:
        print(f"document {document} is gone")

    @require_admin()
    def clear(self) -> None:
        print("all gone")


if __name__ == "__main__":
    with rolekeep.open(roles={"editor": ["document:edit"], "admin": ["admin:all"]}, permissions=["document:delete"]) as um:
        ada = um.acting_as(um.system.users.create("ada@example.org", roles=["editor"]).id)
        print(edit(ada, 1, "hello"))
        print(asyncio.run(publish(ada.aio, document=1)))
        for forbidden in (lambda: Archive(ada).delete(1), lambda: Archive(ada).clear()):
            try:
                forbidden()
            except Forbidden as error:
                print(error.code, error)
        Archive(um.system).delete(1)
