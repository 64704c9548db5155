//! What a policy says that is right, and may not do what it seems to.

use std::collections::BTreeSet;

use crate::rules::{Attribute, Effect, FilterAttribute, GrantId, PermissionId, Root, RuleSet};

/// A deny that reads an attribute whose column may hold a value of another type. Such a value counts as absent, and a
/// deny reads what may be absent only after `has`: for that row it does not fire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LooseDeny {
    /// The role whose grant it is.
    pub role: String,
    /// The grant: `deny document:edit when …`.
    pub grant: String,
    /// The attribute.
    pub attribute: String,
}

impl std::fmt::Display for LooseDeny {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { role, grant, attribute } = self;
        write!(
            f,
            "role `{role}`: `{grant}` does not fire where `{attribute}` holds a value of another type, which counts as \
             absent"
        )
    }
}

impl RuleSet {
    /// The denies about a type that read one of those attributes, in the order of the roles.
    pub(crate) fn denies_reading(
        &self,
        resource_type: &str,
        is_loose: impl Fn(&FilterAttribute) -> bool,
    ) -> Vec<LooseDeny> {
        let mut found = Vec::new();
        for role in self.live_roles() {
            let mut seen: BTreeSet<(GrantId, &str)> = BTreeSet::new();
            for qualified in role.own.qualified.iter().filter(|qualified| qualified.effect == Effect::Deny) {
                let (ty, _) = self.type_of(PermissionId(qualified.permission));
                let Some(condition) = self.condition(qualified.condition).filter(|_| ty.name == resource_type) else {
                    continue;
                };
                let attributes = condition.paths.iter().filter(|path| path.root == Root::Resource).filter_map(|path| {
                    let attribute: &Attribute = ty.attributes.get(path.slot as usize)?;
                    is_loose(&FilterAttribute::new(attribute.name.to_string().into(), attribute)).then_some(attribute)
                });
                seen.extend(attributes.map(|attribute| (qualified.grant, attribute.name.as_str())));
            }
            found.extend(seen.into_iter().filter_map(|(grant, attribute)| {
                let grant = role.own_grant(grant.at)?.text();
                Some(LooseDeny { role: role.name().to_owned(), grant, attribute: attribute.to_owned() })
            }));
        }
        found
    }
}
