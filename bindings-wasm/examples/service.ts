// A service on `node:http`, without a framework: `guarded` says who may, assertion functions say what may be done to what.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import * as rolekeep from "rolekeep";
import { assertCan, NotFoundError, type OpenOptions, type Permitted, type Resource, type UserManagement } from "rolekeep";
import { anonymousOf, answerError, callerOf, guarded } from "rolekeep/node";

const policyToml = `
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
`;

/** A document of this service. */
export interface Document extends Resource {
  readonly type: "document";
  readonly owner_id: string;
  is_published: boolean;
}

const documents = new Map<number, Document>();

function find(request: IncomingMessage): Document {
  const document = documents.get(Number(/\d+/.exec(request.url ?? "")?.[0]));
  if (document) return document;
  throw new NotFoundError({ code: "RESOURCE_NOT_FOUND", reason: "not_found", message: "no such document", httpStatus: 404 });
}

/** Cannot be called with a document that nobody asked about: that does not compile. */
function publish(document: Document & Permitted<"document:edit">): void {
  document.is_published = true;
}

function json(response: ServerResponse, answer: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(answer));
}

async function body(request: IncomingMessage): Promise<{ identifier: string; password: string; deviceToken?: string }> {
  let text = "";
  for await (const part of request) text += part;
  return JSON.parse(text);
}

/** The server, not listening yet, and its store. */
export async function service(options: OpenOptions = {}): Promise<{ server: Server; um: UserManagement; documents: Map<number, Document> }> {
  const um = await rolekeep.open({ policyToml, ...options });
  type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  const routes: { readonly [route: string]: Handler } = {
    "POST /login": async (request, response) => {
      try {
        const { identifier, password, deviceToken } = await body(request);
        json(response, await anonymousOf(um, request).sessions.login({ identifier, password, deviceToken }));
      } catch (problem) {
        answerError(response, problem);
      }
    },
    "GET /greeting": async (request, response) => {
      try {
        const me = await callerOf(um, request);
        json(response, me.isSignedIn ? `Hello ${(await me.users.me()).email}` : "Hello");
      } catch (problem) {
        answerError(response, problem);
      }
    },
    "GET /documents": guarded(um, "document:list", (me, _, response: ServerResponse) => {
      const readable = me.canMany([...documents.values()].map((document) => ["document:read", document]));
      json(response, [...documents.keys()].filter((_, at) => readable[at]));
    }),
    "GET /documents/N": guarded(um, { permission: "document:read", resource: find }, (_, request: IncomingMessage, response: ServerResponse) => {
      json(response, find(request));
    }),
    "PUT /documents/N": guarded(um, {}, (me, request: IncomingMessage, response: ServerResponse) => {
      const document = find(request);
      assertCan(me, "document:edit", document);
      publish(document);
      json(response, document);
    }),
    "DELETE /documents/N": guarded(um, "document:delete", (_, request: IncomingMessage, response: ServerResponse) => {
      find(request);
      json(response, documents.delete(Number(/\d+/.exec(request.url ?? "")?.[0])));
    }),
    "GET /desk": guarded(um, { role: "librarian" }, (_, _request, response: ServerResponse) => json(response, "welcome")),
    "GET /users": guarded(um, { admin: true }, async (me, _, response: ServerResponse) => json(response, await me.users.list())),
    "GET /fault": guarded(um, {}, () => {
      throw new Error("the password of the database is 1234");
    }),
  };
  const server = createServer((request, response) => {
    const route = routes[`${request.method} ${(request.url ?? "").replace(/\d+$/, "N")}`];
    if (route) void route(request, response);
    else response.writeHead(404).end();
  });
  return { server, um, documents };
}
