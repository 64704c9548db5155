//! Giving many roles at once.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{AssignRole, RoleAssignment};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        input::Limits,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, plan::Plan, services::Services, users::existing},
};

/// So many are given at a time.
const MOST: usize = 1_000;

/// Gives many roles to users, in one commit: all, or none.
///
/// Permission `role:assign`, and for now `admin:all`. Errors: `VALIDATION_ERROR` with all wrong fields (`assignments[3].role`), a user
/// that does not exist or holds the role in this scope already among them.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignRoles {
    /// The roles to assign; at most 1,000.
    pub assignments: Vec<NewRoleAssignment>,
}

/// A role to assign to a user.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
#[non_exhaustive]
pub struct NewRoleAssignment {
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

#[boxed_async]
impl Operation for AssignRoles {
    type Target = ();
    /// Checked once it is known that the caller may give roles, as [`AssignRole`] is.
    type Valid = Vec<AssignRole>;

    const ACCESS: Access = Access::Permission("role:assign");
    const LIMITS: Limits = Limits::ROWS;
    // A page has a few users, and `roles.assign`.
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        if self.assignments.len() > MOST {
            return Err(wrong("assignments", FieldCode::TooLong, format!("must have at most {MOST} items")));
        }
        Ok(self.assignments.into_iter().map(AssignRole::from).collect())
    }

    async fn plan(asked: &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Vec<RoleAssignment>> {
        plan.require_administrator()?;
        // What can be told without a row comes first, and together: of many names only a few are said that may have been meant.
        let (mut checks, mut new) = (Checks::default(), Vec::new());
        for (at, one) in asked.iter().enumerate() {
            checks.part(&part(at));
            new.push(one.check(&mut checks, plan.rules(), plan.now));
        }
        checks.whole();
        checks.finish()?;
        plan.read_ahead::<User>(asked.iter().map(|one| (one.user_id,)).collect()).await?;
        let (mut checks, mut given) = (Checks::default(), Vec::new());
        for (at, (one, new)) in asked.iter().zip(&new).enumerate() {
            checks.part(&part(at));
            let assigned = match existing(plan.reads(), one.user_id).await {
                Ok(user) => new.give(plan, &user).await,
                Err(missing) => Err(missing),
            };
            match assigned {
                Ok(assignment) => given.push(assignment),
                Err(error) => note(&mut checks, error)?,
            }
        }
        checks.whole();
        checks.finish()?;
        Ok(given)
    }
}

fn part(at: usize) -> String {
    format!("assignments[{at}]")
}

/// Notes what is wrong with one assignment; any other error ends all of them.
fn note(checks: &mut Checks, error: Error) -> Result<()> {
    match error.reason() {
        Reason::NotFound => checks.error("user_id", Invalid::new(FieldCode::NotFound, error.message())),
        Reason::AlreadyAssigned => checks.error("role", Invalid::new(FieldCode::Taken, error.message())),
        Reason::InvalidInput => {
            error.fields().iter().for_each(|one| checks.error(&one.field, Invalid::new(one.code, &*one.message)));
        }
        _ => return Err(error),
    }
    Ok(())
}

impl From<NewRoleAssignment> for AssignRole {
    fn from(new: NewRoleAssignment) -> Self {
        let NewRoleAssignment { user_id, role, scope, valid_from, valid_until, reason } = new;
        Self { user_id, role, scope, valid_from, valid_until, reason }
    }
}
