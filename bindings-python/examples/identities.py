from contextlib import suppress
import rolekeep
from rolekeep import Caller, Duplicate, ExternalIdentity, NotFound, UserManagement

def caller(um: UserManagement, issuer: str, subject: str) -> Caller:
    try:
        return um.acting_as_identity(issuer, subject)
    except NotFound:
        with suppress(Duplicate):  # Of two at once one is a duplicate, and both are found.
            um.system.users.create(identity=ExternalIdentity(issuer=issuer, subject=subject), roles=["reader"])
        return um.acting_as_identity(issuer, subject)

with rolekeep.open(roles={"reader": ["document:read"]}, permissions=["document:edit"]) as um:
    me = caller(um, "https://login.example.org", "auth0|5f7c8ec7")
    print(me.can("document:read"), me.can("document:edit"))
    again = caller(um, "https://login.example.org", "auth0|5f7c8ec7")
    print(again.users.me().id == me.users.me().id)
