from typing import Annotated
from fastapi import Body, Depends, FastAPI
import rolekeep
from rolekeep import AsyncCaller, SignInResult, User
from rolekeep.fastapi import Rolekeep

um = rolekeep.open(roles={"editor": ["document:edit"]}, permissions=["document:delete"])
um.system.users.create("ada@example.org", password="correct horse battery staple", roles=["editor"])
app = FastAPI()
rk = Rolekeep(um, app)
Text = Annotated[str, Body()]

@app.post("/login")
async def login(you: Annotated[AsyncCaller, Depends(rk.anonymous)], email: Text, password: Text) -> SignInResult:
    return await you.sessions.login(email, password)

@app.get("/me")
async def me(me: Annotated[AsyncCaller, Depends(rk.current_user)]) -> User:
    return await me.users.me()

@app.delete("/documents/{id}", dependencies=[Depends(rk.require_permission("document:delete"))])
async def delete_document(id: int) -> None: ...
