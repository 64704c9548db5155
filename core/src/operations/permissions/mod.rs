//! The permissions that exist, what a caller may do, and why (RBC-1, RBC-4, RBC-12).

mod manage;

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{
    Access, Operation,
    plan::Plan,
    principals,
    services::Services,
    target::{self, TargetRow},
    users::existing,
};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Result},
        id::UserId,
        noun::{Named, ResourceType},
        time::Time,
    },
    rules::{Context, Question, Resource},
    storage::tables,
};

pub use crate::rules::{EffectiveGrant, Explanation};
pub(in crate::operations) use manage::without_permission;
pub use manage::{
    CreatePermission, DeletePermission, DeletedPermission, GetPermission, ListPermissions, PermissionView,
    RemovedGrant, UpdatePermission,
};

/// Lists what the caller may do: every grant of its roles, with scope and condition.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MyPermissions {}

/// Explains whether a user may do something, and why: the roles, grants and conditions that decide it,
/// or what is missing.
///
/// Permission `policy:explain`, and those to read the user and the stored resource. A group is named `?` without `group:read` everywhere.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExplainPermission {
    /// The user.
    pub user_id: UserId,
    /// The permission: `drone:read`.
    pub permission: String,
    /// A stored row, by id or code; the permission names its type.
    pub resource: Option<String>,
    /// Instead of a stored row: the attributes and relations of a resource of the application.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The values that conditions read as `context.NAME`.
    pub context: BTreeMap<String, serde_json::Value>,
}

#[boxed_async]
impl Operation for MyPermissions {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IN_PERSON: bool = false;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<EffectiveGrant>> {
        let me = plan.actor.signed_in()?;
        // Those of the user, also where somebody else acts as it.
        let own = me.principal.on_behalf_of().unwrap_or(&me.principal);
        Ok(plan.rules().effective(own, plan.now))
    }
}

#[boxed_async]
impl Operation for ExplainPermission {
    type Target = ();
    type Valid = (ExplainPermission, Context);

    const ACCESS: Access = Access::Everywhere("policy:explain");
    const IS_READ: bool = true;

    async fn validate(self, services: &Services, _: Time) -> Result<(ExplainPermission, Context)> {
        services.rules().permission(&self.permission)?;
        if self.resource.is_some() && !self.attributes.is_empty() {
            return Err(wrong("attributes", FieldCode::Disagrees, "give either a stored resource or attributes"));
        }
        let context = Context::from_json(&self.context);
        Ok((self, context))
    }

    async fn plan((asked, context): &(ExplainPermission, Context), (): (), plan: &mut Plan<'_>) -> Result<Explanation> {
        let rules = plan.rules();
        let user = existing(plan.reads(), asked.user_id).await?;
        readable(plan, TargetRow::of(&user)).await?;
        let facts = principals::load(plan.reads(), &[asked.user_id], plan.now).await?.pop();
        let mut facts = facts.ok_or_else(|| Error::not_found("user"))?;
        // Who may not read groups is not told what they are called.
        if !IS_PAGE && !plan.may_everywhere("group:read")? {
            facts.assignments.iter_mut().filter_map(|given| given.group.as_mut()).for_each(|name| *name = "?".into());
        }
        let principal = rules.resolve_stored(facts);
        let kind = asked.permission.split(':').next().unwrap_or_default();
        let stored = match &asked.resource {
            Some(name) => Some(stored(plan, kind, name).await?),
            None => None,
        };
        let resource: Option<Resource<'_>> = match &stored {
            Some(target) => Some(plan.resource(target).await?),
            None if !asked.attributes.is_empty() => Some(Resource::from_json(kind, &asked.attributes)),
            None => None,
        };
        let question = Question {
            principal: &principal,
            permission: rules.permission(&asked.permission)?,
            fields: &[],
            resource: resource.as_ref(),
            context,
            now: plan.now,
        };
        Ok(rules.decide(&question)?.explain())
    }
}

/// An explanation tells the values it was made of, so what the caller may not read is not there.
async fn readable(plan: &mut Plan<'_>, target: TargetRow) -> Result<TargetRow> {
    match plan.may(&format!("{}:read", target.kind), &target).await? {
        true => Ok(target),
        false => Err(plan.hide(&target.kind)),
    }
}

async fn stored(plan: &mut Plan<'_>, kind: &str, name: &str) -> Result<TargetRow> {
    let is_named = |resource: &ResourceType| resource.named != Named::Never;
    let found = plan.rules().table_of(kind).and_then(|table| Some((table, table.noun.resource.filter(is_named)?)));
    let Some((table, resource)) = found else {
        let kinds = tables().iter().filter_map(|table| table.noun.resource).filter(is_named);
        let kinds = kinds.filter(|resource| resource.kinds.is_none()).map(|resource| resource.kind);
        // Which kinds of assets there are is told to who may read the policy.
        let kinds: Vec<&str> = kinds.collect();
        let message = format!("only rows of {} are found by name; give the attributes of a {kind}", kinds.join(", "));
        return Err(wrong("resource", FieldCode::InvalidFormat, message));
    };
    let row = target::named(plan.reads(), table, kind, name).await?.ok_or_else(|| Error::not_found(kind))?;
    readable(plan, TargetRow::of_row(resource.kind, table, row)).await
}
