#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { RolekeepError } from "./errors.js";
import { checkPolicy, type Language, permissionNames, policyText, type PolicySource } from "./tools.js";

const USAGE = `usage: rolekeep check POLICY
       rolekeep permissions POLICY --typescript | --python | --kotlin | --swift | --rust

check says what is wrong with a policy; permissions writes its permissions and roles as source text.
POLICY is a file (.toml or .json), or preset:standard, preset:flyos.
`;
const LANGUAGES = ["typescript", "python", "kotlin", "swift", "rust"] as const;

process.exitCode = await run();

async function run(): Promise<number> {
  const given = read();
  if (given === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { policy, language } = given;
  try {
    const source = await open(policy);
    const colored = process.stderr.isTTY === true && process.env["NO_COLOR"] === undefined;
    await checkPolicy(source, { file: policy, colored });
    if (language !== undefined) process.stdout.write(await permissionNames(source, language));
    return 0;
  } catch (problem) {
    const { message } = problem as Error;
    process.stderr.write(problem instanceof RolekeepError ? `${message}\n` : `${policy}: ${message}\n`);
    return 1;
  }
}

function read(): { policy: string; language?: Language } | undefined {
  const flags = Object.fromEntries(LANGUAGES.map((name) => [name, { type: "boolean" as const }]));
  let parsed;
  try {
    parsed = parseArgs({ options: flags, allowPositionals: true });
  } catch {
    return undefined;
  }
  const [command, policy, ...more] = parsed.positionals;
  const languages = LANGUAGES.filter((name) => parsed.values[name] === true);
  if (policy === undefined || more.length > 0) return undefined;
  if (command === "check" && languages.length === 0) return { policy };
  const [language] = languages;
  return command === "permissions" && language !== undefined && languages.length === 1 ? { policy, language } : undefined;
}

async function open(policy: string): Promise<PolicySource> {
  if (policy.startsWith("preset:")) return { preset: policy.slice("preset:".length) };
  const text = await policyText(await readFile(policy));
  return policy.endsWith(".json") ? { json: text } : { toml: text };
}
