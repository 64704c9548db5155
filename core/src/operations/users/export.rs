//! All that is held about somebody, in one document (USR-13).

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::{
    audit_chain::AuditEntry,
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Reason, Result},
        id::UserId,
        invitation::Invitation,
        predicate::Predicate,
        record::{Record, ResourceRecord, Row, Table},
        registry::Claim,
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
        listing,
        plan::Plan,
        reads::Reads,
        services::Services,
    },
    storage::{Direction, Order, Query, Window},
};

/// So many entries of the audit log are exported at a time.
const MOST_ENTRIES: usize = 1_000;

/// Exports everything that is stored about a user: the account and what belongs to it, without secrets, and what the audit log says about
/// it, of which older entries are exported by further calls with `audit_cursor`.
///
/// Users may export their own data; exporting that of others needs permission `user:export`, also if they are deleted but not yet purged.
/// The audit log records it. Errors: `UNAUTHORIZED`, reason `step_up_required`, if the caller did not authenticate within the last five
/// minutes; `VALIDATION_ERROR` for a cursor that is not one of this user's export.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExportUser {
    /// The user's id; the caller's own if not given.
    pub id: Option<UserId>,
    /// The `next_audit_cursor` of the export so far: exports the older entries of the audit log, and no records.
    pub audit_cursor: Option<String>,
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
    /// the columns. Secrets, such as password hashes, are left out, and so are tables without rows. Empty where older entries of the audit
    /// log are exported.
    pub records: Json,
    /// The audit log's entries about the user, and about what the user did, newest first: up to 1,000, and the older ones by
    /// `next_audit_cursor`. Left out are what the user changed of others and who they are, refusals that said that something does not exist,
    /// and of others who changed the account IP addresses, user agents, sessions and why they did so.
    pub audit: Vec<AuditView>,
    /// Pass it as `audit_cursor` for the entries that are older than these; null if there are none.
    pub next_audit_cursor: Option<String>,
}

#[boxed_async]
impl Operation for ExportUser {
    type Target = User;
    type Valid = Option<String>;

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

    async fn validate(self, _: &Services, _: Time) -> Result<Option<String>> {
        Ok(self.audit_cursor)
    }

    async fn plan(cursor: &Option<String>, user: User, plan: &mut Plan<'_>) -> Result<UserExport> {
        administrators::require_may_act_as(plan, user.id).await?;
        let (audit, next_audit_cursor) = entries(plan, user.id, cursor.as_deref()).await?;
        let records = match cursor {
            Some(_) => Map::new(),
            None => records(plan, &user).await?,
        };
        plan.audit("users.export", Some(("user", user.id.to_string())), None);
        Ok(UserExport { id: user.id, at: plan.now, records: records.into(), audit, next_audit_cursor })
    }
}

/// The rows about a user, by table.
async fn records(plan: &Plan<'_>, user: &User) -> Result<Map<String, Json>> {
    let mut records = Map::new();
    let mut held = plan.held_of(user).await?;
    // What is kept for good when an account goes, or for its own time, is not among what goes with it.
    let accepted = plan.rows(Invitation::TABLE, &Predicate::equals("accepted_by", Value::Id(user.id.0))).await?;
    if !accepted.is_empty() {
        held.push((Invitation::TABLE, accepted));
    }
    let is_its = Predicate::equals("owner", Value::Text(user.id.to_string()));
    let of_imports = is_its.and(Predicate::StartsWith("kind".into(), Claim::IMPORT.to_owned()));
    let ids_at_sources = plan.rows(Claim::TABLE, &of_imports).await?;
    if !ids_at_sources.is_empty() {
        held.push((Claim::TABLE, ids_at_sources));
    }
    for (table, rows) in held {
        let rows = rows.iter().map(|row| own_part(table, row));
        records.insert(table.name.to_owned(), rows.collect::<Result<_>>()?);
    }
    Ok(records)
}

/// A row without secrets, and without from where somebody else acted as the user.
fn own_part(table: &'static Table, row: &Row) -> Result<Json> {
    let mut row = row.clone();
    if table.name == Session::TABLE.name {
        let session = Session::from_row(row)?;
        let own = session.impersonator_id.is_none();
        let impersonator_session_id = session.impersonator_session_id.filter(|_| own);
        let (ip, user_agent) = (session.ip.clone().filter(|_| own), session.user_agent.clone().filter(|_| own));
        row = Session { ip, user_agent, impersonator_session_id, ..session }.to_row();
    }
    let columns = table.columns.iter().zip(&row.0).filter(|(column, _)| !column.secret);
    Ok(columns.map(|(column, value)| (column.name.to_owned(), value.to_json())).collect())
}

/// What the audit log says behind a cursor, newest first, and the cursor behind that, if it says more.
async fn entries(plan: &Plan<'_>, user: UserId, cursor: Option<&str>) -> Result<(Vec<AuditView>, Option<String>)> {
    let newest = |column: &'static str| Order { column: column.into(), direction: Direction::Descending };
    // Those of different lanes follow by their times.
    let order = vec![newest("at"), newest("lane"), newest("seq")];
    let mut query = Query { order, ..Query::of(AuditEntry::TABLE, Predicate::Never) };
    let asked = format!("users.export {user}");
    let after = cursor.map(|cursor| listing::position_behind(plan, &query, &asked, cursor)).transpose();
    let not_a_cursor = |_| wrong("audit_cursor", FieldCode::InvalidFormat, "is not a cursor of an export of this user");
    query.window =
        Window { after: after.map_err(not_a_cursor)?, limit: Some(MOST_ENTRIES as u64 + 1), ..Window::default() };
    let mut entries: Vec<AuditEntry> = Vec::new();
    let [by, about] = ["actor", "target_id"].map(|column| Predicate::equals(column, Value::Text(user.to_string())));
    for filter in [by.clone(), about.and(by.negate())] {
        query.filter = filter;
        entries.extend(plan.reads().query::<AuditEntry>(&query).await?);
    }
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.at, entry.lane, entry.seq)));
    let has_older = entries.len() > MOST_ENTRIES;
    entries.truncate(MOST_ENTRIES);
    let next = match entries.last() {
        Some(last) if has_older => Some(listing::cursor_behind(plan, &query, &asked, &last.to_row())?),
        _ => None,
    };
    let views = audit::shown(plan, entries).await?.into_iter().filter_map(|view| own_view(view, &user.to_string()));
    Ok((views.collect(), next))
}

/// An entry as the user may read it: without what is others'. None: it tells of something that was hidden from the user.
fn own_view(mut view: AuditView, user: &str) -> Option<AuditView> {
    let (is_about, is_by) = (view.target_id.as_deref() == Some(user), view.actor == user);
    if is_by && view.action == audit::DENIED {
        // How often it was so counts what was hidden, too.
        let detail = view.detail.take().unwrap_or_default();
        let of_one = detail.split("; ").next().unwrap_or_default().to_owned();
        if of_one.ends_with(&format!(": {}", Reason::NotFound)) {
            return None;
        }
        view.detail = Some(of_one);
    } else if !is_about || !is_by {
        // Why others did it is theirs.
        view.detail = None;
    }
    if !is_about {
        (view.before, view.after) = (None, None);
        // What the user did to one thing may have moved another, whose user it could not see.
        let is_user = view.target_type.as_deref() == Some(User::TYPE);
        let is_its = |id: &String| !is_user && (!id.contains('/') || id.split('/').any(|part| part == user));
        view.target_id = view.target_id.filter(is_its);
    }
    if !is_by {
        (view.ip, view.user_agent, view.session_id) = (None, None, None);
    }
    Some(view)
}
