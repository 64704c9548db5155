//! All that is held about somebody, in one document (USR-13).

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::{
    audit_chain::AuditEntry,
    model::{
        error::Result,
        id::UserId,
        invitation::Invitation,
        predicate::Predicate,
        record::{Record, Row, Table},
        session::Session,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        audit::{self, AuditView},
        plan::Plan,
        reads::Reads,
        services::Services,
    },
    storage::{Direction, Order, Query, Window},
};

/// So many entries of the audit log are exported, the newest.
const MOST_ENTRIES: usize = 1_000;

/// Exports everything that is stored about a user: the account and what belongs to it, without secrets, and what the audit log says about
/// it.
///
/// Users may export their own data; exporting that of others needs permission `user:export`, also if they are deleted but not yet purged.
/// The audit log records it. Errors: `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last five
/// minutes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExportUser {
    /// The user's id; the caller's own if not given.
    pub id: Option<UserId>,
}

/// Everything that is stored about a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct UserExport {
    /// The user's id.
    pub id: UserId,
    /// When it was exported.
    pub at: Time,
    /// The rows that are stored about the user, by table (`users`, `sessions`, `role_assignments`, …): lists of objects whose fields are
    /// the columns. Secrets, such as password hashes, are left out, and so are tables without rows.
    pub records: Json,
    /// The audit log's entries about the user, and about what the user did, newest first: up to 1,000. What the user changed of others is
    /// left out, as are the IP addresses, user agents and sessions of others who changed the account.
    pub audit: Vec<AuditView>,
    /// Whether there are older entries.
    pub has_older_entries: bool,
}

#[portable_async]
impl Operation for ExportUser {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:export");
    const MAY_BE_OWN: bool = true;
    const NEEDS_FRESH: bool = true;
    const IS_DEFERRED: bool = true;

    async fn target(&self, reads: Reads<'_>, actor: &Actor) -> Result<User> {
        let id = match self.id {
            Some(id) => id,
            None => actor.signed_in()?.id,
        };
        reads.require(&(id,), "user").await
    }

    fn access(&self, target: &User, actor: &Actor) -> Access {
        if actor.user_id() == Some(target.id) { Access::SignedIn } else { Self::ACCESS }
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserExport> {
        administrators::require_may_act_as(plan, user.id).await?;
        let mut records = Map::new();
        let mut held = plan.held_of(&user).await?;
        // What is kept for good when an account goes, or for its own time, is not among what goes with it.
        let accepted = plan.rows(Invitation::TABLE, &Predicate::equals("accepted_by", Value::Id(user.id.0))).await?;
        if !accepted.is_empty() {
            held.push((Invitation::TABLE, accepted));
        }
        for (table, rows) in held {
            let rows = rows.iter().map(|row| own_part(table, row));
            records.insert(table.name.to_owned(), rows.collect::<Result<_>>()?);
        }
        let (audit, has_older_entries) = entries(plan, user.id).await?;
        plan.audit("users.export", Some(("user", user.id.to_string())), None);
        Ok(UserExport { id: user.id, at: plan.now, records: records.into(), audit, has_older_entries })
    }
}

/// A row without secrets, and without from where somebody else acted as the user.
fn own_part(table: &'static Table, row: &Row) -> Result<Json> {
    let mut row = row.clone();
    if table.name == Session::TABLE.name {
        let session = Session::from_row(row)?;
        let own = session.impersonator_id.is_none();
        let (ip, user_agent) = (session.ip.clone().filter(|_| own), session.user_agent.clone().filter(|_| own));
        row = Session { ip, user_agent, ..session }.to_row();
    }
    let columns = table.columns.iter().zip(&row.0).filter(|(column, _)| !column.secret);
    Ok(columns.map(|(column, value)| (column.name.to_owned(), value.to_json())).collect())
}

/// What the audit log says, newest first, and whether it says more.
async fn entries(plan: &Plan<'_>, user: UserId) -> Result<(Vec<AuditView>, bool)> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    let [by, about] = ["actor", "target_id"].map(|column| Predicate::equals(column, Value::Text(user.to_string())));
    for filter in [by.clone(), about.and(by.negate())] {
        let order = vec![Order { column: "at".into(), direction: Direction::Descending }];
        let window = Window { limit: Some(MOST_ENTRIES as u64 + 1), ..Window::default() };
        let query = Query { order, window, ..Query::of(AuditEntry::TABLE, filter) };
        entries.extend(plan.reads().query::<AuditEntry>(&query).await?);
    }
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.at, entry.lane, entry.seq)));
    let has_older = entries.len() > MOST_ENTRIES;
    entries.truncate(MOST_ENTRIES);
    let mut views = audit::shown(plan, entries).await?;
    let user = user.to_string();
    for view in &mut views {
        if view.target_id.as_ref() != Some(&user) {
            (view.before, view.after, view.detail) = (None, None, None);
        }
        if view.actor != user {
            (view.ip, view.user_agent, view.session_id) = (None, None, None);
        }
    }
    Ok((views, has_older))
}
