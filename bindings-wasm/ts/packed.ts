import type { Question } from "./ask.js";
import { isPlain } from "./codec.js";

/** As many bytes as the wasm keeps for it. */
const BYTES = 16 * 1024;
/** More questions than these at once take longer than their JSON. */
const MAX_CHECKS = 1_000;
/** What JSON may have in bytes; it has at most `BYTE` for each of ours, and `BESIDE` for each question. */
const MAX_JSON = 1024 * 1024;
const BYTE = 6;
const BESIDE = 64;

const encoder = new TextEncoder();
const LONE = /\p{Surrogate}/u;

/**
 * Writes resources into the wasm's memory, in the form of the core's `ffi/packed.rs`: as JSON they would cost many times
 * what the answer does. What is not plain, is too large, or is answered by an error is asked as JSON after all, which
 * alone says what is wrong; so everything here means what `toJson` makes of it.
 *
 * @internal
 */
export class Packer {
  #memory!: WebAssembly.Memory;
  #place = 0;
  #bytes = new Uint8Array();
  #view = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** A getter of a resource may itself ask something, which writes to the same place. */
  #turn = 0;

  /** To be called when the wasm is loaded. */
  attach(memory: WebAssembly.Memory, place: number): void {
    this.#memory = memory;
    this.#place = place;
  }

  /** Writes a resource and gives its length, which never is 0; 0 where it is to be asked as JSON. */
  resource(resource: unknown): number {
    try {
      const turn = this.#begin();
      return this.#resource(resource) && this.#isWritten(turn) ? this.#at : 0;
    } catch {
      // What a getter throws, it will throw again.
      return 0;
    }
  }

  /** The same for checks; one resource that stands there several times is written once. */
  checks(checks: readonly Question[], numbers: ReadonlyMap<string, number>): number {
    try {
      const turn = this.#begin();
      return this.#checks(checks, numbers) && this.#isWritten(turn) ? this.#at : 0;
    } catch {
      return 0;
    }
  }

  #checks(checks: readonly Question[], numbers: ReadonlyMap<string, number>): boolean {
    const count = checks.length;
    if (!Array.isArray(checks) || count > MAX_CHECKS) return false;
    const resources: unknown[] = [];
    let [letters, longest] = [0, 0];
    this.#view.setUint16(0, count, true);
    for (let at = 0; at < count; at++) {
      const check = checks[at] as Question;
      const isAlone = typeof check === "string";
      if (!isAlone && !(Array.isArray(check) && check.length === 2)) return false;
      const permission = isAlone ? check : check[0];
      const number = numbers.get(permission);
      if (number === undefined) return false;
      let place = 0;
      if (!isAlone) {
        // The last is the likeliest.
        place = resources.lastIndexOf(check[1]) + 1;
        if (place === 0) place = resources.push(check[1]);
      }
      this.#view.setUint32(2 + 6 * at, number, true);
      this.#view.setUint16(6 + 6 * at, place, true);
      letters += permission.length;
    }
    this.#at = 2 + 6 * count;
    for (const resource of resources) {
      const start = this.#at;
      this.#at += 2;
      if (!this.#resource(resource)) return false;
      const length = this.#at - start - 2;
      this.#view.setUint16(start, length, true);
      longest = Math.max(longest, length);
    }
    return BYTE * letters + count * (BYTE * longest + BESIDE) <= MAX_JSON;
  }

  /** What the wasm answered to so many checks. */
  answers(count: number): boolean[] {
    this.#begin();
    const answers: boolean[] = [];
    for (let at = 0; at < count; at++) answers.push(this.#bytes[at] === 1);
    return answers;
  }

  #begin(): number {
    // Memory that has grown is another buffer.
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(this.#memory.buffer, this.#place, BYTES);
      this.#view = new DataView(this.#memory.buffer, this.#place, BYTES);
    }
    this.#at = 0;
    return ++this.#turn;
  }

  #isWritten(turn: number): boolean {
    return turn === this.#turn && this.#bytes.length > 0;
  }

  #resource(resource: unknown): boolean {
    if (typeof resource !== "object" || resource === null || "toJSON" in resource || !isPlain(resource)) return false;
    const given = resource as { readonly [name: string]: unknown };
    const names = Object.keys(given);
    const type = names.includes("type") ? given["type"] : undefined;
    if (typeof type !== "string" || !this.#text(type)) return false;
    for (const name of names) {
      if (name === "type") continue;
      const value = given[name];
      if (value !== undefined && !(this.#text(name) && this.#value(value))) return false;
    }
    return true;
  }

  #value(value: unknown): boolean {
    if (!Array.isArray(value)) return this.#scalar(value);
    const start = this.#at;
    this.#at += 3;
    if (this.#at > BYTES || Object.getPrototypeOf(value) !== Array.prototype) return false;
    const count = value.length;
    this.#bytes[start] = 5;
    for (let at = 0; at < count; at++) if (!this.#scalar(value[at])) return false;
    this.#view.setUint16(start + 1, count, true);
    return true;
  }

  #scalar(value: unknown): boolean {
    if (this.#at + 9 > BYTES) return false;
    if (typeof value === "string") {
      this.#bytes[this.#at++] = 4;
      return this.#text(value);
    }
    if (typeof value === "number") {
      if (!Number.isSafeInteger(value)) return false;
      this.#bytes[this.#at] = 3;
      this.#view.setInt32(this.#at + 1, value, true);
      this.#view.setInt32(this.#at + 5, Math.floor(value / 2 ** 32), true);
      this.#at += 9;
      return true;
    }
    if (value === null || value === true || value === false) {
      this.#bytes[this.#at++] = value === null ? 0 : value ? 2 : 1;
      return true;
    }
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) return false;
    const written: unknown = value.toISOString();
    this.#bytes[this.#at++] = 4;
    return typeof written === "string" && this.#text(written);
  }

  #text(text: string): boolean {
    const [bytes, length, start] = [this.#bytes, text.length, this.#at + 2];
    if (start + length > BYTES) return false;
    let at = start;
    for (; at < start + length; at++) {
      const letter = text.charCodeAt(at - start);
      if (letter > 127) return this.#wide(text);
      bytes[at] = letter;
    }
    return this.#end(length);
  }

  #wide(text: string): boolean {
    const { read, written } = encoder.encodeInto(text, this.#bytes.subarray(this.#at + 2));
    return read === text.length && !LONE.test(text) && this.#end(written);
  }

  #end(length: number): boolean {
    this.#bytes[this.#at] = length;
    this.#bytes[this.#at + 1] = length >> 8;
    this.#at += 2 + length;
    return true;
  }
}
