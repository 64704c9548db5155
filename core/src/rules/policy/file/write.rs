//! The policy to TOML and JSON, as a person would have written it.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use crate::{
    model::error::{Error, Reason, Result},
    rules::policy::{AttributeDecl, Effect, Grant, Policy, Role},
};

pub(in crate::rules) fn to_toml(policy: &Policy) -> Result<String> {
    toml::to_string_pretty(policy).map_err(|error| unwritable(&error))
}

pub(in crate::rules) fn to_json(policy: &Policy) -> Result<String> {
    serde_json::to_string_pretty(policy).map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Reason::Internal, format!("the policy cannot be written: {error}"))
}

/// Plain values first: TOML has no other order.
impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(description) = &self.description {
            map.serialize_entry("description", description)?;
        }
        if self.limited_hierarchy {
            map.serialize_entry("hierarchy", "limited")?;
        }
        if let Some(role) = &self.anonymous {
            map.serialize_entry("anonymous", &role.text)?;
        }
        if !self.context.is_empty() {
            map.serialize_entry("context", &Attributes(&self.context))?;
        }
        if !self.scopes.is_empty() {
            let kinds = self.scopes.iter().map(|one| {
                let parent = one.parent.as_ref().map(|parent| parent.text.as_str());
                (one.name.text.clone(), Kind { attribute: &one.attribute.text, parent })
            });
            map.serialize_entry("scopes", &Entries(kinds.collect()))?;
        }
        if !self.types.is_empty() {
            let ty =
                self.types.iter().map(|ty| (ty.name.text.clone(), Entry("attributes", Attributes(&ty.attributes))));
            map.serialize_entry("types", &Entries(ty.collect()))?;
        }
        if !self.permissions.is_empty() {
            let about = self.permissions.iter().map(|one| (one.name.text.clone(), one.about.as_str()));
            map.serialize_entry("permissions", &Entries(about.collect()))?;
        }
        if !self.roles.is_empty() {
            map.serialize_entry(
                "roles",
                &Entries(self.roles.iter().map(|role| (role.name.text.clone(), role.as_ref())).collect()),
            )?;
        }
        map.end()
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let names =
            |texts: &[crate::rules::diagnostics::Text]| texts.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        let mut map = serializer.serialize_map(None)?;
        if let Some(description) = &self.description {
            map.serialize_entry("description", description)?;
        }
        if !self.inherits.is_empty() {
            map.serialize_entry("inherits", &names(&self.inherits))?;
        }
        if self.is_default {
            map.serialize_entry("default", &true)?;
        }
        if let Some(holders) = self.max_holders {
            map.serialize_entry("max_holders", &holders)?;
        }
        if !self.grantable_by.is_empty() {
            map.serialize_entry("grantable_by", &names(&self.grantable_by))?;
        }
        for (key, effect) in [("allow", Effect::Allow), ("deny", Effect::Deny)] {
            let grants: Vec<&Grant> = self.grants.iter().filter(|grant| grant.effect == effect).collect();
            if !grants.is_empty() {
                map.serialize_entry(key, &Grants(grants))?;
            }
        }
        map.end()
    }
}

struct Grants<'p>(Vec<&'p Grant>);

impl Serialize for Grants<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for grant in &self.0 {
            match &grant.when {
                None => list.serialize_element(&grant.pattern.text)?,
                Some(when) => {
                    list.serialize_element(&Conditional { permission: &grant.pattern.text, when: &when.text })?
                }
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Conditional<'p> {
    permission: &'p str,
    when: &'p str,
}

/// A kind of scope.
#[derive(Serialize)]
struct Kind<'p> {
    attribute: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'p str>,
}

struct Attributes<'p>(&'p [AttributeDecl]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|one| (&one.name.text, &one.ty.text)))
    }
}

/// A table in the order of the policy.
struct Entries<V>(Vec<(String, V)>);

impl<V: Serialize> Serialize for Entries<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A table with one key.
struct Entry<V>(&'static str, V);

impl<V: Serialize> Serialize for Entry<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, &self.1)])
    }
}
