//! Setting what no column of a row holds (USR-14, decision 045).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::plan::Plan;
use crate::{
    model::{
        attributes::{self, Attributes, FREE, member, parts},
        check::{Checks, Invalid},
        decode::FieldCode,
        error::Result,
        record::{Document, ResourceRecord},
    },
    rules::RuleSet,
};

/// The longest name, in characters.
const LONGEST_NAME: usize = 64;
/// The most that all of a row take, as the JSON that is shown of them, in bytes.
const MOST: usize = 16 * 1024;

/// Notes what is wrong with names, whatever the policy says.
pub(super) fn check_names<R: ResourceRecord>(checks: &mut Checks, given: &BTreeMap<String, Json>) {
    for name in given.keys() {
        // Of many wrong ones the first are enough.
        if checks.is_full() {
            return;
        }
        if let Err(invalid) = check_name::<R>(name) {
            checks.error("attributes", invalid);
        }
    }
    checks.depth("attributes", given.values());
}

pub(super) fn check_name<R: ResourceRecord>(name: &str) -> std::result::Result<(), Invalid> {
    let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    if !begins_well || name.len() > LONGEST_NAME || !name.chars().all(is_fit) {
        let message =
            format!("names have 1 to {LONGEST_NAME} letters a to z, digits and underscores, and begin with a letter");
        return Err(Invalid::new(FieldCode::InvalidFormat, message));
    }
    if R::TABLE.position(name).is_some() {
        return Err(Invalid::new(FieldCode::Disagrees, format!("`{name}` is a field of its own")));
    }
    Ok(())
}

/// The attributes of a row of a resource type when those given are set or removed, whose names are right.
pub(super) fn set(
    plan: &Plan<'_>,
    kind: &str,
    before: Option<&Attributes>,
    given: &BTreeMap<String, Json>,
) -> Result<Option<Attributes>> {
    let mut checks = Checks::default();
    let attributes = changed(&mut checks, plan.rules(), kind, before, given, false);
    checks.finish()?;
    Ok(attributes)
}

/// The attributes after a change, whose names are right: null removes one, and so does not naming it where all are given. Those that the
/// policy declares of the resource type have the type that it says, of which what is wrong is noted; what it does not declare is kept as it
/// is given, and no rule ever reads it.
pub(super) fn changed(
    checks: &mut Checks,
    rules: &RuleSet,
    kind: &str,
    before: Option<&Attributes>,
    given: &BTreeMap<String, Json>,
    are_all: bool,
) -> Option<Attributes> {
    let mut held = before.map(|before| before.0.clone()).unwrap_or_default();
    // Who gives back what was shown has chosen nothing: what no rule could read is not to be read from then on.
    let as_shown = attributes::shown(before);
    let is_as_shown = |name: &str| are_all && given.contains_key(name) && given.get(name) == as_shown.get(name);
    held.retain(|member, _| {
        let (name, _) = parts(member);
        is_as_shown(name) || !are_all && !given.contains_key(name)
    });
    for (name, value) in given.iter().filter(|(name, value)| !value.is_null() && !is_as_shown(name)) {
        match rules.member(kind, name, value.clone()) {
            Some(Ok((member, value))) => {
                held.insert(member, value);
            }
            Some(Err(invalid)) => checks.error(&format!("attributes.{name}"), invalid),
            // No text of a database has it.
            None if has_nul(value) => {
                let message = "must not hold the character NUL";
                checks.error(&format!("attributes.{name}"), Invalid::new(FieldCode::InvalidCharacter, message));
            }
            None => {
                held.insert(member(name, FREE), value.clone());
            }
        }
    }
    let held = Document(held);
    // As callers see them: what is kept beside a name is not their choice.
    let size = Document(attributes::shown(Some(&held))).text().len();
    if size > MOST {
        let message = format!("all attributes together must take at most {MOST} bytes as JSON, and would take {size}");
        checks.error("attributes", Invalid::new(FieldCode::TooLong, message));
    }
    Some(held).filter(|held| !held.0.is_empty())
}

/// Whether a text or a name in it has the character U+0000, which no database keeps in a text.
fn has_nul(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
