import { readFile } from "node:fs/promises";

/** A file or a variable, and what it says; or why it cannot be read. */
type Place = { readonly name: string; readonly text?: string; readonly problem?: string };

/** Where settings come from beside the program, as JSON; undefined: from nowhere. @internal */
export async function placesOf(fromEnv = false, configFile?: string): Promise<string | undefined> {
  if (!fromEnv && configFile === undefined) return undefined;
  const named = Object.entries(fromEnv ? process.env : {}).filter(([name]) => name.startsWith("ROLEKEEP_"));
  const variables = await Promise.all(named.map(([name, text = ""]) => (name.endsWith("_FILE") ? contents(name, text) : { name, text })));
  const file = configFile === undefined ? undefined : await contents(configFile, configFile);
  return JSON.stringify({ file, variables });
}

async function contents(name: string, path: string): Promise<Place> {
  try {
    return { name, text: await readFile(path, "utf8") };
  } catch (problem) {
    return { name, problem: `cannot be read: ${(problem as NodeJS.ErrnoException).code}` };
  }
}
