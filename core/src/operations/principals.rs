//! A user as the rules see it: its attributes and the roles it holds, read from the storage.

use super::{reads::Reads, services::Services};
use crate::{
    model::{
        error::Result,
        id::UserId,
        predicate::Predicate,
        record::Record,
        registry::Guard,
        role_assignment::RoleAssignment,
        time::Time,
        user::{User, UserStatus},
    },
    rules::{AssignmentFacts, PrincipalFacts, Scope},
};

/// Reads a user's facts; none: there is no such user. Their version is that of its guard, 0 where there is none.
pub async fn load(services: &Services, id: UserId, now: Time) -> Result<Option<PrincipalFacts>> {
    read(services.reads(), id, now).await
}

/// [`load`] by the reads of a plan.
pub async fn read(reads: Reads<'_>, id: UserId, now: Time) -> Result<Option<PrincipalFacts>> {
    // The guard first: a change in between makes what is committed on these rights stale, never the reverse.
    let authority = reads.guard(&Guard::of_user(id)).await?;
    let Some(user) = reads.get::<User>(&(id,)).await? else { return Ok(None) };
    let held: Vec<RoleAssignment> = reads.all(Predicate::equals("user_id", id.0)).await?;
    let is_active = user.is_active(now);
    let assignments = held.into_iter().filter_map(|assignment| {
        // A scope that cannot be read covers nothing.
        let scope = assignment.scope.parse::<Scope>().ok()?;
        let (from, until) = (assignment.valid_from, assignment.valid_until);
        Some(AssignmentFacts { from, until, ..AssignmentFacts::new(assignment.role, scope) })
    });
    let row = user.to_row();
    let columns = User::TABLE.columns.iter().zip(row.0);
    Ok(Some(PrincipalFacts {
        id: id.0,
        is_active,
        status: user.status.to_string().into(),
        is_verified: user.email_verified,
        attributes: columns.map(|(column, value)| (column.name.into(), value)).collect(),
        assignments: assignments.collect(),
        good_until: user.suspended_until.filter(|_| user.status == UserStatus::Suspended && !is_active),
        version: authority.unwrap_or(0),
    }))
}
