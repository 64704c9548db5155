//! Users as the rules see them: their attributes and the roles they hold, read from the storage.

use std::collections::HashMap;

use super::{held, reads::Reads};
use crate::{
    model::{
        attributes::{self, Attributes},
        error::Result,
        id::UserId,
        predicate::{Name, Predicate},
        record::{Kind, Record},
        registry::Guard,
        role_assignment::RoleAssignment,
        time::Time,
        user::{User, UserStatus},
        value::Value,
    },
    rules::{Scope, StoredAssignment, StoredPrincipal},
};

/// Reads the facts of users; those that do not exist are left out. Their version is that of their guard, 0 where
/// there is none. Four reads, however many users, and two more where one of them is in a group.
pub async fn load(reads: Reads<'_>, ids: &[UserId], now: Time) -> Result<Vec<StoredPrincipal>> {
    // The guards first: a change in between makes what is committed on these rights stale, never the reverse.
    let guards: Vec<Guard> = reads.many(ids.iter().map(|id| (Guard::of_user(*id),))).await?;
    let versions: HashMap<String, i64> = guards.into_iter().map(|guard| (guard.name, guard.version)).collect();
    let users: Vec<User> = reads.many(ids.iter().map(|id| (*id,))).await?;
    let mut held: HashMap<UserId, Vec<StoredAssignment>> = HashMap::new();
    let mut values: Vec<Value> = users.iter().map(|user| Value::Id(user.id.0)).collect();
    values.sort_unstable();
    values.dedup();
    for assignment in reads.all::<RoleAssignment>(Predicate::In("user_id".into(), values.clone().into())).await? {
        // A scope that cannot be read covers nothing.
        let Ok(scope) = assignment.scope.parse::<Scope>() else { continue };
        let (valid_from, valid_until) = (assignment.valid_from, assignment.valid_until);
        let facts = StoredAssignment { valid_from, valid_until, ..StoredAssignment::new(assignment.role, scope) };
        held.entry(assignment.user_id).or_default().push(facts);
    }
    for (user, facts) in held::stored_by_groups(reads, values).await? {
        held.entry(user).or_default().push(facts);
    }
    let facts = users.into_iter().map(|user| {
        let (is_active, status) = (user.is_active(now), user.status_at(now));
        let suspended_until = user.suspended_until.filter(|_| user.status == UserStatus::Suspended);
        let has_ended = |until: &Time| *until <= now;
        let held_attributes = user.attributes.clone();
        let (id, is_verified) = (user.id, user.email_verified);
        // A suspension that has run out is none any more.
        let row = user.shown_at(now).to_row();
        // Documents are no attributes.
        let columns = User::TABLE.columns.iter().zip(row.0).filter(|(column, _)| column.kind != Kind::Json);
        StoredPrincipal {
            id: id.0,
            is_active,
            status: status.to_string().into(),
            is_verified,
            // Sessions say so of who asks; about others all their roles count.
            has_two_factors: true,
            attributes: columns
                .map(|(column, value)| (column.name.into(), value))
                .chain(held_attributes.into_iter().flat_map(members))
                .collect(),
            assignments: held.get(&id).cloned().unwrap_or_default(),
            good_from: suspended_until.filter(has_ended),
            good_until: suspended_until.filter(|until| !has_ended(until)),
            version: versions.get(&Guard::of_user(id)).copied().unwrap_or(0),
        }
    });
    Ok(facts.collect())
}

/// The attributes that the policy may declare.
fn members(held: Attributes) -> impl Iterator<Item = (Name, Value)> {
    let declared = held.0.into_iter().filter(|(member, _)| attributes::parts(member).1 != attributes::FREE);
    declared.map(|(member, held)| {
        let value = attributes::read(&member, held);
        (member.into(), value)
    })
}
