//! Policy files: TOML and JSON become one tree with positions, and the tree becomes the policy.

mod json;
pub(in crate::rules) mod literal;
mod read;
mod toml;
pub(in crate::rules) mod write;

use std::sync::Arc;

use crate::model::{
    decode::nearest,
    deferred::Deferred,
    error::{Error, Reason, Result},
};
use crate::rules::{Diagnostics, Policy, Span, Text};

/// The largest policy file, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The most values, keys and signs of a policy file: what it becomes in memory is many times its size.
const MAX_PARTS: usize = 1_000_000;

/// No part of a policy file is nested deeper; what is, is refused.
const MAX_DEPTH: usize = 12;

/// In JSON, which is read everywhere from the start; written from the files in TOML beside them.
const PRESETS: &[(&str, &str)] = &[
    ("standard", include_str!("../../../../policies/standard.json")),
    ("flyos", include_str!("../../../../policies/flyos.json")),
];

/// A value and where it stands.
struct Node {
    span: Span,
    value: Tree,
}

/// What both formats become.
enum Tree {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<(Text, Node)>),
    /// What no policy holds, as a message names it: a float, a date, null.
    Other(&'static str),
}

/// How TOML is read: what browsers load on demand.
static TOML: Deferred<Parse> = Deferred::new(toml::parse);

#[cfg(feature = "bindings")]
pub(in crate::rules) fn load_deferred() {
    TOML.load(toml::parse);
    json::load_deferred();
}

pub(in crate::rules) fn from_toml(text: &str) -> Result<Policy> {
    read_file(text, TOML.get()?, "a table")
}

type Parse = fn(&str, &mut Diagnostics) -> Option<Node>;

pub(in crate::rules) fn from_json(text: &str) -> Result<Policy> {
    read_file(text, json::parse, "an object")
}

pub(in crate::rules) fn preset(name: &str) -> Result<Policy> {
    let known = || PRESETS.iter().map(|(name, _)| *name);
    match PRESETS.iter().find(|(preset, _)| *preset == name) {
        Some((_, text)) => from_json(text),
        None => {
            let near = nearest(name, known()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let all = known().collect::<Vec<_>>().join(", ");
            Err(Error::new(Reason::PolicyInvalid, format!("there is no such preset; there are {all}{near}")))
        }
    }
}

/// The tree, or the problems that leave none. `table` is what a message calls a table.
fn read_file(text: &str, parse: Parse, table: &'static str) -> Result<Policy> {
    if text.len() > MAX_BYTES {
        let message = format!("the policy file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(Error::new(Reason::PolicyInvalid, message));
    }
    let mut diagnostics = Diagnostics::of_file(text);
    let Some(root) = parse(text, &mut diagnostics) else {
        return Err(diagnostics.into_error("the policy file cannot be read"));
    };
    let mut policy = read::policy(root, table, &mut diagnostics);
    policy.origin = Some(Arc::new(diagnostics));
    Ok(policy)
}

/// What the file must not be, told at its place.
fn too_many_parts(at: usize, diagnostics: &mut Diagnostics) {
    diagnostics.add(Span::of(at..at), format!("the policy file has more than {MAX_PARTS} parts"));
}

/// In the place of a value that is nested too deeply for any policy.
fn too_deep(span: Span, diagnostics: &mut Diagnostics) -> Tree {
    const MESSAGE: &str = "nested too deeply";
    diagnostics.add(span, MESSAGE);
    Tree::Other(MESSAGE)
}
