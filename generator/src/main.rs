//! Writes the typed faces of the bindings from the one list of operations.
//!
//! `rolekeep-generator` writes them; a test fails and names those that are stale.

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

/// Rust's documentation for who reads it elsewhere: without programs in Rust, and with no more of a link than its text.
pub(crate) fn plain(about: &str) -> String {
    let prose: Vec<_> = about.split("```").step_by(2).map(str::trim).filter(|part| !part.is_empty()).collect();
    let prose = prose.join("\n\n");
    let mut parts = prose.split("`](");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |text, part| text + "`" + part.split_once(')').map_or(part, |(_, after)| after));
    text.replace("[`", "`").replace("`]", "`")
}

type Emitter = fn(&Catalogue) -> Vec<Face>;

const EMITTERS: [Emitter; 6] =
    [operations::faces, presets::faces, python::faces, typescript::faces, mobile::faces, secrets::faces];

fn main() -> ExitCode {
    for face in stale() {
        let path = face.path.display();
        if let Err(problem) = write(&root().join(&face.path), &face.text) {
            println!("{path}: {problem}");
            return ExitCode::FAILURE;
        }
        println!("wrote {path}");
    }
    ExitCode::SUCCESS
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The faces that are not what the list of operations says.
fn stale() -> Vec<Face> {
    let catalogue = ffi::catalogue();
    let faces = EMITTERS.iter().flat_map(|emit| emit(&catalogue));
    faces.filter(|face| fs::read_to_string(root().join(&face.path)).ok().as_ref() != Some(&face.text)).collect()
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guide_names_every_kind_of_notice() {
        let catalogue = rolekeep::ffi::catalogue();
        let kinds = match &catalogue.types.0["NoticeKind"].shape {
            rolekeep::describe::Shape::Words(words) => words,
            rolekeep::describe::Shape::Record(_) => panic!("kinds are words"),
        };
        let page = std::fs::read_to_string(super::root().join("core/src/guide/mail.md")).unwrap();
        let missing: Vec<_> =
            kinds.iter().map(|(kind, _)| *kind).filter(|kind| !page.contains(&format!("`{kind}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn programs_and_targets_of_links_are_for_rust_alone() {
        let about = "As [`Reason`] says.\n\n```\nlet x = [1];\n```\n\nSee [`a`](crate::a), [`B::c`](B::c) and (`d`).";
        assert_eq!(super::plain(about), "As `Reason` says.\n\nSee `a`, `B::c` and (`d`).");
    }

    #[test]
    fn every_face_is_what_the_list_of_operations_says() {
        let stale: Vec<_> = super::stale().into_iter().map(|face| face.path).collect();
        assert!(stale.is_empty(), "stale, run `cargo run -p rolekeep-generator`: {stale:?}");
    }
}
