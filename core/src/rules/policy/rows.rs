//! A policy in the parts that are stored and edited one by one, and back.

use std::{collections::BTreeMap, sync::Arc};

use super::{TypeDecl, file::write};

use crate::model::{
    error::{Error, Reason, Result},
    policy::{AssetKindForm, RoleForm, StoredGrant},
};
use crate::rules::{
    AssetKindDecl, AttributeDecl, Diagnostic, Effect, Grant, Policy, Role, Schema, ScopeDecl, Span, Text, compile,
    shown,
};

/// A policy's permissions, roles and kinds of assets by name, and the rest of it as in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRows {
    /// Types, context, kinds of scope, hierarchy, the anonymous role, the description.
    pub rest: serde_json::Value,
    /// What each permission is for.
    pub permissions: BTreeMap<String, String>,
    /// The words of each kind of assets.
    pub asset_kinds: BTreeMap<String, AssetKindForm>,
    /// The content of each role.
    pub roles: BTreeMap<String, RoleForm>,
}

impl Policy {
    /// Splits a policy into rows. If a name is declared twice, the last one is kept: compile the policy first.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] if a text contains the character NUL, which no storage keeps.
    pub(crate) fn to_rows(&self) -> Result<PolicyRows> {
        let rest = Self { permissions: Vec::new(), asset_kinds: Vec::new(), ..self.without_roles() };
        let rest = serde_json::to_value(&rest).map_err(|problem| write::unwritable(&problem))?;
        let permissions = self.permissions.iter().map(|one| (one.name.text.clone(), one.about.clone()));
        let roles = self.roles.iter().map(|role| (role.name.text.clone(), RoleForm::of(role)));
        let asset_kinds = self.asset_kinds.iter().map(|kind| (kind.name.text.clone(), AssetKindForm::of(kind)));
        let parts = PolicyRows {
            rest,
            permissions: permissions.collect(),
            asset_kinds: asset_kinds.collect(),
            roles: roles.collect(),
        };
        let about = parts.permissions.iter().map(|(name, about)| (name, Some(about)));
        let mut texts = about.chain(parts.roles.iter().map(|(name, role)| (name, role.description.as_ref())));
        if let Some((name, _)) = texts.find(|(_, text)| text.is_some_and(|text| text.contains('\0'))) {
            let message = format!("the description of `{}` holds the character NUL", shown(name));
            return Err(Error::new(Reason::PolicyInvalid, message));
        }
        Ok(parts)
    }

    /// Makes a policy from rows.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] if `rest` is not part of a policy file.
    pub(crate) fn from_rows<'p>(
        rest: &serde_json::Value,
        permissions: impl IntoIterator<Item = (&'p str, &'p str)>,
        asset_kinds: impl IntoIterator<Item = (&'p str, AssetKindForm)>,
        roles: impl IntoIterator<Item = (&'p str, RoleForm)>,
    ) -> Result<Self> {
        let mut policy = Self::from_json(&rest.to_string())?;
        let is_whole = policy.origin.take().is_none_or(|diagnostics| diagnostics.is_empty());
        if !is_whole {
            return Err(Error::new(Reason::PolicyInvalid, "the stored policy was not written by this version"));
        }
        for (name, about) in permissions {
            policy = policy.permission(name, about);
        }
        for (name, form) in asset_kinds {
            policy = policy.asset_kind(name, form.models, form.statuses);
        }
        for (name, form) in roles {
            policy = policy.add_role(Role::of(name, form));
        }
        Ok(policy)
    }
}

/// A problem of a policy without a file, and the part that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowProblem {
    /// The role, if it is a role's.
    pub role: Option<String>,
    /// The field of the role: `inherits[0]`, `grants[2].when`, counted as in the stored row; otherwise the
    /// part of the policy: `permissions.document:edit`. Empty for the policy as a whole.
    pub field: String,
    /// What is wrong, with a suggestion if there is one.
    pub message: String,
}

impl Policy {
    /// Every problem that compiling would report, by the part that has it instead of a position in a file.
    pub(crate) fn problems(&self, schema: &Schema) -> Vec<RowProblem> {
        let (policy, parts) = self.numbered();
        let diagnostics = match compile::check(&policy, schema) {
            Ok(checked) => {
                let whole = |error: Error| RowProblem { message: error.message().to_owned(), ..RowProblem::default() };
                return checked.flatten(&policy, schema).err().map(whole).into_iter().collect();
            }
            Err(diagnostics) => diagnostics,
        };
        let problem = |one: Diagnostic| {
            let (role, field) = parts.get(one.text_start as usize).cloned().unwrap_or_default();
            // In a condition the place matters too.
            let before = one.condition.as_ref().and_then(|text| text.get(..one.span.start as usize));
            let before = before.map_or(0, |before| before.chars().count());
            let place = if before > 0 { format!(", at character {}", before + 1) } else { String::new() };
            let help = one.help.map(|help| format!(" ({help})")).unwrap_or_default();
            RowProblem { role, field, message: format!("{}{place}{help}", one.message) }
        };
        let (mut list, _) = diagnostics.into_list();
        list.sort_by_key(|one| one.text_start);
        list.into_iter().map(problem).collect()
    }

    /// The same policy, each of its texts standing at the number of its path.
    fn numbered(&self) -> (Self, Vec<FieldPath>) {
        let (mut policy, mut paths) = (Self { origin: None, ..self.clone() }, FieldPaths::default());
        policy.anonymous.iter_mut().for_each(|role| paths.add(role, "anonymous".to_owned()));
        paths.attributes(&mut policy.context, "context");
        for TypeDecl { name, attributes } in &mut policy.types {
            let field = paths.named("types", name);
            paths.attributes(attributes, &format!("{field}.attributes"));
        }
        for ScopeDecl { name, attribute, parent } in &mut policy.scopes {
            let field = paths.named("scopes", name);
            paths.add(attribute, format!("{field}.attribute"));
            parent.iter_mut().for_each(|parent| paths.add(parent, format!("{field}.parent")));
        }
        for AssetKindDecl { name, models, statuses } in &mut policy.asset_kinds {
            let field = paths.named("asset_kinds", name);
            paths.each(models, &format!("{field}.models"));
            paths.each(statuses, &format!("{field}.statuses"));
        }
        policy.permissions.iter_mut().for_each(|one| drop(paths.named("permissions", &mut one.name)));
        for Role { name, inherits, grants, grantable_by, .. } in policy.roles.iter_mut().map(Arc::make_mut) {
            paths.role = Some(name.text.clone());
            paths.add(name, String::new());
            paths.each(inherits, "inherits");
            paths.each(grantable_by, "grantable_by");
            for (at, Grant { pattern, when, .. }) in (0..).zip(grants) {
                paths.add(pattern, format!("grants[{at}].permission"));
                when.iter_mut().for_each(|when| paths.add(when, format!("grants[{at}].when")));
            }
        }
        (policy, paths.all)
    }
}

/// A role and its field, or the place in the policy.
type FieldPath = (Option<String>, String);

#[derive(Default)]
struct FieldPaths {
    all: Vec<FieldPath>,
    /// Whose fields are added.
    role: Option<String>,
}

impl FieldPaths {
    fn add(&mut self, text: &mut Text, field: String) {
        text.span = Span::of(self.all.len()..self.all.len());
        self.all.push((self.role.clone(), field));
    }

    fn named(&mut self, under: &str, name: &mut Text) -> String {
        let field = format!("{under}.{}", shown(&name.text));
        self.add(name, field.clone());
        field
    }

    fn each(&mut self, texts: &mut [Text], field: &str) {
        (0..).zip(texts).for_each(|(at, text)| self.add(text, format!("{field}[{at}]")));
    }

    fn attributes(&mut self, attributes: &mut [AttributeDecl], under: &str) {
        for AttributeDecl { name, ty } in attributes {
            let field = self.named(under, name);
            self.add(ty, field);
        }
    }
}

fn words(texts: &[Text]) -> Vec<String> {
    texts.iter().map(|one| one.text.clone()).collect()
}

impl AssetKindForm {
    /// The words of a kind of a policy.
    fn of(kind: &AssetKindDecl) -> Self {
        Self { models: words(&kind.models), statuses: words(&kind.statuses) }
    }
}

impl RoleForm {
    /// What a role of a policy says.
    fn of(role: &Role) -> Self {
        let grant = |grant: &Grant| StoredGrant {
            permission: grant.pattern.text.clone(),
            is_deny: grant.effect == Effect::Deny,
            when: grant.when.as_ref().map(|when| when.text.clone()),
        };
        Self {
            description: role.description.clone(),
            is_default: role.is_default,
            needs_second_factor: role.needs_second_factor,
            inherits: words(&role.inherits),
            grants: role.grants.iter().map(grant).collect(),
            max_holders: role.max_holders,
            grantable_by: words(&role.grantable_by),
        }
    }
}

impl Role {
    /// What is stored of a role.
    pub(crate) fn of(name: &str, form: RoleForm) -> Self {
        let texts = |names: Vec<String>| names.into_iter().map(Text::from).collect();
        let grant = |grant: StoredGrant| Grant {
            effect: if grant.is_deny { Effect::Deny } else { Effect::Allow },
            pattern: grant.permission.into(),
            when: grant.when.map(|when| Box::new(when.into())),
        };
        Self {
            name: name.into(),
            description: form.description,
            inherits: texts(form.inherits),
            grants: form.grants.into_iter().map(grant).collect(),
            is_default: form.is_default,
            needs_second_factor: form.needs_second_factor,
            max_holders: form.max_holders,
            grantable_by: texts(form.grantable_by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;
    use crate::rules::Role;

    #[test]
    fn apart_and_together_it_is_the_same() {
        let own = Policy::new()
            .description("all that there is")
            .limited_hierarchy()
            .resource_type("document", [("owner_id", "id?")])
            .context("ip", "ip?")
            .scope_kind("owner", "owner_id")
            .asset_kind("vehicle", ["Truck"], ["READY", "IN_REPAIR"])
            .permission("document:edit", "Change one")
            .add_role(Role::new("reader").deny_when("document:*", "has context.ip").description("reads"))
            .add_role(Role::new("editor").inherits("reader").allow("document:edit{owner_id}").by_default())
            .anonymous("reader");
        for policy in [own, Policy::preset("flyos").unwrap(), Policy::preset("standard").unwrap(), Policy::new()] {
            let parts = policy.to_rows().unwrap();
            let permissions = parts.permissions.iter().map(|(name, about)| (name.as_str(), about.as_str()));
            let roles = parts.roles.iter().map(|(name, form)| (name.as_str(), form.clone()));
            let asset_kinds = parts.asset_kinds.iter().map(|(name, form)| (name.as_str(), form.clone()));
            let again = Policy::from_rows(&parts.rest, permissions, asset_kinds, roles).unwrap();
            assert_eq!(again, policy);
            assert_eq!(again.to_rows().unwrap(), parts);
        }
    }

    #[test]
    fn problems_name_the_role_and_its_field() {
        let policy = Policy::new()
            .permissions(["document:edit"])
            .add_role(Role::new("one").deny("document:edit").allow("document:edti").inherits("two").inherits("nobody"))
            .add_role(Role::new("two").allow_when("document:edit", "principal.id == 7").deny_when("*:edit", "x"));
        let problems = policy.problems(&crate::rules::Schema::new());
        let named: Vec<_> =
            problems.iter().map(|one| format!("{} {}", one.role.as_deref().unwrap_or("-"), one.field)).collect();
        let expected = ["one grants[1].permission", "one inherits[1]", "two grants[0].when", "two grants[1].when"];
        let mut sorted = named.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "{problems:#?}");
        assert!(problems.iter().any(|one| one.message.contains("did you mean `document:edit`")), "{problems:#?}");
        // `7`, as a person counts; what begins the condition needs no place.
        assert!(problems.iter().any(|one| one.field == "grants[0].when" && one.message.contains(", at character 17")));
        assert!(problems.iter().all(|one| one.field != "grants[1].when" || !one.message.contains("at character")));
        assert_eq!(Policy::new().problems(&crate::rules::Schema::new()), []);
    }

    #[test]
    fn nul_is_refused() {
        let policy = Policy::new().permission("document:edit", "a\0b");
        assert_eq!(policy.to_rows().unwrap_err().reason(), crate::Reason::PolicyInvalid);
    }
}
