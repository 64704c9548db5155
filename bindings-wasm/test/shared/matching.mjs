// Whether an answer is what a scenario expects (tests/conformance/README.md).

/** Throws, saying where, if it is not. */
export function matches(wanted, given, at = "answer") {
  const differs = () => {
    throw new Error(`${at}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(given)}`);
  };
  if (wanted === null || typeof wanted !== "object") {
    if (wanted !== given && !sameTime(wanted, given)) differs();
  } else if (Array.isArray(wanted)) {
    if (!Array.isArray(given) || given.length !== wanted.length) differs();
    wanted.forEach((item, index) => matches(item, given[index], `${at}.${index}`));
  } else {
    const [[matcher, value] = []] = Object.entries(wanted);
    if (matcher?.startsWith("$")) {
      if (!fits(matcher, value, given)) differs();
    } else {
      if (given === null || typeof given !== "object" || Array.isArray(given)) differs();
      for (const [key, value] of Object.entries(wanted)) {
        if (!Object.hasOwn(given, key)) throw new Error(`${at}: there is no ${key} in ${JSON.stringify(given)}`);
        matches(value, given[key], `${at}.${key}`);
      }
    }
  }
}

function fits(matcher, wanted, given) {
  const isSo = (wanted, given) => {
    try {
      matches(wanted, given);
      return true;
    } catch {
      return false;
    }
  };
  const arranged = ([first, ...rest], given) =>
    first === undefined
      ? given.length === 0
      : given.some((item, at) => isSo(first, item) && arranged(rest, given.toSpliced?.(at, 1) ?? given.filter((_, other) => other !== at)));
  switch (matcher) {
    case "$any":
      return given !== null && given !== undefined;
    case "$contains":
      return typeof given === "string" && given.includes(wanted);
    case "$length":
      return Array.isArray(given) && given.length === wanted;
    case "$unordered":
      return Array.isArray(given) && arranged(wanted, given);
    case "$includes":
      return Array.isArray(given) && wanted.every((wanted) => given.some((item) => isSo(wanted, item)));
    case "$not":
      return !isSo(wanted, given);
    default:
      throw new Error(`there is no matcher ${matcher}`);
  }
}

function sameTime(wanted, given) {
  const time = /^\d{4}-\d\d-\d\dT/;
  return typeof wanted === "string" && typeof given === "string" && time.test(wanted) && time.test(given) && Date.parse(wanted) === Date.parse(given);
}
