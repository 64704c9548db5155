/** Node's wasm. Asked for here alone, so that it stands beside the one file into which all of this is bundled. @internal */
export function wasmFile(): URL {
  return new URL("./rolekeep_node_bg.wasm", import.meta.url);
}
