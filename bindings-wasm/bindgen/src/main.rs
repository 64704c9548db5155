//! Writes the JavaScript of a wasm: `rolekeep-bindgen WASM FOLDER NAME [--without-names]`.

use std::{env, error::Error};

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (wasm, folder, name, options) = match arguments.as_slice() {
        [wasm, folder, name, options @ ..] => (wasm, folder, name, options),
        _ => return Err("usage: rolekeep-bindgen WASM FOLDER NAME [--without-names]".into()),
    };
    // Without the module's default path: the package's own loaders name it, each in the way that its platform needs.
    Bindgen::new()
        .input_path(wasm)
        .out_name(name)
        .web(true)?
        .typescript(true)
        .omit_default_module_path(true)
        .remove_name_section(options.iter().any(|option| option == "--without-names"))
        .generate(folder)?;
    Ok(())
}
