import { lookup, type LookupAddress, type LookupOptions } from "node:dns";
import { get } from "node:https";
import { isIP } from "node:net";

type Found = (problem: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/**
 * Fetches a text over HTTPS, without following redirects, from a server at an address that is allowed. Rejects with the
 * status of another answer than 200, or with a word. @internal
 */
export async function fetchText(
  url: string,
  certificates: string | undefined,
  isAllowed: (address: string) => boolean,
  maxBytes: number,
  timeoutMillis: number,
): Promise<string> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  // A host that is an address is not looked up.
  if (isIP(host) !== 0 && !isAllowed(host)) throw "not_public";
  const signal = AbortSignal.timeout(timeoutMillis);
  // A name may be found when nobody waits any more, and what `isAllowed` is of is gone; whatever is thrown here nobody catches.
  const isAllowedStill = (address: string): boolean => {
    try {
      return !signal.aborted && isAllowed(address);
    } catch {
      return false;
    }
  };
  // What is connected to is one of these, so that a name cannot mean another address a moment later.
  const lookUp = (name: string, options: LookupOptions, found: Found): void =>
    lookup(name, { ...options, all: true }, (problem, all) => {
      if (problem) return found(problem, []);
      const allowed = all.filter(({ address }) => isAllowedStill(address));
      const [first] = allowed;
      if (first === undefined) return found(Object.assign(new Error("not public"), { code: NOT_PUBLIC }), []);
      return options.all ? found(null, allowed) : found(null, first.address, first.family);
    });
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      const headers = { accept: "application/jwk-set+json, application/json", "user-agent": "rolekeep" };
      const request = get(url, { agent: false, ca: certificates, headers, lookup: lookUp, signal }, (answer) => {
        const parts: Buffer[] = [];
        let length = 0;
        const fail = (problem: unknown): void => {
          reject(problem);
          request.destroy();
        };
        answer.on("error", reject);
        if (answer.statusCode !== 200) return fail(answer.statusCode);
        answer.on("data", (part: Buffer) => {
          length += part.length;
          if (length > maxBytes) return fail("too_large");
          parts.push(part);
        });
        answer.on("end", () => resolve(Buffer.concat(parts)));
        return undefined;
      });
      request.on("error", reject);
    });
    return textOf(bytes);
  } catch (problem) {
    throw signal.aborted ? "timed_out" : reasonOf(problem);
  }
}

const NOT_PUBLIC = "ROLEKEEP_NOT_PUBLIC";

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw "not_text";
  }
}

function reasonOf(problem: unknown): string | number {
  if (typeof problem === "string" || typeof problem === "number") return problem;
  const code = String((problem as NodeJS.ErrnoException | null)?.code);
  if (code === NOT_PUBLIC) return "not_public";
  return /CERT|TLS|SSL|VERIFY/.test(code) ? "certificate" : "unreachable";
}
