// An authenticator of the tests, and the browser before it (Web Authentication, Level 3).
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const USER_PRESENT = 1;
const USER_VERIFIED = 4;
const HAS_CREDENTIAL = 64;

/** An algorithm's number at IANA, how its keys are made, and with which digest they sign. */
const ALGORITHMS = {
  ES256: { number: -7, make: () => generateKeyPairSync("ec", { namedCurve: "P-256" }), digest: "sha256" },
  EdDSA: { number: -8, make: () => generateKeyPairSync("ed25519"), digest: null },
  RS256: { number: -257, make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }), digest: "sha256" },
};

const base64 = (bytes) => Buffer.from(bytes).toString("base64url");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

/** The head of an item of CBOR: its major type, and a number of at most two bytes. */
function head(major, number) {
  if (number < 24) return Buffer.from([(major << 5) | number]);
  return number < 256 ? Buffer.from([(major << 5) | 24, number]) : Buffer.from([(major << 5) | 25, number >> 8, number & 255]);
}

/** CBOR of numbers, texts, bytes and Maps. */
function cbor(value) {
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, value.length), Buffer.from(value)]);
  if (value instanceof Map) return Buffer.concat([head(5, value.size), ...[...value].flat().map(cbor)]);
  return Buffer.concat([head(2, value.length), value]);
}

/** A public key as COSE writes it. */
function cose(algorithm, publicKey) {
  const jwk = publicKey.export({ format: "jwk" });
  const bytes = (name) => Buffer.from(jwk[name], "base64url");
  const members = {
    ES256: () => [[1, 2], [3, -7], [-1, 1], [-2, bytes("x")], [-3, bytes("y")]],
    EdDSA: () => [[1, 1], [3, -8], [-1, 6], [-2, bytes("x")]],
    RS256: () => [[1, 3], [3, -257], [-1, bytes("n")], [-2, bytes("e")]],
  };
  return cbor(new Map(members[algorithm]()));
}

/** It holds one passkey, which is made by `create`. */
export class Authenticator {
  id = randomBytes(32);
  counter = 0;

  constructor(algorithm = "ES256") {
    this.algorithm = algorithm;
    Object.assign(this, ALGORITHMS[algorithm].make());
  }

  /** What `navigator.credentials.create()` answers, as text. `more` may have `verified` and `counter`. */
  create(options, more = {}) {
    const { rp, user, challenge, pubKeyCredParams } = JSON.parse(options);
    if (!pubKeyCredParams.some(({ alg }) => alg === ALGORITHMS[this.algorithm].number)) throw new Error(`${this.algorithm} is not asked for`);
    this.handle = user.id;
    const length = Buffer.from([this.id.length >> 8, this.id.length & 255]);
    const credential = [Buffer.alloc(16), length, this.id, cose(this.algorithm, this.publicKey)];
    const data = Buffer.concat([this.#data(rp.id, HAS_CREDENTIAL, more), ...credential]);
    const object = cbor(new Map([["fmt", "none"], ["attStmt", new Map()], ["authData", data]]));
    const client = this.#clientData("webauthn.create", rp.id, challenge);
    return this.#answer({ clientDataJSON: base64(client), attestationObject: base64(object), transports: ["internal"] });
  }

  /** What `navigator.credentials.get()` answers, as text. */
  get(options, more = {}) {
    const { rpId, challenge, allowCredentials } = JSON.parse(options);
    const isNamed = allowCredentials.length > 0;
    if (isNamed && !allowCredentials.some(({ id }) => id === base64(this.id))) throw new Error("it is not asked for");
    const data = this.#data(rpId, 0, more);
    const client = this.#clientData("webauthn.get", rpId, challenge);
    const signature = sign(ALGORITHMS[this.algorithm].digest, Buffer.concat([data, sha256(client)]), this.privateKey);
    return this.#answer({
      clientDataJSON: base64(client), authenticatorData: base64(data), signature: base64(signature), userHandle: isNamed ? null : this.handle,
    });
  }

  #data(domain, flags, { verified = true, counter }) {
    this.counter = counter ?? this.counter + 1;
    const data = Buffer.alloc(37);
    sha256(domain).copy(data);
    data[32] = flags | USER_PRESENT | (verified ? USER_VERIFIED : 0);
    data.writeUInt32BE(this.counter, 33);
    return data;
  }

  #clientData(type, domain, challenge) {
    return JSON.stringify({ type, challenge, origin: `https://${domain}`, crossOrigin: false });
  }

  #answer(response) {
    const id = base64(this.id);
    return JSON.stringify({ id, rawId: id, type: "public-key", response, authenticatorAttachment: "platform", clientExtensionResults: {} });
  }
}
