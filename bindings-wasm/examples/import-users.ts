import { createReadStream } from "node:fs";

import * as rolekeep from "rolekeep";

const um = await rolekeep.open({ preset: "standard" });
const done = await rolekeep.importUsers(um.system, createReadStream("docs/examples/users.csv"), {
  source: "old-shop",
  format: "csv",
  onProgress: (progress) => console.log(progress.import.counts.read, "records read"),
});
console.log(done.status, done.counts.created, done.counts.failed);
for await (const { number, code, errors } of um.system.imports.failuresAll({ id: done.id })) {
  console.log(number, code, errors.map(({ field }) => field));
}
