//! What is still kept of a person beside the audit log, when the account is gone.

use super::{BATCH, Step, about::Person};
use crate::{
    model::{
        error::Result,
        id::UserId,
        invitation::Invitation,
        notice::PendingNotice,
        predicate::Predicate,
        record::{Record, Row, Table},
        registration::PendingRegistration,
        registry::Claim,
        session::Session,
        user::User,
        value::Value,
    },
    operations::{plan::gone_with, services::Services},
    storage::{Query, Window, Write},
};

/// At most some hundreds of them, into a step.
pub(super) async fn of(services: &Services, person: &Person, user: UserId, step: &mut Step) -> Result<()> {
    // What came to belong to the account while it was erased.
    for (table, column) in gone_with(User::TABLE) {
        let is_its = Predicate::equals(table.columns[column].name, Value::Id(user.0));
        let rows = services.storage.query(&Query { window: batch(None), ..Query::of(table, is_its) }).await?.rows;
        step.rows.extend(rows.iter().map(|row| deleted_row(table, row)));
    }
    // From where it acted as others.
    let is_its = |session: &Session| {
        session.impersonator_id == Some(user) && (session.ip.is_some() || session.user_agent.is_some())
    };
    for session in kept(services, is_its).await? {
        let (expected, version) = (Some(session.version), session.version + 1);
        let row = Session { ip: None, user_agent: None, version, ..session.clone() };
        step.rows.push(Write {
            table: Session::TABLE,
            key: session.key(),
            expected,
            row: Some(row.to_row()),
            before: None,
        });
    }
    let is_its = |pending: &PendingRegistration| person.has(&pending.email, pending.created_at);
    step.rows.extend(kept(services, is_its).await?.iter().map(deleted));
    let is_its = |notice: &PendingNotice| {
        let mut texts = [&notice.address, &notice.identifier].into_iter().flatten();
        notice.user_id.is_none() && texts.any(|text| person.has(text, notice.at))
    };
    step.rows.extend(kept(services, is_its).await?.iter().map(deleted));
    for invitation in kept(services, |invitation: &Invitation| person.was_invited(invitation)).await? {
        let keys = Claim::keys(Claim::INVITATION, &invitation.email);
        let claims: Vec<Claim> = services.reads().many(keys).await?;
        step.rows.extend(claims.iter().filter(|claim| claim.owner == invitation.id.to_string()).map(deleted));
        step.rows.push(deleted(&invitation));
        step.invitations.push(invitation.id.to_string());
    }
    Ok(())
}

/// The rows of a table that pass, at most a batch.
async fn kept<R: Record>(services: &Services, is_of: impl Fn(&R) -> bool) -> Result<Vec<R>> {
    let (mut found, mut after) = (Vec::new(), None);
    while (found.len() as u64) < BATCH {
        let query = Query { window: batch(after), ..Query::of(R::TABLE, Predicate::Always) };
        let rows: Vec<R> = services.reads().query(&query).await?;
        let is_end = (rows.len() as u64) < BATCH;
        after = rows.last().map(|row| row.key().0);
        found.extend(rows.into_iter().filter(|row| is_of(row)));
        if is_end {
            break;
        }
    }
    Ok(found)
}

fn batch(after: Option<Vec<Value>>) -> Window {
    Window { after, skip: 0, limit: Some(BATCH) }
}

fn deleted<R: Record>(record: &R) -> Write {
    deleted_row(R::TABLE, &record.to_row())
}

fn deleted_row(table: &'static Table, row: &Row) -> Write {
    Write { table, key: table.key_of(row), expected: Some(table.version_of(row)), row: None, before: None }
}
