// What the package consists of, for those who build it and those who look at what it holds.

/** The wasm files and their JavaScript, as scripts/wasm makes them. */
export const WASM = [
  "rolekeep.js", "rolekeep_bg.wasm", "rolekeep_deferred_bg.wasm",
  "rolekeep_rules.js", "rolekeep_rules_bg.wasm", "rolekeep_rules_deferred_bg.wasm",
  "rolekeep_node.js", "rolekeep_node_bg.wasm",
];

/** What Node is given under a name of its own. */
export const ENTRIES = ["index", "node", "rules"];
