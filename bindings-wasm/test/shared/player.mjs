// Plays conformance scenarios through the package's own face, in Node and in a browser alike.
import { matches } from "./matching.mjs";
import { token } from "./jwt.mjs";
import { Watch } from "./planted.mjs";
import { code } from "./totp.mjs";

const CHEAP = { hashing_memory_kib: 7168, hashing_iterations: 5, hashing_max_millis: 0 };
const toCamel = (name) => name.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const toSnake = (name) => name.replace(/([a-z0-9])([A-Z])/g, (_, before, letter) => `${before}_${letter.toLowerCase()}`);

/**
 * `world`: { open, place(): somewhere new, of which persister() gives the same each time and remove() gets rid;
 *   records, operations: the generated tables; seed: the FlyOS seed; outbox(): a new `Outbox`, where there are notifiers;
 *   authenticator(): a new one that holds a passkey, importUsers, where those are offered;
 *   secrets: which fields hold some, by record; inspect(value): what anybody sees who prints it;
 *   hear(listener): calls it with all that is logged until what it answers is called, where there is a log }
 */
export async function playAll(files, world) {
  const passed = [];
  const failed = [];
  const whole = files
    .flatMap(({ name, file }) => file.scenarios.map((scenario) => ({ full: `${name}: ${scenario.name}`, scenario: { ...scenario, store: scenario.store ?? file.store ?? {} } })))
    .filter(({ scenario }) => world.outbox || !scenario.store.notifier);
  const playOne = async ({ full, scenario }) => {
    try {
      await play(scenario, world);
      passed.push(full);
    } catch (problem) {
      failed.push({ name: full, why: String(problem?.message ?? problem) });
    }
  };
  const waits = ({ scenario }) => scenario.steps.some((step) => step.wait >= 1);
  // Those that wait do so together; the others come after them, so that nobody's work holds them up meanwhile.
  await Promise.all(whole.filter(waits).map(playOne));
  for (const one of whole.filter((one) => !waits(one))) await playOne(one);
  return { passed, failed };
}

async function play(scenario, world) {
  const place = world.place();
  const player = new Player(scenario, world, place);
  const stop = world.hear?.((record) => player.printed(record));
  try {
    await player.open();
    for (const [at, step] of scenario.steps.entries()) {
      await player.step(step).catch((problem) => {
        throw new Error(`step ${at + 1} (${JSON.stringify(step).slice(0, 120)}): ${problem.message}`);
      });
    }
    await player.close();
    const leak = player.watch.leak();
    if (leak) throw new Error(leak);
  } finally {
    stop?.();
    // Before its place goes: an open store looks there. What failed is told, not what that leads to.
    await player.close().catch(() => {});
    for (const { place } of player.stores()) await place.remove?.();
  }
}

class Player {
  constructor(scenario, world, place) {
    Object.assign(this, { scenario, world, place, callers: {}, saved: {}, passkeys: {}, isSeeded: false, here: "", others: {}, watch: new Watch(world.secrets), outbox: scenario.store.notifier ? world.outbox() : undefined });
  }

  stores() {
    return [{ um: this.um, place: this.place }, ...Object.values(this.others)];
  }

  async close() {
    for (const { um } of this.stores()) await um?.close();
  }

  async switch(name) {
    const { [name]: known, ...others } = this.others;
    this.others = { ...others, [this.here]: { um: this.um, place: this.place } };
    const callers = this.callers;
    this.here = name;
    this.place = known?.place ?? this.world.place();
    if (known) this.um = known.um;
    else await this.open();
    this.callers = callers;
  }

  async open() {
    this.watch.given(this.scenario.store.settings);
    const settings = this.settings(this.scenario.store.settings ?? {});
    this.um = await this.world.open({ ...settings, persister: this.place.persister(), ...(this.outbox && { notifier: this.outbox }) });
    // For explanations, which cannot wait for it.
    await this.um.preload();
    this.callers = {};
    if (this.scenario.store.seed === "flyos" && !this.isSeeded) {
      this.isSeeded = true;
      await this.um.system.call("setup.seed", JSON.stringify(seedWithPasswords(this.world.seed)));
    }
  }

  settings(settings) {
    return this.toFace({ ...CHEAP, ...settings }, "Config");
  }

  async step(written) {
    const step = await this.withCodes(written);
    let answer;
    try {
      answer = await this.act(step);
    } catch (problem) {
      if (problem?.code === undefined) throw problem;
      this.printed(problem);
      const error = this.errorFromFace(problem);
      if (step.error === undefined) throw new Error(`failed: ${JSON.stringify(error)}`);
      const wanted = Object.entries(this.filled(step.error));
      const anyOrder = wanted.map(([key, value]) => [key, Array.isArray(value) ? { $unordered: value } : value]);
      return void matches(Object.fromEntries(anyOrder), error);
    }
    this.watch.answered(answer);
    if (step.error !== undefined) throw new Error(`expected ${JSON.stringify(step.error)}, got ${JSON.stringify(answer)}`);
    for (const [name, path] of Object.entries(step.save ?? {})) {
      const part = path.split(".").filter(Boolean).reduce((part, key) => part?.[key], answer);
      if (part === undefined) throw new Error(`there is no ${path} to save in ${JSON.stringify(answer)}`);
      this.saved[name] = part;
    }
    if (step.expect !== undefined) matches(this.filled(step.expect), answer);
  }

  printed(value) {
    this.watch.printed(`${this.world.inspect(value)} ${String(value)}`);
  }

  async act(step) {
    const resource = this.filled(step.resource);
    if (step.together !== undefined) {
      const outcomes = await Promise.allSettled(step.together.map((step) => this.act(step)));
      return outcomes.map(({ value, reason }) => (reason ? { error: this.errorFromFace(reason) } : { answer: value ?? null }));
    }
    if (step.switch !== undefined) return this.switch(step.switch);
    if (step.reopen) return void (await this.um.close(), await this.open());
    if (step.import !== undefined) return this.import(this.caller(step), step);
    if (step.call !== undefined) return this.call(this.caller(step), step);
    if (step.login !== undefined) {
      const answer = await this.um.anonymous(request(step)).sessions.login(this.toFace(this.sent(step.login), "Login"));
      const tokens = answer.done();
      if (step.name) this.callers[step.name] = await this.um.authenticate(tokens.accessToken, request(step));
      return this.fromFace(tokens, "Tokens");
    }
    if (step.authenticate !== undefined) return void (this.callers[step.name] = await this.um.authenticate(this.filled(step.authenticate), request(step)));
    if (step.act_as !== undefined) return void (this.callers[step.name] = await this.um.actingAs(this.filled(step.act_as)));
    if (step.act_as_identity !== undefined) return void (this.callers[step.name] = await this.um.actingAsIdentity(this.filled(step.act_as_identity)));
    if (step.open !== undefined) return void (await (await this.world.open(this.settings(this.filled(step.open)))).close());
    if (step.mail !== undefined) return this.fromFace(await this.outbox.take(step.mail, this.filled(step.to)), "Notice");
    if (step.wait !== undefined) return new Promise((done) => setTimeout(done, step.wait * 1000));
    if (step.can !== undefined) return this.caller(step).can(step.can, resource);
    if (step.require !== undefined) return this.caller(step).require(step.require, resource) ?? null;
    if (step.explain !== undefined) return this.fromFace(this.caller(step).explain(step.explain, resource), "Explanation");
    if (step.can_somewhere !== undefined) return this.caller(step).canSomewhere(step.can_somewhere);
    if (step.can_many !== undefined) return this.caller(step).canMany(this.filled(step.can_many).map(({ permission, resource }) => (resource ? [permission, resource] : permission)));
    if (step.has_role !== undefined) return this.caller(step).hasRole(step.has_role, this.filled(step.scope));
    if (step.require_role !== undefined) return this.caller(step).requireRole(step.require_role, this.filled(step.scope)) ?? null;
    if (step.is_administrator !== undefined) return this.caller(step).isAdministrator();
    if (step.require_admin !== undefined) return this.caller(step).requireAdmin() ?? null;
    if (step.position !== undefined) return this.um.position;
    const circumstances = step.context || step.at_least ? { context: step.context, atLeast: this.filled(step.at_least) } : undefined;
    const about = [this.filled(step.user), step.check_cached ?? step.check ?? step.explain_user, resource, circumstances];
    if (step.check_cached !== undefined) return this.um.checkCached(...about);
    if (step.check !== undefined) return this.um.check(...about);
    if (step.explain_user !== undefined) return this.fromFace(await this.um.explain(...about), "Explanation");
    if (step.check_many !== undefined) {
      const checks = this.filled(step.check_many).map(({ user, ...check }) => ({ userId: user, ...check }));
      return this.um.checkMany(checks, circumstances);
    }
    throw new Error("the step says nothing to do");
  }

  async call(caller, step) {
    const input = this.sent(step.with ?? {});
    if (step.raw || step.text !== undefined) return JSON.parse(await caller.call(step.call, step.text ?? JSON.stringify(input)));
    const [area, method] = step.call.split(".").map(toCamel);
    const { takes, answers } = this.world.operations[step.call];
    return this.fromFace(await caller[area][method](this.toFace(input, takes)), answers) ?? null;
  }

  async import(caller, { import: begin, text, pieces, resume }) {
    const bytes = new TextEncoder().encode(text);
    const size = pieces ?? Math.max(bytes.length, 1);
    const data = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
    const options = { ...this.toFace(this.filled(begin), "BeginImport"), resume: this.filled(resume) };
    return this.fromFace(await this.world.importUsers(caller, data, options), "Import");
  }

  caller(step) {
    const who = step.as ?? "system";
    if (who === "system") return this.um.system.withRequest(request(step) ?? {});
    if (who === "anonymous") return this.um.anonymous(request(step));
    if (!this.callers[who]) throw new Error(`nobody is called ${who}`);
    return step.request ? this.callers[who].withRequest(request(step)) : this.callers[who];
  }

  /** What a scenario writes, with codes of authenticator apps and tokens of issuers filled in, for which one has to wait. */
  async withCodes(written) {
    if (Array.isArray(written)) return Promise.all(written.map((item) => this.withCodes(item)));
    if (written === null || typeof written !== "object") return written;
    if (written.$jwt) return token(this.filled(written.$jwt), written.secret);
    if (written.$totp) return code(this.filled(written.$totp), written.step);
    return Object.fromEntries(await Promise.all(Object.entries(written).map(async ([key, value]) => [key, await this.withCodes(value)])));
  }

  /** What an operation is given. */
  sent(written) {
    const input = this.filled(written);
    this.watch.given(input);
    return input;
  }

  /** What a scenario writes, with `$name`, `$repeat` and the like filled in. */
  filled(written) {
    if (typeof written === "string" && written.startsWith("$")) {
      if (!(written.slice(1) in this.saved)) throw new Error(`nothing is saved as ${written}`);
      return this.saved[written.slice(1)];
    }
    if (Array.isArray(written)) return written.map((item) => this.filled(item));
    if (written === null || typeof written !== "object") return written;
    if (written.$from_now !== undefined) return new Date(Date.now() + written.$from_now * 1000).toISOString();
    if (written.$join) return this.filled(written.$join).join("");
    if (written.$base64 !== undefined) return btoa(String.fromCharCode(...new TextEncoder().encode(this.filled(written.$base64))));
    if (written.$repeat) return written.$repeat[0].repeat(written.$repeat[1]);
    if (written.$passkey) return this.answered(written);
    return Object.fromEntries(Object.entries(written).map(([key, value]) => [key, this.filled(value)]));
  }

  /** What a browser answers whose authenticator makes or uses a passkey. */
  answered({ $passkey: name, create, get, ...more }) {
    if (create) return (this.passkeys[name] = this.world.authenticator()).create(this.filled(create), more);
    return this.passkeys[name].get(this.filled(get), more);
  }

  fieldsOf(record) {
    return new Map((this.world.records[record] ?? "").split(" ").map((text) => text.split(":")));
  }

  toFace(value, form = "") {
    if (form === "time" && typeof value === "string" && !Number.isNaN(Date.parse(value))) return new Date(value);
    if (Array.isArray(value)) return value.map((item) => this.toFace(item, form.replace(/\[\]$/, "")));
    if (!(form in this.world.records) || value === null || typeof value !== "object") return value;
    const fields = this.fieldsOf(form);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => (fields.has(key) ? [toCamel(key), this.toFace(item, fields.get(key))] : [key, item])),
    );
  }

  /** What the face answered, as JSON; before that as anybody sees it who prints it. */
  fromFace(value, form) {
    this.printed(value);
    return this.fromFields(value, form);
  }

  fromFields(value, form = "") {
    if (value instanceof Date) return value.toISOString();
    if (Array.isArray(value)) return value.map((item) => this.fromFields(item, form.replace(/\[\]$/, "")));
    if (value === null || typeof value !== "object") return value;
    if (form.endsWith("@")) {
      const page = Object.entries({ ...value, items: this.fromFields(value.items, `${form.slice(0, -1)}[]`) });
      return Object.fromEntries(page.map(([key, item]) => [toSnake(key), item]));
    }
    if (!(form in this.world.records)) return value;
    const fields = this.fieldsOf(form);
    const keys = Object.keys(value).map(toSnake);
    const strange = keys.filter((key) => !fields.has(key));
    if (strange.length) throw new Error(`the answer ${form} has ${strange}`);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [toSnake(key), this.fromFields(item, fields.get(toSnake(key)))]));
  }

  errorFromFace(error) {
    if (error?.code === undefined) throw error;
    const body = error.toJSON();
    const fields = body.fields.map((field) => ({ ...field, field: toSnake(field.field) }));
    return { ...body, fields, http_status: error.httpStatus, timestamp: body.timestamp?.toISOString() ?? null };
  }
}

function request(step) {
  if (!step.request) return undefined;
  const { ip, user_agent: userAgent, request_id: requestId, idempotency_key: idempotencyKey, forwarded_for: forwardedFor, context } = step.request;
  return { ip, userAgent, requestId, idempotencyKey, forwardedFor, context };
}

/** Each user with the password that the scenarios know. */
export function seedWithPasswords(seed) {
  const passwords = seed.users.map(({ email }) => [email, `correct horse battery ${email.split("@")[0]}`]);
  return { ...seed, passwords: Object.fromEntries(passwords) };
}

/** The operations, read from the generated code: `users.create` with what it takes and answers. */
export function operationsIn(areas) {
  const found = [...areas.matchAll(/\.#run\("([^"]+)", (?:\w+|\{\}), "([^"]*)", "([^"]*)"\)/g)];
  return Object.fromEntries(found.map(([, name, takes, answers]) => [name, { takes, answers }]));
}
