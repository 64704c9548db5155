//! What a caller may do, and why (RBC-4, RBC-12).

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{
    Access, Operation,
    plan::Plan,
    principals,
    services::Services,
    target::Subject,
};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        region::Region,
        time::Time,
        user::User,
    },
    rules::{Context, Explanation, Question, Resource},
};

/// A permission of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct PermissionView {
    /// Its name: `resource:action`.
    pub name: String,
    /// What it allows.
    pub description: Option<String>,
}

/// A permission that a caller has somewhere, by one of its roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct EffectivePermission {
    /// Allowed or denied.
    pub allowed: bool,
    /// The permission or pattern, as the policy writes it.
    pub pattern: String,
    /// Where: `global`, `region:ID`, `resource:TYPE:ID`.
    pub scope: String,
    /// Under which condition.
    pub condition: Option<String>,
    /// The role that says so.
    pub role: String,
}

/// Lists the permissions that exist: the library's and the policy's own.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
pub struct ListPermissions {}

/// Lists what the caller may do: every grant of its roles, with scope and condition.
#[derive(Clone, Debug, Input, Describe)]
pub struct MyPermissions {}

/// Explains whether a user may do something, and why: the roles, grants and conditions that decide it,
/// or what is missing.
///
/// Permission `policy:explain`; the host always may.
#[derive(Clone, Debug, Input, Describe)]
pub struct ExplainPermission {
    /// The user.
    pub user_id: UserId,
    /// The permission: `drone:read`.
    pub permission: String,
    /// A row of this library, by id or code: the permission's type says of which table.
    pub resource: Option<String>,
    /// A resource of the host, by its attributes and relations.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// What the policy's conditions read as `context.…`.
    pub context: BTreeMap<String, serde_json::Value>,
}

#[portable_async]
impl Operation for ListPermissions {
    type Target = ();
    type Valid = ();
    type Output = Vec<PermissionView>;

    const ACCESS: Access = Access::Permission("policy:read");

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<PermissionView>> {
        let permissions = plan.services.rules.permissions();
        let view = |(name, about): (&str, Option<&str>)| PermissionView {
            name: name.to_owned(),
            description: about.map(str::to_owned),
        };
        Ok(permissions.map(view).collect())
    }
}

#[portable_async]
impl Operation for MyPermissions {
    type Target = ();
    type Valid = ();
    type Output = Vec<EffectivePermission>;

    const ACCESS: Access = Access::SignedIn;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<EffectivePermission>> {
        let me = plan.actor.signed_in()?;
        let grants = plan.services.rules.effective(&me.principal, plan.now);
        let view = |grant: crate::rules::EffectiveGrant| EffectivePermission {
            allowed: grant.allowed,
            pattern: grant.pattern,
            scope: grant.scope,
            condition: grant.condition,
            role: grant.role,
        };
        Ok(grants.into_iter().map(view).collect())
    }
}

#[portable_async]
impl Operation for ExplainPermission {
    type Target = ();
    type Valid = (ExplainPermission, Context);
    type Output = Explanation;

    const ACCESS: Access = Access::Permission("policy:explain");

    async fn validate(self, services: &Services, _: Time) -> Result<(ExplainPermission, Context)> {
        services.rules.permission(&self.permission)?;
        if self.resource.is_some() && !self.attributes.is_empty() {
            return Err(wrong("attributes", FieldCode::Disagrees, "give either a stored resource or attributes"));
        }
        let context = services.rules.context_from_json(&self.context)?;
        Ok((self, context))
    }

    async fn plan((asked, context): &(ExplainPermission, Context), (): (), plan: &mut Plan<'_>) -> Result<Explanation> {
        let rules = &plan.services.rules;
        let loaded = principals::load(plan.services, asked.user_id, plan.now).await?;
        let loaded = loaded.ok_or_else(|| Error::not_found("user"))?;
        let kind = asked.permission.split(':').next().unwrap_or_default();
        let resource: Option<Resource> = match &asked.resource {
            Some(name) => Some(stored(plan, kind, name).await?.resource(rules, &*plan.services.storage).await?),
            None if !asked.attributes.is_empty() => Some(rules.resource_from_json(kind, &asked.attributes)?),
            None => None,
        };
        let question = Question {
            principal: &loaded.principal,
            permission: rules.permission(&asked.permission)?,
            fields: &[],
            resource: resource.as_ref(),
            context,
            now: plan.now,
        };
        Ok(rules.decide(&question)?.explain())
    }
}

async fn stored(plan: &Plan<'_>, kind: &str, name: &str) -> Result<Subject> {
    let not_found = || Error::not_found(kind);
    match kind {
        "drone" => super::drones::find(plan.reads(), name).await?.map(|drone| Subject::of(&drone)).ok_or_else(not_found),
        "region" => {
            let region: Option<Region> = super::regions::find(plan.reads(), name).await?;
            region.map(|region| Subject::of(&region)).ok_or_else(not_found)
        }
        "user" => {
            let id: UserId = name.parse().map_err(|_| not_found())?;
            let user: Option<User> = plan.reads().get(&(id,)).await?;
            user.map(|user| Subject::of(&user)).ok_or_else(not_found)
        }
        _ => Err(Error::new(Reason::InvalidInput, format!("`{kind}` is the host's own type; give its attributes"))),
    }
}
