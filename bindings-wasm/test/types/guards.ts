import { assertCan, assertSignedIn, type Caller, type Permitted, type Resource, type UserManagement } from "rolekeep";
import { guarded } from "rolekeep/node";
import { compile, type Principal } from "rolekeep/rules";

interface Document extends Resource {
  readonly type: "document";
  readonly title: string;
}

function publish(document: Document & Permitted<"document:edit">): string {
  return document.title;
}

export function handle(me: Caller | undefined, document: Document): string {
  assertSignedIn(me);
  const isMine: boolean = me.can("document:read", document);
  assertCan(me, "document:edit", document);
  return isMine ? publish(document) : document.title;
}

/** What has been asked about once can be asked about again. */
export function again(me: Caller): string {
  const document = { type: "document", title: "x", owner_id: "7" } as const;
  assertCan(me, "document:read", document);
  assertCan(me, "document:edit", document);
  me.require("document:delete", document);
  const answers: boolean[] = [me.can("document:read", document), ...me.canMany(["document:list", ["document:read", document]])];
  return answers.every(Boolean) ? show(publish(document), document) : me.explain("document:read", document).text;
}

function show(title: string, document: Document & Permitted<"document:read">): string {
  return title + document.type;
}

/** A row that is no `Resource` by name, with rows within it. */
interface Row {
  readonly type: "row";
  readonly owner: Owner;
  readonly editors: readonly Owner[];
  readonly created_at: Date;
  note?: string | null;
}

interface Owner {
  readonly id: string;
}

interface Other {
  readonly type: "other";
  readonly title: string;
}

export async function rows(um: UserManagement, principal: Principal, row: Row, id: string): Promise<boolean> {
  const me: Caller = await um.actingAs(id);
  const answers: boolean[] = [me.can("row:read", row), principal.can("row:read", row), um.checkCached(id, "row:read", row), await um.check(id, "row:read", row, { context: {} })];
  const mixed: Other = { type: "other", title: "x" };
  answers.push(...me.canMany(["row:list", ["row:read", row], ["other:read", mixed], ["owner:read", { type: "owner", ...row.owner }]]), ...me.canMany([row, row].map((row) => ["row:read", row])), ...(await um.checkMany([{ userId: id, permission: "row:read", resource: row }, { userId: id, permission: "other:read", resource: mixed }, { userId: id, permission: "row:list" }])));
  me.require("row:read", row);
  guarded(um, { permission: "row:read", resource: async () => row }, () => {});
  console.log(me.explain("row:read", row).text, (await um.explain(id, "row:read", row)).text, compile);
  assertCan(me, "row:edit", row);
  return me.can("row:delete", row) && change(row) && answers.every(Boolean);
}

function change(row: Row & Permitted<"row:edit">): boolean {
  return row.note !== undefined;
}
