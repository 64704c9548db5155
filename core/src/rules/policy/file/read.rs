//! The tree to the policy. What does not fit is a fault; the rest is read on.

use crate::rules::{
    diagnostics::{Diagnostics, Text, shown},
    policy::{AttributeDecl, Effect, Grant, PermissionDecl, Policy, Role, ScopeDecl, TypeDecl},
};

use super::tree::{Key, Node, Tree};

// What may stand where: `policies/policy.schema.json` tells editors the same, and a test compares them.
pub(in crate::rules) const POLICY: &[&str] =
    &["$schema", "description", "hierarchy", "anonymous", "context", "scopes", "types", "permissions", "roles"];
pub(in crate::rules) const SCOPE: &[&str] = &["attribute", "parent"];
pub(in crate::rules) const TYPE: &[&str] = &["attributes"];
pub(in crate::rules) const ROLE: &[&str] =
    &["description", "inherits", "default", "max_holders", "grantable_by", "allow", "deny"];
pub(in crate::rules) const GRANT: &[&str] = &["permission", "when"];

pub(in crate::rules) fn policy(root: &Node<'_>, diagnostics: &mut Diagnostics) -> Policy {
    let mut policy = Policy::new();
    for (key, node) in table(root, diagnostics) {
        match key.text.as_ref() {
            // For editors alone.
            "$schema" => drop(text(node, diagnostics)),
            "description" => policy.description = text(node, diagnostics).map(|text| text.text),
            "hierarchy" => policy.limited_hierarchy = is_limited(node, diagnostics),
            "anonymous" => policy.anonymous = text(node, diagnostics),
            "context" => policy.context = attributes(node, diagnostics),
            "scopes" => policy.scopes = scopes(node, diagnostics),
            "types" => policy.types = types(node, diagnostics),
            "permissions" => policy.permissions = permissions(node, diagnostics),
            "roles" => {
                policy.roles =
                    table(node, diagnostics).iter().map(|(key, node)| role(key, node, diagnostics).into()).collect()
            }
            _ => unknown(key, POLICY, diagnostics),
        }
    }
    policy
}

fn is_limited(node: &Node<'_>, diagnostics: &mut Diagnostics) -> bool {
    let Some(text) = text(node, diagnostics) else { return false };
    if !["general", "limited"].contains(&text.text.as_str()) {
        let help = diagnostics.suggest(&text.text, ["general", "limited"]);
        diagnostics.add(text.spot, "a hierarchy is `general` or `limited`", help);
    }
    text.text == "limited"
}

fn attributes(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Vec<AttributeDecl> {
    let mut read = Vec::new();
    for (key, node) in table(node, diagnostics) {
        read.extend(text(node, diagnostics).map(|ty| AttributeDecl { name: key.to_text(), ty }));
    }
    read
}

fn scopes(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Vec<ScopeDecl> {
    let mut read = Vec::new();
    for (key, node) in table(node, diagnostics) {
        let (mut attribute, mut parent) = (None, None);
        for (inner, node) in table(node, diagnostics) {
            match inner.text.as_ref() {
                "attribute" => attribute = text(node, diagnostics),
                "parent" => parent = text(node, diagnostics),
                _ => unknown(inner, SCOPE, diagnostics),
            }
        }
        match attribute {
            Some(attribute) => read.push(ScopeDecl { name: key.to_text(), attribute, parent }),
            None => {
                let message = format!("scope kind `{}` names no `attribute`", shown(&key.text));
                diagnostics.add(key.spot, message, Some("write `attribute = \"…\"`: what it compares with".to_owned()));
            }
        }
    }
    read
}

fn types(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Vec<TypeDecl> {
    let mut read = Vec::new();
    for (key, node) in table(node, diagnostics) {
        let mut declared = TypeDecl { name: key.to_text(), attributes: Vec::new() };
        for (inner, node) in table(node, diagnostics) {
            match inner.text.as_ref() {
                "attributes" => declared.attributes = attributes(node, diagnostics),
                _ => unknown(inner, TYPE, diagnostics),
            }
        }
        read.push(declared);
    }
    read
}

/// A list of names, or a table of names and what they are for.
fn permissions(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Vec<PermissionDecl> {
    if let Tree::List(_) = node.value {
        let names = texts(node, diagnostics).into_iter();
        return names.map(|name| PermissionDecl { name, about: String::new() }).collect();
    }
    let mut read = Vec::new();
    for (key, node) in table(node, diagnostics) {
        let about = text(node, diagnostics).map(|about| about.text).unwrap_or_default();
        read.push(PermissionDecl { name: key.to_text(), about });
    }
    read
}

fn role(key: &Key<'_>, node: &Node<'_>, diagnostics: &mut Diagnostics) -> Role {
    let mut role = Role::named(key.to_text());
    for (key, node) in table(node, diagnostics) {
        match key.text.as_ref() {
            "description" => role.description = text(node, diagnostics).map(|text| text.text),
            "inherits" => role.inherits = texts(node, diagnostics),
            "default" => match node.value {
                Tree::Bool(is_default) => role.is_default = is_default,
                _ => wrong(node, "true or false", diagnostics),
            },
            "max_holders" => match node.value {
                Tree::Int(holders) if (1..=i64::from(u32::MAX)).contains(&holders) => {
                    role.max_holders = u32::try_from(holders).ok();
                }
                _ => wrong(node, "a whole number of 1 or more", diagnostics),
            },
            "grantable_by" => role.grantable_by = texts(node, diagnostics),
            "allow" => grants(node, Effect::Allow, &mut role.grants, diagnostics),
            "deny" => grants(node, Effect::Deny, &mut role.grants, diagnostics),
            _ => unknown(key, ROLE, diagnostics),
        }
    }
    role
}

fn grants(node: &Node<'_>, effect: Effect, grants: &mut Vec<Grant>, diagnostics: &mut Diagnostics) {
    for item in list(node, diagnostics) {
        match &item.value {
            Tree::Text(pattern) => {
                let pattern = Text { text: pattern.clone().into_owned(), spot: item.spot };
                grants.push(Grant { effect, pattern, when: None });
            }
            Tree::Table(entries) => {
                let (mut patterns, mut when) = (None, None);
                for (key, node) in entries {
                    match key.text.as_ref() {
                        "permission" if matches!(node.value, Tree::List(_)) => {
                            patterns = Some(texts(node, diagnostics))
                        }
                        "permission" => patterns = Some(text(node, diagnostics).into_iter().collect()),
                        "when" => {
                            when = text(node, diagnostics);
                            // A grant whose condition cannot be read must not become unconditional.
                            if when.is_none() {
                                when = Some(Text { text: "false == true".into(), spot: node.spot });
                            }
                        }
                        _ => unknown(key, GRANT, diagnostics),
                    }
                }
                let Some(patterns) = patterns else {
                    let help = "beside `when` stands `permission`, with one pattern or a list of them".to_owned();
                    diagnostics.add(item.spot, "this grant names no `permission`", Some(help));
                    continue;
                };
                // Each has a copy of the condition.
                let copies = when.as_ref().map_or(0, |when| when.text.len()).saturating_mul(patterns.len());
                if !diagnostics.takes_copies(copies) {
                    diagnostics.add(
                        item.spot,
                        "the conditions of this policy are too long for so many permissions",
                        None,
                    );
                    continue;
                }
                let grant = |pattern| Grant { effect, pattern, when: when.clone().map(Box::new) };
                grants.extend(patterns.into_iter().map(grant));
            }
            _ => wrong(item, "a permission, or `permission` and `when` together", diagnostics),
        }
    }
}

fn table<'n, 's>(node: &'n Node<'s>, diagnostics: &mut Diagnostics) -> &'n [(Key<'s>, Node<'s>)] {
    match &node.value {
        Tree::Table(entries) => entries,
        _ => {
            wrong(node, if diagnostics.is_json { "an object" } else { "a table" }, diagnostics);
            &[]
        }
    }
}

fn list<'n, 's>(node: &'n Node<'s>, diagnostics: &mut Diagnostics) -> &'n [Node<'s>] {
    match &node.value {
        Tree::List(items) => items,
        _ => {
            wrong(node, "a list", diagnostics);
            &[]
        }
    }
}

fn text(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Text> {
    match &node.value {
        Tree::Text(text) => Some(Text { text: text.clone().into_owned(), spot: node.spot }),
        _ => {
            wrong(node, "a string", diagnostics);
            None
        }
    }
}

fn texts(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Vec<Text> {
    let mut read = Vec::new();
    for item in list(node, diagnostics) {
        read.extend(text(item, diagnostics));
    }
    read
}

fn wrong(node: &Node<'_>, expected: &str, diagnostics: &mut Diagnostics) {
    if !matches!(node.value, Tree::Refused) {
        diagnostics.add(
            node.spot,
            format!("expected {expected}, found {}", node.value.kind(diagnostics.is_json)),
            None,
        );
    }
}

fn unknown(key: &Key<'_>, known: &[&'static str], diagnostics: &mut Diagnostics) {
    let help = diagnostics.suggest(&key.text, known.iter().copied());
    let known = || known.iter().filter(|known| !known.starts_with('$')).copied().collect::<Vec<_>>().join(", ");
    let help = help.unwrap_or_else(|| format!("there are: {}", known()));
    diagnostics.add(key.spot, format!("there is no key `{}` here", shown(&key.text)), Some(help)).label("unknown key");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::{GRANT, POLICY, ROLE, SCOPE, TYPE};
    use crate::rules::{Policy, RuleSet, Schema};

    const SCHEMA: &str = include_str!("../../../../policies/policy.schema.json");

    fn keys_of(schema: &Json) -> BTreeSet<&str> {
        schema["properties"].as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// Where each list of keys is about, as the way there in a policy and as the part of the schema.
    fn places() -> [(&'static [&'static str], &'static str, &'static str); 5] {
        [
            (POLICY, "{KEY: null}", ""),
            (SCOPE, r#"{"scopes": {"a": {KEY: null}}}"#, "/$defs/scope"),
            (TYPE, r#"{"types": {"a": {KEY: null}}}"#, "/$defs/type"),
            (ROLE, r#"{"roles": {"a": {KEY: null}}}"#, "/$defs/role"),
            (GRANT, r#"{"roles": {"a": {"allow": [{KEY: null}]}}}"#, "/$defs/grant"),
        ]
    }

    #[test]
    fn editors_know_the_keys_that_are_read() {
        let schema: Json = serde_json::from_str(SCHEMA).expect("JSON");
        for (keys, _, at) in places() {
            let known = keys_of(schema.pointer(at).expect("a part of the schema"));
            assert_eq!(known, keys.iter().copied().collect(), "at {at}");
        }
        let defs = schema["$defs"].as_object().expect("definitions");
        let described = defs.values().chain([&schema]).filter_map(|def| def["properties"].as_object());
        for (key, property) in described.flatten() {
            assert!(property["description"].is_string(), "{key} has no description");
        }
    }

    #[test]
    fn every_key_in_the_lists_is_read() {
        for (keys, policy, _) in places() {
            for key in keys.iter().chain(&["nothing"]) {
                let text = policy.replace("KEY", &format!("\"{key}\""));
                let policy = Policy::from_json(&text).expect("JSON");
                let error = RuleSet::compile(&policy, &Schema::new()).expect_err("null is nowhere right");
                let is_unknown = error.problems().iter().any(|one| one.message.contains("there is no key"));
                assert_eq!(is_unknown, *key == "nothing", "{text}: {error}");
            }
        }
    }
}
