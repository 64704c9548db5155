//! Rows of scopes.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{
    ScopeRow, end, find, is_by_code, no_row, place,
    place::{is_seen, leave, outer, read, require_may_place, require_seen, stored_form},
    records_of,
};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        error::{Error, Result},
        page::{Page, PageRequest},
        patch::Change,
        predicate::Predicate,
        text,
        time::Time,
    },
    operations::{
        Access, Operation, Visible,
        actor::Actor,
        listing,
        plan::{Plan, expect_version},
        policy::nesting::nest,
        reads::Reads,
        rights,
        services::Services,
        target::TargetRow,
    },
    rules::{RuleSet, Scope},
};

/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// Creates the row of a scope of a nested kind, which says what it lies within: roles held in a country then apply in its regions.
///
/// Permission `scope:create`; with a parent also `role:assign`, and for now `admin:all`, as it changes who may do what. Errors:
/// `DUPLICATE_RESOURCE` if the scope has a row, `CONFLICT` if 20,000 scopes lie within others.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateScope {
    /// The scope: `KIND:ID`, with the id that attributes of resources hold. A region, which must exist, may be named by its code.
    pub scope: String,
    /// Its name, at most 100 characters.
    pub name: String,
    /// The scope that it lies within, of the kind that the policy says; it must have a row, but for regions.
    pub parent: Option<String>,
}

/// Gets the row of a scope.
///
/// Permission `scope:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetScope {
    /// The scope.
    pub scope: String,
}

/// Lists the rows of scopes that the caller may see, newest first.
///
/// Permission `scope:list`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListScopes {
    /// Only scopes of this kind.
    pub kind: Option<String>,
    /// Only scopes that lie directly within this one.
    pub parent: Option<String>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Renames a scope.
///
/// Permission `scope:update`. Errors: `CONFLICT` if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UpdateScope {
    /// The scope.
    pub scope: String,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
    /// Its name, at most 100 characters.
    pub name: Change<String>,
}

/// Moves a scope into another one, or out of any, with all that lies within it. From then on roles held in the former outer scope no
/// longer apply to it, and those held in the new one do.
///
/// Permission `scope:update`, before and after, and `role:assign`, for now also `admin:all`, as it changes who may do what. Errors: `CONFLICT` if
/// `expected_version` is stale, or if 20,000 scopes lie within others.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MoveScope {
    /// The scope.
    pub scope: String,
    /// The scope that it is to lie within, of the kind that the policy says; it must have a row, but for regions. If not given: none.
    pub parent: Option<String>,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

/// Deletes the row of a scope: roles held in it end, unless it is a region, which is still there.
///
/// Permission `scope:delete`; if it lies within another one, or if a role that denies something is held in it, also `admin:all`, and for
/// the former `role:assign`. Errors: `CONFLICT` if `expected_version` is stale, and if other scopes lie within it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteScope {
    /// The scope.
    pub scope: String,
    /// The version that the decision is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

async fn target(reads: Reads<'_>, rules: &RuleSet, scope: &str) -> Result<ScopeRow> {
    match stored_form(reads, rules, scope).await? {
        Some(scope) => reads.require(&(scope,), "scope").await,
        None => Err(Error::not_found("scope")),
    }
}

/// What an operation on a scope is asked for before it is planned: a record that the caller may not see and names by its code is not there,
/// whatever else is refused, so that [`require_may`] asks for the permission.
fn access(scope: &str, of_row: Access, actor: &Actor) -> Access {
    let is_by_code = scope.parse().is_ok_and(|scope| is_by_code(&actor.policy.rules, &scope));
    if is_by_code { Access::SignedIn } else { of_row }
}

/// Refuses a scope that the caller names by the code of what it may not see, and then what it may not do to it.
async fn require_may(plan: &mut Plan<'_>, scope: &str, of_row: Access, row: &ScopeRow) -> Result<()> {
    require_seen(plan, scope).await?;
    match (access(scope, of_row, plan.actor), of_row) {
        (Access::SignedIn, Access::Permission(permission)) => {
            rights::require_target(plan, permission, &TargetRow::of(row), ScopeRow::READ).await
        }
        _ => Ok(()),
    }
}

#[boxed_async]
impl Operation for CreateScope {
    type Target = ();
    /// Its scopes are checked by the rules of the plan.
    type Valid = Self;

    const ACCESS: Access = Access::Permission("scope:create");
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        let name = checks.field("name", text::name(&self.name, MAX_NAME)).unwrap_or_default();
        checks.finish()?;
        Ok(Self { name, ..self })
    }

    async fn plan(asked: &Self, (): (), plan: &mut Plan<'_>) -> Result<ScopeRow> {
        if asked.parent.is_some() {
            require_may_place(plan)?;
        }
        let mut checks = Checks::default();
        let scope = read(&mut checks, plan, "scope", &asked.scope)?;
        let parent = match &asked.parent {
            Some(parent) => read(&mut checks, plan, "parent", parent)?,
            None => None,
        };
        checks.finish()?;
        let named = scope.unwrap_or(Scope::Global);
        let Scope::Of { kind, .. } = &named else { return Err(Error::not_found("scope")) };
        let Invalid { code, message } = no_row();
        let found = if is_seen(plan, &named).await? { find(plan, &named).await? } else { None };
        let scope = found.ok_or_else(|| wrong("scope", code, message))?;
        let parent = match &parent {
            Some(parent) => Some(outer(plan, &named, parent).await?),
            None => None,
        };
        let (kind, name, now) = (kind.clone(), asked.name.clone(), plan.now);
        let row = ScopeRow { scope, kind, name, parent, created_at: now, updated_at: now, version: 0 };
        rights::require_after(plan, "scope:create", None, &row).await?;
        if plan.reads().get::<ScopeRow>(&(row.scope.clone(),)).await?.is_some() {
            return Err(Error::taken("scope"));
        }
        // Its kind must still be declared when the commit comes, whoever asks.
        plan.rely_on_policy();
        if let Some(parent) = &row.parent {
            nest(plan, &row.scope, Some(parent))?;
        }
        Ok(plan.insert(row))
    }
}

#[boxed_async]
impl Operation for GetScope {
    type Target = ScopeRow;
    type Valid = String;

    const ACCESS: Access = Access::Permission("scope:read");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<ScopeRow> {
        target(reads, &actor.policy.rules, &self.scope).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<String> {
        Ok(self.scope)
    }

    async fn plan(scope: &String, row: ScopeRow, plan: &mut Plan<'_>) -> Result<ScopeRow> {
        require_seen(plan, scope).await?;
        Ok(row)
    }
}

#[boxed_async]
impl Operation for ListScopes {
    type Target = ();
    type Valid = (PageRequest, Self);

    const ACCESS: Access = Access::Permission("scope:list");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        Ok((page, self))
    }

    async fn plan((page, asked): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<ScopeRow>> {
        let kind = asked.kind.as_deref().map_or(Predicate::Always, |kind| Predicate::equals("kind", kind));
        let parent = match &asked.parent {
            None => Predicate::Always,
            Some(parent) => match stored_form(plan.reads(), plan.rules(), parent).await? {
                Some(stored) if require_seen(plan, parent).await.is_ok() => Predicate::equals("parent", stored),
                _ => Predicate::Never,
            },
        };
        listing::page(plan, page, "scope:list", kind.and(parent), listing::newest_first()).await
    }
}

#[boxed_async]
impl Operation for UpdateScope {
    type Target = ScopeRow;
    type Valid = Self;

    const ACCESS: Access = Access::Permission("scope:update");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<ScopeRow> {
        target(reads, &actor.policy.rules, &self.scope).await
    }

    fn access(&self, _: &ScopeRow, actor: &Actor) -> Access {
        access(&self.scope, Self::ACCESS, actor)
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let mut checks = Checks::default();
        let name = self.name.try_map(|name| text::name(&name, MAX_NAME));
        let name = checks.field("name", name).unwrap_or_default();
        checks.finish()?;
        Ok(Self { name, ..self })
    }

    async fn plan(change: &Self, before: ScopeRow, plan: &mut Plan<'_>) -> Result<ScopeRow> {
        require_may(plan, &change.scope, Self::ACCESS, &before).await?;
        expect_version(change.expected_version, before.version)?;
        let mut after = before.clone();
        after.name = change.name.clone().apply(after.name);
        if after == before {
            return Ok(before);
        }
        after.updated_at = plan.now;
        rights::require_after(plan, "scope:update", Some(&before), &after).await?;
        Ok(plan.update(&before, after))
    }
}

#[boxed_async]
impl Operation for MoveScope {
    type Target = ScopeRow;
    type Valid = Self;

    const ACCESS: Access = Access::Permission("scope:update");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<ScopeRow> {
        target(reads, &actor.policy.rules, &self.scope).await
    }

    fn access(&self, _: &ScopeRow, actor: &Actor) -> Access {
        access(&self.scope, Self::ACCESS, actor)
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, before: ScopeRow, plan: &mut Plan<'_>) -> Result<ScopeRow> {
        require_may(plan, &asked.scope, Self::ACCESS, &before).await?;
        require_may_place(plan)?;
        let mut checks = Checks::default();
        let parent = match &asked.parent {
            Some(parent) => read(&mut checks, plan, "parent", parent)?,
            None => None,
        };
        checks.finish()?;
        expect_version(asked.expected_version, before.version)?;
        let parent = match &parent {
            Some(parent) => Some(outer(plan, &place::parsed(&before.scope)?, parent).await?),
            None => None,
        };
        if parent == before.parent {
            return Ok(before);
        }
        let after = ScopeRow { parent, updated_at: plan.now, ..before.clone() };
        rights::require_after(plan, "scope:update", Some(&before), &after).await?;
        plan.rely_on_policy();
        nest(plan, &after.scope, after.parent.as_deref())?;
        Ok(plan.update(&before, after))
    }
}

#[boxed_async]
impl Operation for DeleteScope {
    type Target = ScopeRow;
    type Valid = Self;

    const ACCESS: Access = Access::Permission("scope:delete");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<ScopeRow> {
        target(reads, &actor.policy.rules, &self.scope).await
    }

    fn access(&self, _: &ScopeRow, actor: &Actor) -> Access {
        access(&self.scope, Self::ACCESS, actor)
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, row: ScopeRow, plan: &mut Plan<'_>) -> Result<()> {
        require_may(plan, &asked.scope, Self::ACCESS, &row).await?;
        expect_version(asked.expected_version, row.version)?;
        leave(plan, &row.scope)?;
        if records_of(plan.rules(), &row.kind).is_none() {
            end(plan, &place::parsed(&row.scope)?).await?;
        }
        plan.delete(&row);
        Ok(())
    }
}
