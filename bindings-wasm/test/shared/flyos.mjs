// The main job: FlyOS, exactly, in Node and in a browser alike.
import { seedWithPasswords } from "./player.mjs";

const PASSWORD = "correct horse battery ";
const ACCOUNTS = ["main", "east", "west", "operator1", "operator2"];
const FULL = { preset: "flyos", hashingMemoryKib: 7168, hashingIterations: 5 };

/** `open(options)` opens a store on the same place each time; `equal` compares deeply. */
export async function mainJob(open, persister, seed, equal) {
  const outcome = async (work) => {
    try {
      return await work;
    } catch (error) {
      return error.code;
    }
  };
  const drones = async (caller) => (await caller.drones.list()).items.map(({ code }) => code).sort().map((code) => code.slice(6));
  const enter = async (um, name, identifier = `${name}@flyos.mil`) => um.authenticate((await um.login(identifier, PASSWORD + name)).done().accessToken);

  const um = await open({ ...FULL, persister: persister() });
  const seeded = JSON.parse(await um.system.call("setup.seed", JSON.stringify(seedWithPasswords(seed))));
  equal(seeded, { regions_created: 2, users_created: 5, drones_created: 5 });
  const who = {};
  for (const name of ACCOUNTS) who[name] = await enter(um, name);

  const seen = {};
  for (const name of ACCOUNTS) {
    const users = await outcome(who[name].users.list().then(({ items }) => items.map(({ email }) => email.split("@")[0]).sort()));
    const regions = await outcome(who[name].regions.list().then(({ items }) => items.map(({ code }) => code).sort()));
    seen[name] = [users, regions, await outcome(drones(who[name]))];
  }
  equal(seen, {
    main: [["east", "main", "operator1", "operator2", "west"], ["east", "west"], ["001", "002", "003", "004", "005"]],
    east: [["east", "operator1"], ["east"], ["001", "003"]],
    west: [["operator2", "west"], ["west"], ["002", "004"]],
    operator1: ["FORBIDDEN", ["east"], ["001", "005"]],
    operator2: ["FORBIDDEN", ["west"], ["002"]],
  });
  const { items: regions } = await who.main.regions.list();
  equal(regions.map(({ userCount, droneCount }) => [userCount, droneCount]), [[2, 2], [2, 2]]);
  const me = await who.operator1.users.me();
  equal([me.username, me.createdAt instanceof Date, me.deletedAt], ["operator1", true, null]);
  const idOf = Object.fromEntries((await who.main.users.list()).items.map(({ email, id }) => [email.split("@")[0], id]));

  equal(
    {
      main: await outcome(who.main.users.suspend({ id: idOf.main })),
      region: await outcome(who.main.drones.assign({ drone: "drone-001", userId: idOf.operator2 })),
      east: await outcome(who.east.drones.create({ code: "drone-006", model: "FlyOS_MQ5", status: "STANDBY" })),
      west: await outcome(who.west.drones.get({ drone: "drone-001" })),
      operator2: await outcome(who.operator2.drones.get({ drone: "drone-003" })),
    },
    { main: "CONFLICT", region: "VALIDATION_ERROR", east: "FORBIDDEN", west: "RESOURCE_NOT_FOUND", operator2: "RESOURCE_NOT_FOUND" },
  );
  await um.preload();
  const why = who.east.explain("drone:create");
  equal([why.allowed, why.text.length > 0, who.east.can("drone:create"), who.main.can("drone:create")], [false, true, false, true]);

  await who.main.drones.reassign({ drone: "drone-005", userId: idOf.operator2 });
  equal([await drones(who.operator1), await drones(who.operator2)], [["001"], ["002", "005"]]);
  await who.main.users.suspend({ id: idOf.operator1 });
  equal([await outcome(who.operator1.users.me()), await outcome(enter(um, "operator1"))], ["UNAUTHORIZED", "UNAUTHORIZED"]);
  equal((await who.east.users.list()).items.map(({ username, status }) => [username, status]).sort(), [["east_commander", "active"], ["operator1", "suspended"]]);
  equal((await um.system.audit.verify()).isWhole, true);
  await um.close();
  return { idOf };
}

/** What must hold on the same place after a restart. */
export async function afterRestart(open, persister, seed, equal) {
  const um = await open({ ...FULL, persister: persister() });
  const seeded = JSON.parse(await um.system.call("setup.seed", JSON.stringify(seedWithPasswords(seed))));
  equal(seeded, { regions_created: 0, users_created: 0, drones_created: 0 });
  const totals = [await um.system.users.list(), await um.system.regions.list(), await um.system.drones.list()];
  equal(totals.map(({ total }) => total), [5, 2, 5]);
  const login = um.login("operator1@flyos.mil", `${PASSWORD}operator1`).then(() => "in", (error) => error.code);
  equal(await login, "UNAUTHORIZED");
  equal((await um.system.audit.verify()).isWhole, true);
  await um.close();
}
