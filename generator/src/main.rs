//! Writes the typed faces of the bindings from the one list of operations.
//!
//! `rolekeep-generator` writes them, `rolekeep-generator --check` fails and names those that are stale.

mod homes;
mod mobile;
mod operations;
mod presets;
mod python;
mod secrets;
mod typescript;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rolekeep::{describe::Catalogue, ffi};

/// A file of a face: its path from the top of the repository, and its text.
pub(crate) struct Face {
    path: PathBuf,
    text: String,
}

impl Face {
    pub(crate) fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), text }
    }
}

/// The answer to a step of a sign-in: of all records it alone has a method, `done`, which is written by hand for each
/// language.
pub(crate) const STEP: &str = "SignInResult";

type Emitter = fn(&Catalogue) -> Vec<Face>;

const EMITTERS: [Emitter; 6] =
    [operations::faces, presets::faces, python::faces, typescript::faces, mobile::faces, secrets::faces];

fn main() -> ExitCode {
    let only_check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalogue = ffi::catalogue();
    let faces = EMITTERS.iter().flat_map(|emit| emit(&catalogue));
    let stale: Vec<Face> =
        faces.filter(|face| fs::read_to_string(root.join(&face.path)).ok().as_ref() != Some(&face.text)).collect();
    for face in &stale {
        let path = face.path.display();
        if only_check {
            println!("check failed: {path} is stale; run `cargo run -p rolekeep-generator`");
        } else if let Err(problem) = write(&root.join(&face.path), &face.text) {
            println!("{path}: {problem}");
            return ExitCode::FAILURE;
        } else {
            println!("wrote {path}");
        }
    }
    if only_check && stale.is_empty() {
        println!("check passed: every face is what the list of operations says");
    }
    ExitCode::from(u8::from(only_check && !stale.is_empty()))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
