import * as rolekeep from "rolekeep";

const um = await rolekeep.open({ roles: { editor: ["document:edit"] }, permissions: ["document:delete"] });
const ada = await um.system.users.create({ email: "ada@example.org", roles: ["editor"] });
const me = await um.actingAs(ada.id);
console.log(me.can("document:edit"), me.can("document:delete"));
console.log(me.explain("document:delete").text);
