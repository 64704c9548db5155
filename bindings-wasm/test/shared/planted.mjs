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
    // What callers give beside them, which is no secret: a password may be somebody's name.
    this.open = new Set();
    this.shown = [];
  }

  /** Settings, or an input. */
  given(value, isSecret = false, isAnswer = false) {
    if (typeof value === "string" && value.length >= SHORTEST) {
      const isToken = value.startsWith("eyJ") && value.includes(".");
      if (isSecret || isToken) this.secrets.add(value);
      else if (isAnswer) this.shown.push(value);
      else this.open.add(value);
    } else if (Array.isArray(value)) {
      for (const item of value) this.given(item, isSecret, isAnswer);
    } else if (value !== null && typeof value === "object") {
      // What a notice tells has its secrets in it.
      const looked = Object.entries(value).filter(([name]) => !isAnswer || !OF_OTHERS.includes(name));
      for (const [name, item] of looked) this.given(item, this.names.has(name), isAnswer);
    }
  }

  /** An answer as JSON: what is in it beside its secrets is shown. */
  answered(value) {
    this.given(value, false, true);
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
