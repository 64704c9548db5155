import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { open } from "rolekeep";
import { filePersister } from "rolekeep/node";

import { afterRestart, mainJob } from "../shared/flyos.mjs";
import { folder, here, seed } from "./support.mjs";

test("FlyOS on files, restart included", async (t) => {
  const path = await folder(t);
  const persister = () => filePersister(join(path, "store"));
  await mainJob(open, persister, seed(), assert.deepEqual);
  await afterRestart(open, persister, seed(), assert.deepEqual);
  // And in another process.
  const program = `
    import { open } from "rolekeep"; import { filePersister } from "rolekeep/node";
    const um = await open({ preset: "flyos", persister: filePersister(${JSON.stringify(join(path, "store"))}) });
    console.log((await um.system.users.find({ username: "operator1" })).status);`;
  const out = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { cwd: here, encoding: "utf8" });
  assert.equal(out.trim(), "suspended");
});
