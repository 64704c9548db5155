// What a scenario's secrets are, and what was shown while it was played (SEC-13): of the one nothing may be in the other.

/** Names that other things have as well, errors and explanations: codes are short, and what a text tells is told beside it. */
const OF_OTHERS = ["code", "text"];
/** Shorter ones are words that stand elsewhere as well. */
const SHORTEST = 12;

/** Is told of inputs and answers, and of all that anybody may print. `declared`: the fields that hold secrets, by record. */
export class Watch {
  constructor(declared) {
    this.names = new Set(Object.values(declared).flat().filter((name) => !OF_OTHERS.includes(name)));
    this.secrets = new Set();
    // What stands beside them is no secret: a password that is somebody's name is told as that.
    this.open = new Set();
    this.shown = [];
  }

  /** An input, or an answer as JSON. */
  exchanged(value, isSecret = false) {
    if (typeof value === "string" && value.length >= SHORTEST) {
      const isToken = value.startsWith("eyJ") && value.includes(".");
      (isSecret || isToken ? this.secrets : this.open).add(value);
    } else if (Array.isArray(value)) {
      for (const item of value) this.exchanged(item, isSecret);
    } else if (value !== null && typeof value === "object") {
      for (const [name, item] of Object.entries(value)) this.exchanged(item, this.names.has(name));
    }
  }

  printed(text) {
    this.shown.push(text);
  }

  /** The first secret that was shown, and where. */
  leak() {
    const everything = this.shown.join("\n");
    for (const secret of this.secrets) {
      const at = this.open.has(secret) ? -1 : everything.indexOf(secret);
      if (at >= 0) return `${JSON.stringify(secret)} is shown: …${everything.slice(Math.max(0, at - 80), at + 160)}…`;
    }
    return undefined;
  }
}
