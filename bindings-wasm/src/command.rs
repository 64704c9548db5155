//! The command `npx rolekeep`.

use rolekeep::command;
use wasm_bindgen::prelude::*;

/// The file that the command wants read.
#[wasm_bindgen(js_name = commandFile)]
pub fn command_file(arguments: Vec<String>) -> Option<String> {
    command::file(&arguments).map(str::to_owned)
}

/// Its exit code, what it prints, and what it prints as an error.
#[wasm_bindgen(getter_with_clone)]
pub struct Output {
    pub code: u8,
    pub out: String,
    pub err: String,
}

/// Runs the command.
#[wasm_bindgen(js_name = runCommand)]
pub fn run_command(arguments: Vec<String>, contents: Option<Vec<u8>>, colored: bool) -> Output {
    let command::Output { code, out, err } = command::run(&arguments, contents.as_deref(), colored);
    Output { code, out, err }
}
