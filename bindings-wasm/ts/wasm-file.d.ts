/** As bundlers of Workers load a wasm file. */
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
