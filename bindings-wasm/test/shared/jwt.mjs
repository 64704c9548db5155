// Tokens of another issuer, by a key that it shares: HS256 by the host's own WebCrypto.
const TIMES = ["iat", "nbf", "exp", "auth_time"];
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A token of these claims, whose times are in seconds from now. */
export async function token(claims, secret) {
  const text = new TextEncoder();
  const now = Math.floor(Date.now() / 1000);
  const all = Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, TIMES.includes(name) ? now + value : value]));
  const parts = [{ alg: "HS256", typ: "JWT" }, all].map((part) => base64url(text.encode(JSON.stringify(part))));
  const signed = parts.join(".");
  const key = await crypto.subtle.importKey("raw", text.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `${signed}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(signed))))}`;
}
