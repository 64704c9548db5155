//! Giving many roles at once.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{AssignRole, RoleAssignment, check, give};
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
    operations::{Access, Operation, plan::Plan, scopes, services::Services, users::existing},
};

/// So many are given at a time.
const MOST: usize = 1_000;

/// Gives many roles to users, in one commit: all, or none.
///
/// Permission `role:assign`, and for now `admin:all`. Errors name what they are about (`assignments[3].role`): `VALIDATION_ERROR` with
/// all wrong fields, a user that does not exist or holds the role in this scope already among them.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AssignRoles {
    /// Who is to hold which role; at most 1,000.
    pub assignments: Vec<NewRoleAssignment>,
}

/// A role that a user is to hold.
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

#[portable_async]
impl Operation for AssignRoles {
    type Target = ();
    /// Checked once it is known that the caller may give roles, as [`AssignRole`] is.
    type Valid = Vec<AssignRole>;

    const ACCESS: Access = Access::Permission("role:assign");
    const LIMITS: Limits = Limits::ROWS;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        if self.assignments.len() > MOST {
            return Err(wrong("assignments", FieldCode::TooLong, format!("must have at most {MOST} items")));
        }
        Ok(self.assignments.into_iter().map(AssignRole::from).collect())
    }

    async fn plan(asked: &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Vec<RoleAssignment>> {
        plan.require_administrator()?;
        let mut checks = Checks::default();
        let mut wanted = Vec::new();
        for (at, one) in asked.iter().enumerate() {
            checks.part(&format!("assignments[{at}]"));
            wanted.push(check(&mut checks, one, plan.rules(), plan.now));
        }
        checks.whole();
        checks.finish()?;
        plan.read_ahead::<User>(asked.iter().map(|one| (one.user_id,)).collect()).await?;
        let mut checks = Checks::default();
        let mut given = Vec::new();
        for (at, (one, new)) in asked.iter().zip(wanted).enumerate() {
            let Some(new) = new else { continue };
            checks.part(&format!("assignments[{at}]"));
            let assigned = async {
                let user = existing(plan.reads(), one.user_id).await.map_err(|error| about("user_id", error))?;
                let scope = scopes::live(plan, &new.scope).await.map_err(|error| about("scope", error))?;
                let given = give(plan, &user, &new.role, &scope, new.valid_from, new.valid_until, new.reason).await;
                given.map_err(|error| about("role", error))
            };
            match assigned.await {
                Ok(assignment) => given.push(assignment),
                Err((field, Ok(invalid))) => checks.error(field, invalid),
                Err((_, Err(error))) => return Err(error),
            }
        }
        checks.whole();
        checks.finish()?;
        Ok(given)
    }
}

/// What is wrong with a field of one assignment; any other error ends all of them.
fn about(field: &'static str, error: Error) -> (&'static str, Result<Invalid>) {
    let invalid = match (error.reason(), error.fields()) {
        (Reason::NotFound, _) => Ok(Invalid::new(FieldCode::NotFound, error.message())),
        (Reason::AlreadyAssigned, _) => Ok(Invalid::new(FieldCode::Taken, error.message())),
        (Reason::InvalidInput, [wrong, ..]) => Ok(Invalid::new(wrong.code, &*wrong.message)),
        _ => Err(error),
    };
    (field, invalid)
}

impl From<NewRoleAssignment> for AssignRole {
    fn from(new: NewRoleAssignment) -> Self {
        let NewRoleAssignment { user_id, role, scope, valid_from, valid_until, reason } = new;
        Self { user_id, role, scope, valid_from, valid_until, reason }
    }
}
