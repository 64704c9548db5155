import { compile } from "rolekeep/rules";

const policyToml = await (await fetch("/docs/examples/documents.toml")).text();
const rules = await compile({ policyToml });
const ada = rules.principal({ id: "ada", roles: ["author"], attributes: { department: "maps" } });
const document = { type: "document", owner: "bob", department: "maps" };
console.log(ada.can("document:edit", { ...document, owner: "ada" }), ada.can("document:edit", document));
console.log(ada.explain("document:edit", document).text);
