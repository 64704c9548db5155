import { open, type Resource } from "rolekeep";

const documents = new Map<string, Resource>(), um = await open({ presett: "flyos" });
const ada = await um.system.users.create({ email: "ada@example.org", fullNam: "Ada" });
await um.system.regions.update({ region: "east", name: null });
await um.system.users.list({ status: "retired" });
await um.system.users.get({});
ada.createdAt.toUpperCase();
ada.email = "x";
await um.system.users.vanish({ id: ada.id });
um.system.can("document:edit", { owner_id: ada.id });
um.system.filter("document:list", { dialect: "oracle", qualifier: "d" });
const texts: string[] = um.system.filter("document:list", { dialect: "sqlite", qualifier: "d", columns: { owner_id: "author" } }).parameters;
um.system.can("document:edit", documents.get(ada.id));
um.system.require("document:edit", documents.get(ada.id));
um.system.explain("document:edit", documents.get(ada.id));
um.system.canMany([["document:edit", documents.get(ada.id)]]);
um.system.canMany([["document:edit"]]);
um.system.canMany([["document:edit", { type: "document" }, 1]]);
