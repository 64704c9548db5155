//! The roles that members hold by their group.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{Group, GroupRole, members_of, move_members, require_administrator_without, target};
use crate::{
    model::{
        check::Checks,
        error::{Error, Reason, Result},
        id::{GroupId, UserId},
        page::{Page, PageRequest},
        predicate::Predicate,
        record::Record,
        text,
        time::Time,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        held::has_ended,
        listing,
        plan::Plan,
        reads::Reads,
        roles::{Terms, check_terms, read_scope},
        scopes,
        services::Services,
    },
    storage::{Direction, Order, Query},
};

/// So many roles a group has at most, each scope of one counted: each of its members holds them all.
const MOST_ROLES: usize = 200;

/// Gives a role to a group: its members hold it, everywhere or in a scope, for ever or for a time.
///
/// Permissions `role:assign`, and for now `admin:all`, and `group:read`. Errors: `DUPLICATE_RESOURCE` if the group holds it in this scope
/// already, `CONFLICT` if it holds 200 roles.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignGroupRole {
    /// The group's id.
    pub group_id: GroupId,
    /// The role's name.
    pub role: String,
    /// Where: `global` (the default), `region:ID`, `resource:TYPE:ID`, or `KIND:ID` of a kind that the policy declares.
    pub scope: Option<String>,
    /// From when, inclusive; at once if not given.
    pub valid_from: Option<Time>,
    /// Until when, exclusive, in the future; for ever if not given.
    pub valid_until: Option<Time>,
    /// Why, at most 500 characters.
    pub reason: Option<String>,
}

/// Removes a role from a group, and so from its members.
///
/// Permissions as for `assign_role`. Errors: `RESOURCE_NOT_FOUND` if the group does not hold it there, `CONFLICT` if no active administrator
/// would be left.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UnassignGroupRole {
    /// The group's id.
    pub group_id: GroupId,
    /// The role's name.
    pub role: String,
    /// The scope it is held in; `global` if not given.
    pub scope: Option<String>,
}

/// Lists the roles of a group, by name.
///
/// Permissions `role:read` and `group:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListGroupRoles {
    /// The group's id.
    pub group_id: GroupId,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for AssignGroupRole {
    type Target = Group;
    /// Checked once it is known that the caller may give roles: what is wrong says which there are.
    type Valid = Self;

    const ACCESS: Access = Access::Permission("role:assign");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, group: Group, plan: &mut Plan<'_>) -> Result<GroupRole> {
        plan.require_administrator()?;
        let mut checks = Checks::default();
        let (valid_from, valid_until) = (asked.valid_from, asked.valid_until);
        let terms = Terms { role: &asked.role, scope: asked.scope.as_deref(), valid_from, valid_until };
        let scope = check_terms(&mut checks, plan.rules(), &terms, plan.now);
        let reason = checks.optional("reason", asked.reason.as_deref(), |reason| text::name(reason, 500));
        checks.finish()?;
        let scope = scopes::live(plan, &scope.unwrap_or(crate::rules::Scope::Global)).await?;
        let held = super::roles_of(plan, group.id).await?;
        let before = held.iter().find(|held| held.role == asked.role && held.scope == scope).cloned();
        if before.as_ref().is_some_and(|held| held.valid_until.is_none_or(|until| until > plan.now)) {
            let message = format!("the group holds the role {} there already", asked.role);
            return Err(Error::new(Reason::AlreadyAssigned, message));
        }
        let is_full = before.is_none() && held.len() >= MOST_ROLES;
        let has_ended = |held: &&GroupRole| has_ended(held.valid_until, plan.now);
        let over = held.iter().filter(has_ended).min_by_key(|held| held.valid_until);
        if is_full && over.is_none() {
            return Err(Error::new(Reason::LimitReached, format!("a group has at most {MOST_ROLES} roles")));
        }
        // The role must still be there when the commit comes, whoever asks, and what the scope names.
        plan.rely_on_policy();
        scopes::join(plan, &scope).await?;
        move_members(plan, [group.id].into()).await?;
        // One that gives nothing any more makes room.
        if let Some(over) = over.filter(|_| is_full) {
            plan.delete_consequence(over);
        }
        let after = GroupRole {
            group_id: group.id,
            role: asked.role.clone(),
            scope,
            valid_from,
            valid_until,
            assigned_by: plan.actor.name(),
            assigned_at: plan.now,
            reason,
            version: before.as_ref().map_or(0, |before| before.version),
        };
        Ok(plan.write_consequence(before.as_ref(), after))
    }
}

#[boxed_async]
impl Operation for UnassignGroupRole {
    type Target = Group;
    /// Checked as [`AssignGroupRole`] is.
    type Valid = Self;

    const ACCESS: Access = Access::Permission("role:assign");
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, group: Group, plan: &mut Plan<'_>) -> Result<()> {
        plan.require_administrator()?;
        let mut checks = Checks::default();
        let (scope, wrong) = read_scope(plan.rules(), "", asked.scope.as_deref());
        wrong.into_iter().for_each(|wrong| checks.error("scope", wrong));
        checks.finish()?;
        let scope = scopes::live(plan, &scope).await?;
        let held: Option<GroupRole> = plan.reads().get(&(group.id, asked.role.clone(), scope)).await?;
        let held = held.ok_or_else(|| Error::not_found("role assignment"))?;
        let members: Vec<UserId> =
            members_of(plan, [group.id]).await?.into_iter().map(|member| member.user_id).collect();
        require_administrator_without(plan, &members, std::slice::from_ref(&held)).await?;
        super::end_roles(plan, vec![held]).await
    }
}

#[boxed_async]
impl Operation for ListGroupRoles {
    type Target = Group;
    type Valid = PageRequest;

    const ACCESS: Access = Access::Permission("role:read");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<Group> {
        target(reads, self.group_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        self.page_request().checked()
    }

    async fn plan(page: &PageRequest, group: Group, plan: &mut Plan<'_>) -> Result<Page<GroupRole>> {
        let order = vec![Order { column: "group_id".into(), direction: Direction::Ascending }];
        let query = Query { order, ..Query::of(GroupRole::TABLE, Predicate::equals("group_id", group.id.0)) };
        listing::page_of(plan, page, query).await
    }
}
