//! The policy to TOML and JSON, as a person would have written it.

use serde::{Serialize, Serializer};

use super::{Node, Tree};

use crate::model::error::{Error, Reason, Result};
use crate::rules::{AttributeDecl, Effect, Policy, Role, Span, Text};

pub(in crate::rules) fn to_toml(policy: &Policy) -> Result<String> {
    toml::to_string_pretty(policy).map_err(|error| unwritable(&error))
}

pub(in crate::rules) fn to_json(policy: &Policy) -> Result<String> {
    serde_json::to_string_pretty(policy).map_err(|error| unwritable(&error))
}

pub(in crate::rules) fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Reason::Internal, format!("the policy cannot be written: {error}"))
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        tree(self).serialize(serializer)
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Tree::Text(text) => serializer.serialize_str(text),
            Tree::Int(int) => serializer.serialize_i64(*int),
            Tree::Bool(bool) => serializer.serialize_bool(*bool),
            Tree::List(items) => serializer.collect_seq(items.iter().map(|item| &item.value)),
            Tree::Table(entries) => serializer.collect_map(entries.iter().map(|(key, node)| (&key.text, &node.value))),
            Tree::Other(_) => serializer.serialize_none(),
        }
    }
}

/// Equal when they say the same, in whatever order, wherever they were read from.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        // Maps of JSON have no order.
        serde_json::to_value(self).ok() == serde_json::to_value(other).ok()
    }
}

impl Eq for Policy {}

/// Plain values first: TOML has no other order.
fn tree(policy: &Policy) -> Tree {
    table([
        ("description", policy.description.as_deref().map(text)),
        ("hierarchy", policy.limited_hierarchy.then(|| text("limited"))),
        ("anonymous", policy.anonymous.as_ref().map(|role| text(&role.text))),
        ("context", some(attributes(&policy.context))),
        (
            "scopes",
            some(named(&policy.scopes, |scope| {
                (
                    &scope.name,
                    table([
                        ("attribute", Some(text(&scope.attribute.text))),
                        ("parent", scope.parent.as_ref().map(|parent| text(&parent.text))),
                    ]),
                )
            })),
        ),
        (
            "types",
            some(named(&policy.types, |ty| (&ty.name, table([("attributes", Some(attributes(&ty.attributes)))])))),
        ),
        (
            "asset_kinds",
            some(named(&policy.asset_kinds, |kind| {
                (&kind.name, table([("models", texts(&kind.models)), ("statuses", texts(&kind.statuses))]))
            })),
        ),
        ("permissions", some(named(&policy.permissions, |one| (&one.name, text(&one.about))))),
        ("roles", some(named(&policy.roles, |one| (&one.name, role(one))))),
    ])
}

fn role(role: &Role) -> Tree {
    table([
        ("description", role.description.as_deref().map(text)),
        ("inherits", texts(&role.inherits)),
        ("default", role.is_default.then_some(Tree::Bool(true))),
        ("second_factor", role.needs_second_factor.then_some(Tree::Bool(true))),
        ("max_holders", role.max_holders.map(|holders| Tree::Int(holders.into()))),
        ("grantable_by", texts(&role.grantable_by)),
        ("allow", grants(role, Effect::Allow)),
        ("deny", grants(role, Effect::Deny)),
    ])
}

fn grants(role: &Role, effect: Effect) -> Option<Tree> {
    let grants = role.grants.iter().filter(|grant| grant.effect == effect).map(|grant| match &grant.when {
        None => text(&grant.pattern.text),
        Some(when) => table([("permission", Some(text(&grant.pattern.text))), ("when", Some(text(&when.text)))]),
    });
    some(Tree::List(grants.map(node).collect()))
}

fn attributes(attributes: &[AttributeDecl]) -> Tree {
    named(attributes, |one| (&one.name, text(&one.ty.text)))
}

/// A table in the order of the policy.
fn named<T>(all: &[T], entry: impl Fn(&T) -> (&Text, Tree)) -> Tree {
    let entries = all.iter().map(entry);
    Tree::Table(entries.map(|(name, value)| (Text::from(name.text.as_str()), node(value))).collect())
}

/// Without what says nothing.
fn table<const N: usize>(entries: [(&str, Option<Tree>); N]) -> Tree {
    let entries = entries.into_iter().filter_map(|(key, value)| Some((Text::from(key), node(value?))));
    Tree::Table(entries.collect())
}

fn texts(texts: &[Text]) -> Option<Tree> {
    some(Tree::List(texts.iter().map(|one| node(text(&one.text))).collect()))
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

fn some(tree: Tree) -> Option<Tree> {
    let is_empty = matches!(&tree, Tree::List(items) if items.is_empty())
        || matches!(&tree, Tree::Table(entries) if entries.is_empty());
    (!is_empty).then_some(tree)
}

fn node(value: Tree) -> Node {
    Node { span: Span::CODE, value }
}
