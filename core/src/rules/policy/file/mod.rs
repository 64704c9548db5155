//! Policy files: TOML and JSON become one tree with positions, and the tree becomes the policy.

mod json;
pub(in crate::rules) mod literal;
pub(in crate::rules) mod place;
mod read;
mod toml;
mod tree;
pub(in crate::rules) mod write;

use std::sync::Arc;

use crate::model::{
    decode::nearest,
    error::{Error, Reason, Result},
};

use super::{Origin, Policy};
use crate::rules::diagnostics::{Diagnostics, Spot};

/// The largest policy file, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The most values, keys and signs of a policy file: what it becomes in memory is many times its size.
const MAX_PARTS: usize = 1_000_000;

/// No part of a policy file is nested deeper; what is, is refused.
const MAX_DEPTH: usize = 12;

const PRESETS: &[(&str, &str)] = &[
    ("standard", include_str!("../../../../policies/standard.toml")),
    ("flyos", include_str!("../../../../policies/flyos.toml")),
];

pub(in crate::rules) fn from_toml(text: &str) -> Result<Policy> {
    read_file(text, toml::parse, false)
}

pub(in crate::rules) fn from_json(text: &str) -> Result<Policy> {
    read_file(text, json::parse, true)
}

pub(in crate::rules) fn preset(name: &str) -> Result<Policy> {
    let known = || PRESETS.iter().map(|(name, _)| *name);
    match PRESETS.iter().find(|(preset, _)| *preset == name) {
        Some((_, text)) => from_toml(text),
        None => {
            let near = nearest(name, known()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let all = known().collect::<Vec<_>>().join(", ");
            Err(Error::new(Reason::PolicyInvalid, format!("there is no such preset; there are {all}{near}")))
        }
    }
}

/// What the file must not be, told at its place.
fn too_many_parts(at: usize, diagnostics: &mut Diagnostics) {
    let message = format!("the policy file has more than {MAX_PARTS} parts");
    diagnostics.add(Spot::of(at..at), message, None);
}

/// A parser of one format: the tree, or the problems that leave none.
type Parse = for<'s> fn(&'s str, &mut Diagnostics) -> Option<tree::Node<'s>>;

fn read_file(text: &str, parse: Parse, is_json: bool) -> Result<Policy> {
    if text.len() > MAX_BYTES {
        let message = format!("the policy file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(Error::new(Reason::PolicyInvalid, message));
    }
    let mut diagnostics = Diagnostics::of(Some(text.into()), is_json);
    let Some(root) = parse(text, &mut diagnostics) else {
        return Err(diagnostics.into_error("the policy file cannot be read"));
    };
    let mut policy = read::policy(&root, &mut diagnostics);
    policy.origin = Some(Arc::new(Origin { diagnostics }));
    Ok(policy)
}
