//! Roles of the policy, and who holds them (RBC-2, RBC-3).

mod assign_many;
mod held;
mod manage;

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{
    Access, Operation, Visible,
    actor::Actor,
    administrators::{self, GLOBAL},
    held::Held,
    listing,
    plan::Plan,
    reads::{Ahead, Reads},
    services::Services,
    users::existing,
};
use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        invitation::StoredRole,
        page::{Page, PageRequest},
        predicate::Predicate,
        registry::Guard,
        text,
        time::Time,
        user::User,
    },
    rules::{RuleSet, Scope},
    storage::{Direction, Order},
};

pub use crate::model::role_assignment::RoleAssignment;
pub use assign_many::{AssignRoles, NewRoleAssignment};
pub use held::{GroupBrief, HeldRole, MyRoles};
pub(in crate::operations) use held::{by_groups, may_see, sort};
pub use manage::{
    CreateRole, DeleteRole, DeletedRole, GetRole, ListRoles, NewGrant, RoleDetails, RoleGrant, RoleView, UpdateRole,
};
pub(in crate::operations) use manage::{MAX_DESCRIPTION, shown, stored, without_role};

impl Visible for RoleAssignment {
    const READ: &'static str = "role:read";
}

/// Assigns a role to a user, everywhere or in a scope, for ever or for a time.
///
/// Permission `role:assign`, and for now `admin:all`. Errors: `DUPLICATE_RESOURCE` if the user holds it in this scope already.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignRole {
    /// The user's id.
    pub user_id: UserId,
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

/// Removes a role from a user.
///
/// Permission `role:assign`, and for now `admin:all`. Errors: `CONFLICT` for the last active administrator.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct UnassignRole {
    /// The user's id.
    pub user_id: UserId,
    /// The role's name.
    pub role: String,
    /// The scope it is held in; `global` if not given.
    pub scope: Option<String>,
}

/// Lists the roles that were assigned to users directly: those of one user, of one role, or all.
///
/// Permission `role:read`. For roles that users hold through groups use `users.overview`, for those of a group `groups.roles`;
/// `users.list` with a `role` finds the users who hold it either way.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListAssignments {
    /// Only assignments of this user.
    pub user_id: Option<UserId>,
    /// Only assignments of this role.
    pub role: Option<String>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// A valid assignment.
struct NewAssignment {
    role: String,
    scope: Scope,
    valid_from: Option<Time>,
    valid_until: Option<Time>,
    reason: Option<String>,
}

#[boxed_async]
impl Operation for AssignRole {
    type Target = User;
    /// Checked once it is known that the caller may give roles: what is wrong says which there are.
    type Valid = Self;

    const ACCESS: Access = Access::Permission("role:assign");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        reads.ahead(Ahead::new().row::<User>(&(self.user_id,)).guard(Guard::of_user(self.user_id))).await?;
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, user: User, plan: &mut Plan<'_>) -> Result<RoleAssignment> {
        plan.require_administrator()?;
        let mut checks = Checks::default();
        let new = asked.check(&mut checks, plan.rules(), plan.now);
        checks.finish()?;
        new.give(plan, &user).await
    }
}

impl AssignRole {
    /// The assignment that is meant, unless something wrong is noted.
    fn check(&self, checks: &mut Checks, rules: &RuleSet, now: Time) -> NewAssignment {
        let (valid_from, valid_until) = (self.valid_from, self.valid_until);
        let terms = Terms { role: &self.role, scope: self.scope.as_deref(), valid_from, valid_until };
        let scope = check_terms(checks, rules, &terms, now).unwrap_or(Scope::Global);
        let reason = checks.optional("reason", self.reason.as_deref(), |reason| text::name(reason, 500));
        NewAssignment { role: self.role.clone(), scope, valid_from, valid_until, reason }
    }
}

impl NewAssignment {
    /// Plans it.
    async fn give(&self, plan: &mut Plan<'_>, user: &User) -> Result<RoleAssignment> {
        let scope = super::scopes::live(plan, &self.scope).await?;
        give(plan, user, &self.role, &scope, self.valid_from, self.valid_until, self.reason.clone()).await
    }
}

/// On what terms somebody is to hold a role, as an input says it.
pub(super) struct Terms<'t> {
    pub(super) role: &'t str,
    pub(super) scope: Option<&'t str>,
    pub(super) valid_from: Option<Time>,
    pub(super) valid_until: Option<Time>,
}

/// The scope of a role that may be held on such terms; none: what is wrong was noted.
pub(super) fn check_terms(checks: &mut Checks, rules: &RuleSet, terms: &Terms<'_>, now: Time) -> Option<Scope> {
    let mut own = Vec::new();
    let problem = rules.role(terms.role).err();
    if let Some(problem) = &problem {
        checks.unknown("role", FieldCode::NotFound, problem);
    }
    let (scope, wrong) = read_scope(rules, terms.role, terms.scope);
    own.extend(wrong.into_iter().map(|wrong| ("scope", wrong)));
    let out_of_range = |message: &str| ("valid_until", Invalid::new(FieldCode::OutOfRange, message));
    if let (Some(from), Some(until)) = (terms.valid_from, terms.valid_until)
        && until <= from
    {
        own.push(out_of_range("must be after valid_from"));
    }
    if terms.valid_until.is_some_and(|until| until <= now) {
        own.push(out_of_range("must be in the future"));
    }
    let is_right = own.is_empty() && problem.is_none();
    own.into_iter().for_each(|(field, wrong)| checks.error(field, wrong));
    is_right.then_some(scope)
}

#[boxed_async]
impl Operation for UnassignRole {
    type Target = User;
    /// Checked as [`AssignRole`] is.
    type Valid = Self;

    const ACCESS: Access = Access::Permission("role:assign");

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        reads.ahead(Ahead::new().row::<User>(&(self.user_id,)).guard(Guard::of_user(self.user_id))).await?;
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        Ok(self)
    }

    async fn plan(asked: &Self, user: User, plan: &mut Plan<'_>) -> Result<()> {
        plan.require_administrator()?;
        let mut checks = Checks::default();
        let (scope, wrong) = read_scope(plan.rules(), "", asked.scope.as_deref());
        wrong.into_iter().for_each(|wrong| checks.error("scope", wrong));
        checks.finish()?;
        let scope = super::scopes::live(plan, &scope).await?;
        let held = plan.reads().get(&(user.id, asked.role.clone(), scope)).await?;
        let held: RoleAssignment = held.ok_or_else(|| Error::not_found("role assignment"))?;
        take(plan, &user, &[held]).await
    }
}

/// The scope that a text names for a role, and what is wrong with it.
pub(super) fn read_scope(rules: &RuleSet, role: &str, scope: Option<&str>) -> (Scope, Vec<Invalid>) {
    let scope = match scope.unwrap_or(GLOBAL).parse::<Scope>() {
        Ok(scope) => scope,
        Err(problem) => return (Scope::Global, vec![Invalid::new(FieldCode::InvalidFormat, problem.to_string())]),
    };
    let mut wrong = Vec::new();
    if let Some(problem) = rules.check_scope(&scope).err().filter(|_| !super::scopes::is_by_code(rules, &scope)) {
        wrong.push(Invalid::new(FieldCode::UnknownValue, problem.message()));
    }
    if scope != Scope::Global && rules.administrator_roles().contains(&role) {
        let message = "a role that holds `admin:all` can only be held everywhere";
        wrong.push(Invalid::new(FieldCode::Disagrees, message));
    }
    (scope, wrong)
}

/// Plans an assignment.
pub(super) async fn give(
    plan: &mut Plan<'_>,
    user: &User,
    role: &str,
    scope: &str,
    valid_from: Option<Time>,
    valid_until: Option<Time>,
    reason: Option<String>,
) -> Result<RoleAssignment> {
    let held = held(plan, user, role, scope).await?;
    if held.is_some_and(|held| !Held::from(&held).has_ended(plan.now)) {
        let message = format!("the user holds the role {role} there already");
        return Err(Error::new(Reason::AlreadyAssigned, message));
    }
    put(plan, user, role, scope, valid_from, valid_until, reason).await
}

async fn held(plan: &Plan<'_>, user: &User, role: &str, scope: &str) -> Result<Option<RoleAssignment>> {
    plan.reads().get(&(user.id, role.to_owned(), scope.to_owned())).await
}

/// Plans an assignment, in place of one that ended or is narrower.
pub(super) async fn put(
    plan: &mut Plan<'_>,
    user: &User,
    role: &str,
    scope: &str,
    valid_from: Option<Time>,
    valid_until: Option<Time>,
    reason: Option<String>,
) -> Result<RoleAssignment> {
    let before = held(plan, user, role, scope).await?;
    let after = RoleAssignment {
        user_id: user.id,
        role: role.to_owned(),
        scope: scope.to_owned(),
        valid_from,
        valid_until,
        assigned_by: plan.actor.name(),
        assigned_at: plan.now,
        reason,
        version: before.as_ref().map_or(0, |before| before.version),
    };
    join(plan, user, scope).await?;
    Ok(match before {
        Some(before) => plan.update(&before, after),
        None => plan.insert(after),
    })
}

/// Somebody comes to hold a role: the user must not be deleted meanwhile, nor what the scope names.
async fn join(plan: &mut Plan<'_>, user: &User, scope: &str) -> Result<()> {
    plan.check(user);
    plan.move_authority(user.id).await?;
    super::scopes::join(plan, scope).await
}

/// Plans a role that an invitation brings, given by whoever invited: whether that one may is asked by whoever calls this. What the user
/// holds there already is made no narrower.
pub(super) async fn bring(plan: &mut Plan<'_>, user: &User, role: &StoredRole, by: String) -> Result<()> {
    let before = held(plan, user, &role.role, &role.scope).await?;
    let is_less = |held: &RoleAssignment| {
        let begins_within = role.valid_from.is_none_or(|from| held.valid_from.is_some_and(|held| from <= held));
        let ends_within = role.valid_until.is_none_or(|until| held.valid_until.is_some_and(|held| held <= until));
        let is_same = held.valid_from == role.valid_from && held.valid_until == role.valid_until;
        begins_within && ends_within && !is_same || Held::from(held).has_ended(plan.now)
    };
    if before.as_ref().is_some_and(|held| !is_less(held)) {
        return Ok(());
    }
    join(plan, user, &role.scope).await?;
    let after = RoleAssignment {
        user_id: user.id,
        role: role.role.clone(),
        scope: role.scope.clone(),
        valid_from: role.valid_from,
        valid_until: role.valid_until,
        assigned_by: by,
        assigned_at: plan.now,
        reason: None,
        version: before.as_ref().map_or(0, |before| before.version),
    };
    plan.write_consequence(before.as_ref(), after);
    Ok(())
}

/// Plans the end of assignments of one user.
pub(super) async fn take(plan: &mut Plan<'_>, user: &User, held: &[RoleAssignment]) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    // It must not be activated meanwhile, when it counts.
    plan.check(user);
    if user.is_active(plan.now) {
        administrators::require_one_left(plan, &Held::all(held)).await?;
    }
    held.iter().for_each(|assignment| plan.delete(assignment));
    plan.move_authority(user.id).await
}

#[boxed_async]
impl Operation for ListAssignments {
    type Target = ();
    type Valid = (PageRequest, Predicate);

    const ACCESS: Access = Access::Permission("role:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<(PageRequest, Predicate)> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        let filter = Predicate::all([
            self.user_id.map_or(Predicate::Always, |user| Predicate::equals("user_id", user.0)),
            self.role.map_or(Predicate::Always, |role| Predicate::equals("role", role)),
        ]);
        Ok((page, filter))
    }

    async fn plan(
        (page, filter): &(PageRequest, Predicate),
        (): (),
        plan: &mut Plan<'_>,
    ) -> Result<Page<RoleAssignment>> {
        let order = vec![Order { column: "user_id".into(), direction: Direction::Ascending }];
        listing::page(plan, page, "role:read", filter.clone(), order).await
    }
}
