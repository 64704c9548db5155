//! A policy in the parts that are stored and edited one by one, and back.

use std::collections::BTreeMap;

use crate::model::{
    error::{Error, Reason, Result},
    policy::{RoleForm, StoredGrant},
};

use super::{
    Effect, Grant, Policy, Role,
    file::place::{Places, Step},
};
use crate::rules::{
    RuleSet, Schema,
    diagnostics::{Text, shown},
};

/// A policy's permissions and roles by name, and the rest of it as in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRows {
    /// Types, context, kinds of scope, hierarchy, the anonymous role, the description.
    pub rest: serde_json::Value,
    /// What each permission is for.
    pub permissions: BTreeMap<String, String>,
    /// What each role says.
    pub roles: BTreeMap<String, RoleForm>,
}

impl Policy {
    /// Takes a policy apart. Of what is declared twice the last is kept: compile it first.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] where a text holds the character NUL, which no storage keeps.
    pub fn to_rows(&self) -> Result<PolicyRows> {
        let rest = Self { permissions: Vec::new(), roles: Vec::new(), ..self.clone() };
        let rest = serde_json::to_value(&rest)
            .map_err(|problem| Error::new(Reason::Internal, format!("the policy cannot be written: {problem}")))?;
        let permissions = self.permissions.iter().map(|one| (one.name.text.clone(), one.about.clone()));
        let roles = self.roles.iter().map(|role| (role.name.text.clone(), RoleForm::of(role)));
        let parts = PolicyRows { rest, permissions: permissions.collect(), roles: roles.collect() };
        let about = parts.permissions.iter().map(|(name, about)| (name, Some(about)));
        let mut texts = about.chain(parts.roles.iter().map(|(name, role)| (name, role.description.as_ref())));
        if let Some((name, _)) = texts.find(|(_, text)| text.is_some_and(|text| text.contains('\0'))) {
            let message = format!("the description of `{}` holds the character NUL", shown(name));
            return Err(Error::new(Reason::PolicyInvalid, message));
        }
        Ok(parts)
    }

    /// Puts a policy together. Its texts have no place in a file.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] where `rest` is no part of a policy file.
    pub fn from_rows<'p>(
        rest: &serde_json::Value,
        permissions: impl IntoIterator<Item = (&'p str, &'p str)>,
        roles: impl IntoIterator<Item = (&'p str, RoleForm)>,
    ) -> Result<Self> {
        let mut policy = Self::from_json(&rest.to_string())?;
        let is_whole = policy.origin.take().is_none_or(|origin| origin.diagnostics.is_empty());
        if !is_whole {
            return Err(Error::new(Reason::PolicyInvalid, "the stored policy was not written by this version"));
        }
        for (name, about) in permissions {
            policy = policy.permission(name, about);
        }
        for (name, form) in roles {
            policy = policy.add_role(Role::of(name, form));
        }
        Ok(policy)
    }
}

/// A problem of a policy that stands in no file, and the part that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The role, where it is one's.
    pub role: Option<String>,
    /// The field of the role: `inherits[0]`, `grants[2].when`, counted as in [`RoleForm`]; else the
    /// place in the policy: `permissions.document:edit`. Empty where the policy as a whole is meant.
    pub field: String,
    /// What is wrong, and what may help.
    pub message: String,
}

impl Policy {
    /// Every problem that compiling would name, by the part that has it instead of a place in a file.
    pub fn problems(&self, schema: &Schema) -> Vec<RowProblem> {
        let whole = |message: &str| RowProblem { role: None, field: String::new(), message: message.to_owned() };
        // Written out once more, so that every problem has a place to be found by.
        let text = match self.to_json() {
            Ok(text) => text,
            Err(error) => return vec![whole(error.message())],
        };
        let compiled = Self::from_json(&text).and_then(|policy| RuleSet::compile(&policy, schema));
        let Err(error) = compiled else { return Vec::new() };
        if error.problems().is_empty() {
            return vec![whole(error.message())];
        }
        let places = Places::of(&text);
        let problem = |problem: &crate::model::error::Problem| {
            let (path, inside) = places.at(problem.line, problem.column);
            let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            let (role, field) = self.field_at(&path);
            // In a condition the place matters too; the opening quote is not counted.
            let place = match field.ends_with(".when") && inside > 1 {
                true => format!(", at character {inside}"),
                false => String::new(),
            };
            RowProblem { role, field, message: format!("{}{place}{help}", problem.message) }
        };
        error.problems().iter().map(problem).collect()
    }

    /// The role and its field at a place of the file that this policy writes.
    fn field_at(&self, path: &[Step]) -> (Option<String>, String) {
        match path {
            [Step::Key(roles), Step::Key(name), rest @ ..] if roles == "roles" => {
                let role = self.roles.iter().find(|role| role.name.text == *name);
                let field = match rest {
                    // The file has two lists where a role has one.
                    [Step::Key(effect), Step::Item(at), rest @ ..] if effect == "allow" || effect == "deny" => {
                        let is_deny = effect == "deny";
                        let grants = role.into_iter().flat_map(|role| role.grants.iter().enumerate());
                        let mut alike = grants.filter(|(_, grant)| (grant.effect == Effect::Deny) == is_deny);
                        let at = alike.nth(*at).map_or(*at, |(at, _)| at);
                        let inner = rest.iter().fold(String::new(), written);
                        let inner = if inner.is_empty() { "permission" } else { inner.trim_start_matches('.') };
                        format!("grants[{at}].{inner}")
                    }
                    [Step::Key(key), ..] if key == "default" => "is_default".to_owned(),
                    rest => rest.iter().fold(String::new(), written).trim_start_matches('.').to_owned(),
                };
                (Some(name.clone()), field)
            }
            path => (None, path.iter().fold(String::new(), written).trim_start_matches('.').to_owned()),
        }
    }
}

fn written(path: String, step: &Step) -> String {
    match step {
        Step::Key(key) => format!("{path}.{}", shown(key)),
        Step::Item(at) => format!("{path}[{at}]"),
    }
}

impl RoleForm {
    /// What a role of a policy says.
    fn of(role: &Role) -> Self {
        let names = |texts: &[Text]| texts.iter().map(|one| one.text.clone()).collect();
        let grant = |grant: &Grant| StoredGrant {
            permission: grant.pattern.text.clone(),
            is_deny: grant.effect == Effect::Deny,
            when: grant.when.as_ref().map(|when| when.text.clone()),
        };
        Self {
            description: role.description.clone(),
            is_default: role.is_default,
            inherits: names(&role.inherits),
            grants: role.grants.iter().map(grant).collect(),
            max_holders: role.max_holders,
            grantable_by: names(&role.grantable_by),
        }
    }
}

impl Role {
    /// What is stored of a role.
    pub(crate) fn of(name: &str, form: RoleForm) -> Self {
        let RoleForm { description, is_default, inherits, grants, max_holders, grantable_by } = form;
        let mut role = Self::new(name);
        role.description = description;
        role.is_default = is_default;
        role.max_holders = max_holders;
        let role = inherits.into_iter().fold(role, Self::inherits);
        let role = grantable_by.into_iter().fold(role, Self::grantable_by);
        grants.into_iter().fold(role, |role, grant| match (grant.is_deny, grant.when) {
            (false, None) => role.allow(grant.permission),
            (false, Some(when)) => role.allow_when(grant.permission, when),
            (true, None) => role.deny(grant.permission),
            (true, Some(when)) => role.deny_when(grant.permission, when),
        })
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
            .permission("document:edit", "Change one")
            .add_role(Role::new("reader").deny_when("document:*", "has context.ip").description("reads"))
            .add_role(Role::new("editor").inherits("reader").allow("document:edit{owner_id}").by_default())
            .anonymous("reader");
        for policy in [own, Policy::preset("flyos").unwrap(), Policy::preset("standard").unwrap(), Policy::new()] {
            let parts = policy.to_rows().unwrap();
            let permissions = parts.permissions.iter().map(|(name, about)| (name.as_str(), about.as_str()));
            let roles = parts.roles.iter().map(|(name, form)| (name.as_str(), form.clone()));
            let again = Policy::from_rows(&parts.rest, permissions, roles).unwrap();
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
        assert_eq!(Policy::new().problems(&crate::rules::Schema::new()), []);
    }

    #[test]
    fn nul_is_refused() {
        let policy = Policy::new().permission("document:edit", "a\0b");
        assert_eq!(policy.to_rows().unwrap_err().reason(), crate::Reason::PolicyInvalid);
    }
}
