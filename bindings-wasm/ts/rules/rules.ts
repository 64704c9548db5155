import { Asker, attributes, type Question, type Resource, type ResourceOf, safely } from "../ask.js";
import { toJson } from "../codec.js";
import type { Json, PrincipalData, RulesConfig } from "../generated/types.js";
import { text } from "../raise.js";
import type { PrincipalFfi, RulesFfi } from "../rolekeep_rules.js";
import type * as browser from "../rolekeep_rules.js";
import { type Platform, Wasm, type WasmSources } from "../wasm.js";

/** The policy: a preset, a file's text, or roles and what they allow. */
export interface CompileOptions extends RulesConfig, WasmSources {}

/** The values that conditions read as `context.NAME`. */
export interface Context {
  readonly [name: string]: Json | Date;
}

/** @internal */
export type RulesFunctions = Pick<typeof browser, "compileRules" | "packedAt" | "onFault">;

const wasm = new Wasm<RulesFunctions>();

/** @internal */
export async function compileOn(platform: Platform<RulesFunctions>, options: CompileOptions): Promise<Rules> {
  const { wasm: source, deferredWasm, ...config } = options ?? {};
  const json = toJson(config, "RulesConfig");
  const functions = await wasm.load(platform, { wasm: source, deferredWasm });
  return wasm.asking(() => new Rules(functions.compileRules(json)));
}

/**
 * A policy that decides for a host with users of its own: no store, no accounts, and, once it is compiled, nothing that
 * has to be awaited. Made by `compile`.
 */
export class Rules {
  readonly #native: RulesFfi;
  /** The numbers by which the wasm knows permissions that were asked for. */
  readonly #numbers = new Map<string, number>();

  /** @internal */
  constructor(native: RulesFfi) {
    this.#native = native;
  }

  /**
   * A principal, validated against the policy. Keep it for as long as its description stays the same.
   *
   * Throws a `ValidationError` with every wrong field: roles and kinds of scope that the policy does not have, attributes
   * that it does not declare or that are of another type, and those that its conditions read and that are missing.
   */
  principal(data: PrincipalData): Principal {
    return safely(() => new Principal(this.#native.principal(toJson(data, "PrincipalData")), this.#native, this.#numbers));
  }

  /**
   * Loads the part of the package that a page otherwise loads when it is first needed: `explain` and `filter`, which
   * cannot wait and throw an `UnavailableError` with the reason `deferred_not_loaded` until it is loaded, and TOML,
   * for which `compile` waits. In Node everything is there from the start.
   */
  async preload(): Promise<void> {
    await wasm.preload();
  }

  /** The principal of somebody who is not signed in. It holds the policy's `anonymous` role, if there is one. */
  anonymous(): Principal {
    return new Principal(this.#native.anonymous(), this.#native, this.#numbers);
  }
}

/** A principal and the rules that decide about it, with the questions of a `Caller`. Made by `Rules.principal`. */
export class Principal extends Asker {
  readonly #native: PrincipalFfi;
  readonly #rules: RulesFfi;
  readonly #numbers: Map<string, number>;

  /** @internal */
  constructor(native: PrincipalFfi, rules: RulesFfi, numbers: Map<string, number>) {
    super();
    this.#native = native;
    this.#rules = rules;
    this.#numbers = numbers;
  }

  /** @internal */
  protected ask(question: string, input: string): string {
    return this.#native.ask(question, input);
  }

  /**
   * Whether the principal may do this, to a resource or to all there could be. A permission may name fields,
   * `document:edit{title,body}`: each must be allowed.
   *
   * Throws a `ValidationError` for an unknown permission, and for a resource or context that lacks what the policy reads.
   */
  can<R extends ResourceOf<R>>(permission: string, ...on: [] | [resource: R]): boolean;
  can(permission: string, resource?: Resource): boolean {
    const number = this.#numbers.get(permission);
    if (number !== undefined) {
      const answer = resource === undefined ? this.#rules.canByNumber(this.#native, number) : this.#canPacked(number, resource);
      if (answer < 2) return answer === 1;
    }
    return safely(() => {
      const isAllowed = this.#native.can(text(permission, "permission"), attributes(resource));
      this.learn(permission);
      return isAllowed;
    });
  }

  #canPacked(number: number, resource: Resource): number {
    const length = wasm.packer.resource(resource);
    return length === 0 ? 2 : this.#rules.canPacked(this.#native, number, length);
  }

  /** @internal */
  protected askPacked(checks: readonly Question[]): boolean[] | undefined {
    const length = wasm.packer.checks(checks, this.#numbers);
    return length !== 0 && this.#rules.canManyPacked(this.#native, length) ? wasm.packer.answers(checks.length) : undefined;
  }

  // Those that the policy declares, and each once: no more than there are.
  /** @internal */
  protected learn(permission: string): void {
    if (this.#numbers.has(permission) || permission.endsWith("}")) return;
    const number = this.#rules.numberOf(permission);
    if (number !== undefined) this.#numbers.set(permission, number);
  }

  /**
   * The same principal with these values, which conditions read as `context.NAME`; values that are not given stay as
   * they are.
   */
  withContext(values: Context): Principal {
    return safely(() => new Principal(this.#native.withContext(toJson(values, "")), this.#rules, this.#numbers));
  }
}
