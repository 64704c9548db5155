//! The tree to the policy. What does not fit is a problem; the rest is read on.

use super::{Node, Tree};

use crate::rules::{
    AssetKindDecl, AttributeDecl, Diagnostics, Effect, Grant, PermissionDecl, Policy, Role, ScopeDecl, Text,
    policy::TypeDecl, shown,
};

// What may stand where: `policies/policy.schema.json` tells editors the same, and a test compares them.
const POLICY: &[&str] = &[
    "$schema",
    "description",
    "hierarchy",
    "anonymous",
    "context",
    "scopes",
    "types",
    "asset_kinds",
    "permissions",
    "roles",
];
const SCOPE: &[&str] = &["attribute", "parent"];
const TYPE: &[&str] = &["attributes"];
const ASSET_KIND: &[&str] = &["models", "statuses"];
const ROLE: &[&str] =
    &["description", "inherits", "default", "second_factor", "max_holders", "grantable_by", "allow", "deny"];
/// Those of a role that are refused, as nothing enforces them.
const NOT_YET: &[&str] = &["max_holders", "grantable_by"];
const GRANT: &[&str] = &["permission", "when"];

/// What the copies of a policy's conditions may take, in bytes: a condition is written once for many permissions.
const MAX_COPIES: usize = 64 * 1024 * 1024;

/// `table` is what a message calls a table.
pub(super) fn policy(root: Node, table: &'static str, diagnostics: &mut Diagnostics) -> Policy {
    let mut policy = Policy::new();
    Reader { table, copies: 0, diagnostics }.fields(root, POLICY, |reader, key, node| match key {
        "description" => policy.description = reader.string(node),
        "hierarchy" => policy.limited_hierarchy = reader.is_limited(node),
        "anonymous" => policy.anonymous = reader.text(node),
        "context" => policy.context = reader.attributes(node),
        "scopes" => policy.scopes = reader.each(node, Reader::scope),
        "types" => policy.types = reader.each(node, Reader::resource_type),
        "asset_kinds" => policy.asset_kinds = reader.each(node, Reader::asset_kind),
        "permissions" => policy.permissions = reader.permissions(node),
        "roles" => policy.roles = reader.each(node, |reader, name, node| Some(reader.role(name, node).into())),
        // `$schema` is for editors alone.
        _ => drop(reader.text(node)),
    });
    policy
}

struct Reader<'d> {
    table: &'static str,
    /// What copies of conditions have taken, in bytes.
    copies: usize,
    diagnostics: &'d mut Diagnostics,
}

impl Reader<'_> {
    fn is_limited(&mut self, node: Node) -> bool {
        let Some(Text { text, span }) = self.text(node) else { return false };
        if !["general", "limited"].contains(&text.as_str()) {
            let help = self.diagnostics.suggest(&text, ["general", "limited"]);
            self.diagnostics.add(span, "a hierarchy is `general` or `limited`").help_if(help);
        }
        text == "limited"
    }

    fn attributes(&mut self, node: Node) -> Vec<AttributeDecl> {
        self.each(node, |reader, name, node| Some(AttributeDecl { name, ty: reader.text(node)? }))
    }

    fn scope(&mut self, name: Text, node: Node) -> Option<ScopeDecl> {
        let (mut attribute, mut parent) = (None, None);
        self.fields(node, SCOPE, |reader, key, node| match key {
            "attribute" => attribute = reader.text(node),
            _ => parent = reader.text(node),
        });
        if attribute.is_none() {
            let message = format!("scope kind `{}` has no `attribute`", shown(&name.text));
            self.diagnostics.add(name.span, message).help("write `attribute = \"…\"`: what it compares with");
        }
        Some(ScopeDecl { name, attribute: attribute?, parent })
    }

    fn resource_type(&mut self, name: Text, node: Node) -> Option<TypeDecl> {
        let mut attributes = Vec::new();
        self.fields(node, TYPE, |reader, _, node| attributes = reader.attributes(node));
        Some(TypeDecl { name, attributes })
    }

    fn asset_kind(&mut self, name: Text, node: Node) -> Option<AssetKindDecl> {
        let (mut models, mut statuses) = (Vec::new(), Vec::new());
        self.fields(node, ASSET_KIND, |reader, key, node| match key {
            "models" => models = reader.texts(node),
            _ => statuses = reader.texts(node),
        });
        Some(AssetKindDecl { name, models, statuses })
    }

    /// A list of names, or a table of names and what they are for.
    fn permissions(&mut self, node: Node) -> Vec<PermissionDecl> {
        if let Tree::List(_) = node.value {
            let names = self.texts(node).into_iter();
            return names.map(|name| PermissionDecl { name, about: String::new() }).collect();
        }
        self.each(node, |reader, name, node| {
            Some(PermissionDecl { name, about: reader.string(node).unwrap_or_default() })
        })
    }

    fn role(&mut self, name: Text, node: Node) -> Role {
        let mut role = Role::named(name);
        self.fields(node, ROLE, |reader, key, node| match (key, &node.value) {
            ("description", _) => role.description = reader.string(node),
            ("inherits", _) => role.inherits = reader.texts(node),
            ("default", Tree::Bool(is_default)) => role.is_default = *is_default,
            ("second_factor", Tree::Bool(is_needed)) => role.needs_second_factor = *is_needed,
            ("default" | "second_factor", _) => reader.wrong(&node, "true or false"),
            ("max_holders", Tree::Int(holders @ 1..=0xFFFF_FFFF)) => role.max_holders = u32::try_from(*holders).ok(),
            ("max_holders", _) => reader.wrong(&node, "a whole number of 1 or more"),
            ("grantable_by", _) => role.grantable_by = reader.texts(node),
            ("allow", _) => reader.grants(node, Effect::Allow, &mut role.grants),
            _ => reader.grants(node, Effect::Deny, &mut role.grants),
        });
        role
    }

    fn grants(&mut self, node: Node, effect: Effect, grants: &mut Vec<Grant>) {
        for node in self.list(node) {
            match node.value {
                Tree::Text(text) => {
                    grants.push(Grant { effect, pattern: Text { text, span: node.span }, when: None });
                }
                Tree::Table(_) => grants.extend(self.grant(node, effect).into_iter().flatten()),
                _ => self.wrong(&node, "a permission, or `permission` and `when` together"),
            }
        }
    }

    /// One or more permissions and a condition.
    fn grant(&mut self, node: Node, effect: Effect) -> Option<impl Iterator<Item = Grant> + use<>> {
        let (mut patterns, mut when, span) = (None, None, node.span);
        self.fields(node, GRANT, |reader, key, node| match (key, &node.value) {
            ("permission", Tree::List(_)) => patterns = Some(reader.texts(node)),
            ("permission", _) => patterns = Some(reader.text(node).into_iter().collect()),
            _ => {
                // A grant whose condition cannot be read must not become unconditional.
                let never = Text { text: "false == true".into(), span: node.span };
                when = Some(Box::new(reader.text(node).unwrap_or(never)));
            }
        });
        let Some(patterns) = patterns else {
            let help = "write `permission` beside `when`, with one pattern or a list of them";
            self.diagnostics.add(span, "this grant has no `permission`").help(help);
            return None;
        };
        // Each has a copy of the condition.
        let length = when.as_ref().map_or(0, |when| when.text.len());
        self.copies = self.copies.saturating_add(length.saturating_mul(patterns.len()));
        if self.copies > MAX_COPIES {
            self.diagnostics.add(span, "the conditions of this policy are too long for so many permissions");
            return None;
        }
        Some(patterns.into_iter().map(move |pattern| Grant { effect, pattern, when: when.clone() }))
    }

    /// Reads every entry of a table that has these keys.
    fn fields(&mut self, node: Node, known: &[&str], mut read: impl FnMut(&mut Self, &str, Node)) {
        for (key, node) in self.entries(node) {
            if known.contains(&key.text.as_str()) {
                read(self, &key.text, node);
                continue;
            }
            let help = self.diagnostics.suggest(&key.text, known.iter().copied());
            let is_told = |known: &&&str| !known.starts_with('$') && !NOT_YET.contains(known);
            let all = || known.iter().filter(is_told).copied().collect::<Vec<_>>().join(", ");
            let help = help.unwrap_or_else(|| format!("there are: {}", all()));
            let message = format!("there is no key `{}` here", shown(&key.text));
            self.diagnostics.add(key.span, message).help(help).label("unknown key");
        }
    }

    /// Reads every entry of a table whose keys are names.
    fn each<T>(&mut self, node: Node, read: impl Fn(&mut Self, Text, Node) -> Option<T>) -> Vec<T> {
        self.entries(node).into_iter().filter_map(|(name, node)| read(self, name, node)).collect()
    }

    fn entries(&mut self, node: Node) -> Vec<(Text, Node)> {
        if let Tree::Table(entries) = node.value {
            return entries;
        }
        self.wrong(&node, self.table);
        Vec::new()
    }

    fn list(&mut self, node: Node) -> Vec<Node> {
        if let Tree::List(items) = node.value {
            return items;
        }
        self.wrong(&node, "a list");
        Vec::new()
    }

    fn texts(&mut self, node: Node) -> Vec<Text> {
        self.list(node).into_iter().filter_map(|item| self.text(item)).collect()
    }

    fn string(&mut self, node: Node) -> Option<String> {
        self.text(node).map(|text| text.text)
    }

    fn text(&mut self, node: Node) -> Option<Text> {
        if let Tree::Text(text) = node.value {
            return Some(Text { text, span: node.span });
        }
        self.wrong(&node, "a string");
        None
    }

    fn wrong(&mut self, node: &Node, expected: &str) {
        let found = match &node.value {
            Tree::Text(_) => "a string",
            Tree::Int(int) => &format!("the number {int}"),
            Tree::Bool(_) => "true or false",
            Tree::List(_) => "a list",
            Tree::Table(_) => self.table,
            Tree::Other(kind) => kind,
        };
        self.diagnostics.add(node.span, format!("expected {expected}, found {found}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::{ASSET_KIND, GRANT, POLICY, ROLE, SCOPE, TYPE};
    use crate::rules::{Policy, RuleSet, Schema};

    const SCHEMA: &str = include_str!("../../../../policies/policy.schema.json");

    fn keys_of(schema: &Json) -> BTreeSet<&str> {
        schema["properties"].as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// Where each list of keys is about, as the way there in a policy and as the part of the schema.
    fn places() -> [(&'static [&'static str], &'static str, &'static str); 6] {
        [
            (POLICY, "{KEY: null}", ""),
            (SCOPE, r#"{"scopes": {"a": {KEY: null}}}"#, "/$defs/scope"),
            (TYPE, r#"{"types": {"a": {KEY: null}}}"#, "/$defs/type"),
            (ASSET_KIND, r#"{"asset_kinds": {"a": {KEY: null}}}"#, "/$defs/asset_kind"),
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
