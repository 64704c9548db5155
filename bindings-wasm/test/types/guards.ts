import { assertCan, assertSignedIn, type Caller, type Permitted, type Resource } from "rolekeep";

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
