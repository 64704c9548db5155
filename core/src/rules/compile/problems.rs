//! Problems that take many words: browsers load them on demand, as few policies have any.

use hashbrown::HashSet;
use smol_str::SmolStr;

use super::{asset_kinds, roles::Hierarchy, schema::Library};

use crate::model::{decode::nearest, deferred::Deferred};
use crate::rules::{ConditionError, Diagnostics, Grant, Pattern, Policy, Role, Span, Symbols, Text, shown};

/// What reports those problems.
pub(super) struct Reporters {
    pub(super) unmatched: fn(&Symbols, &Grant, &Pattern<'_>, &mut Diagnostics),
    pub(super) wrong: fn(&Role, &Grant, &Text, ConditionError, &mut Diagnostics),
    pub(super) cycle: fn(&Hierarchy, &[usize], &mut Diagnostics),
    pub(super) unbound: fn(&Symbols, &str, &Text, &mut Diagnostics),
    pub(super) asset_kind: fn(&Library, &Policy, usize, &mut Diagnostics),
}

const ALL: &Reporters = &Reporters { unmatched, wrong, cycle, unbound, asset_kind: asset_kinds::report };

static REPORTERS: Deferred<&Reporters> = Deferred::new(ALL);

#[cfg(feature = "bindings")]
pub(in crate::rules) fn load_deferred() {
    REPORTERS.load(ALL);
}

/// Tells of a problem; where they are not loaded, that there is one.
pub(super) fn tell(span: Span, diagnostics: &mut Diagnostics, tell: impl FnOnce(&Reporters, &mut Diagnostics)) {
    match REPORTERS.get() {
        Ok(reporters) => tell(reporters, diagnostics),
        Err(_) => drop(diagnostics.add(span, String::new())),
    }
}

/// A pattern matches no permission.
fn unmatched(symbols: &Symbols, grant: &Grant, pattern: &Pattern<'_>, diagnostics: &mut Diagnostics) {
    let text = &grant.pattern.text;
    let name = text.split('{').next().unwrap_or(text);
    let mut message = format!("`{}` matches no permission", shown(name));
    let help = match (pattern.resource, pattern.action) {
        (Some(resource), Some(action)) => {
            message = format!("there is no permission `{}`", shown(name));
            // To have the action alone in common makes none likelier.
            let is_near =
                |known: &&str| known.split_once(':').is_some_and(|(of, to)| are_near([of, to], [resource, action]));
            let near =
                diagnostics.suggest(name, symbols.permissions.iter().map(|one| one.name.as_str()).filter(is_near));
            near.or_else(|| {
                Some("declare it in `[permissions]`; only the permissions of the library exist without that".to_owned())
            })
        }
        (Some(resource), None) => {
            let known = symbols.types.iter().filter(|ty| !ty.permissions.is_empty()).map(|ty| ty.name.as_str());
            diagnostics.suggest_as(resource, known, |near| format!("{near}:*"))
        }
        (_, action) => {
            let known = symbols.by_action.keys().map(SmolStr::as_str);
            diagnostics.suggest_as(action.unwrap_or_default(), known, |near| format!("*:{near}"))
        }
    };
    diagnostics.add(grant.pattern.span, message).help_if(help).label("not declared");
}

/// Whether each of these names may have been meant by the other.
fn are_near(known: [&str; 2], given: [&str; 2]) -> bool {
    known.into_iter().zip(given).all(|(known, given)| nearest(given, [known]).is_some())
}

/// A condition is wrong.
fn wrong(role: &Role, grant: &Grant, when: &Text, error: ConditionError, diagnostics: &mut Diagnostics) {
    let span = error.span(&when.text);
    // A policy built in code has no lines: the message says whose condition it is.
    let message = match when.span.is_code() {
        true => format!("role {}, {}: {}", shown(&role.name.text), shown(&grant.pattern.text), error.message),
        false => error.message,
    };
    diagnostics.add_inside(when, span, message).help_if(error.help);
}

/// Follows juniors that wait, from any role that waits: the walk must come back to itself.
fn cycle(hierarchy: &Hierarchy, waits: &[usize], diagnostics: &mut Diagnostics) {
    let mut path: Vec<usize> = Vec::new();
    let mut place = vec![usize::MAX; waits.len()];
    let mut next = waits.iter().position(|waits| *waits > 0);
    while let Some(at) = next {
        if place[at] != usize::MAX {
            let cycle = path[place[at]..].iter().chain([&at]).take(10);
            let names: Vec<String> = cycle.map(|role| shown(hierarchy.roles[*role].name())).collect();
            let message = format!("roles inherit from each other in a circle: {}", names.join(" → "));
            let span = hierarchy.roles[at].source.name.span;
            diagnostics.add(span, message).label("inherits from itself");
            return;
        }
        place[at] = path.len();
        path.push(at);
        let mut juniors = hierarchy.roles[at].inherits.iter().map(|junior| junior.0 as usize);
        next = juniors.find(|junior| waits[*junior] > 0);
    }
}

/// No type has the attribute of a kind of scope.
fn unbound(symbols: &Symbols, name: &str, Text { text: attribute, span }: &Text, diagnostics: &mut Diagnostics) {
    let (kind, shown) = (shown(name), shown(attribute));
    // Its own rows lie in it by their id, whatever else they have.
    if symbols.type_ids.contains_key(name) {
        let lies = format!("and it has no `id`, by which rows of `{kind}` lie in scopes of that kind");
        diagnostics.add(*span, format!("no type but `{kind}` has an attribute `{shown}`, {lies}"));
        return;
    }
    let attributes = symbols.types.iter().flat_map(|ty| &ty.attributes);
    let names: HashSet<&str> = attributes.map(|one| one.name.as_str()).collect();
    let help = diagnostics.suggest(attribute, names).unwrap_or_else(|| {
        format!("declare it of a type whose rows lie in it, or declare the type `{kind}` with an attribute `id`")
    });
    diagnostics.add(*span, format!("no type has an attribute `{shown}`")).help(help);
}
