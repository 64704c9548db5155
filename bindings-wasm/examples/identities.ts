import * as rolekeep from "rolekeep";
import { type Caller, DuplicateError, type ExternalIdentity, NotFoundError } from "rolekeep";

const um = await rolekeep.open({ roles: { reader: ["document:read"] }, permissions: ["document:edit"] });

async function caller(identity: ExternalIdentity): Promise<Caller> {
  try {
    return await um.actingAsIdentity(identity);
  } catch (problem) {
    if (!(problem instanceof NotFoundError)) throw problem;
  }
  try {
    await um.system.users.create({ identity, roles: ["reader"] });
  } catch (problem) {
    if (!(problem instanceof DuplicateError)) throw problem; // Of two at once one is a duplicate, and both are found.
  }
  return um.actingAsIdentity(identity);
}

const me = await caller({ issuer: "https://login.example.org", subject: "auth0|5f7c8ec7" });
console.log(me.can("document:read"), me.can("document:edit"));
const again = await caller({ issuer: "https://login.example.org", subject: "auth0|5f7c8ec7" });
console.log((await again.users.me()).id === (await me.users.me()).id);
