//! The events of records of which it depends on the row what happened.

use serde_json::{Map, Value as Json};

use super::EventType;
use crate::model::{
    api_key::ApiKey,
    consumer::Consumer,
    credential::Credential,
    factor::Factor,
    identity::Identity,
    invitation::Invitation,
    record::{Record, Row},
    registry::Guard,
    session::{Session, SessionEnd},
    user::{User, UserStatus},
};

/// One event of a change.
pub struct Derived {
    /// What happened.
    pub event: EventType,
    /// What was changed.
    pub changed: Vec<String>,
    /// What it says beside the row's facts.
    pub data: Map<String, Json>,
}

impl Derived {
    fn of(event: EventType) -> Self {
        Self { event, changed: Vec::new(), data: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    fn changing(mut self, changed: impl Iterator<Item = &'static str>) -> Self {
        self.changed = changed.map(str::to_owned).collect();
        self
    }
}

/// Finds the events of a change of a record, by the row before and after and the names of the columns that differ.
pub type Of<R> = fn(before: Option<R>, after: Option<R>, changed: &[&'static str]) -> Vec<Derived>;

/// A function of this module, by its name: declarations of tables are where no events are, and would take the functions along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derive {
    /// [`user`]
    User,
    /// [`credential`]
    Credential,
    /// [`factor`]
    Factor,
    /// [`identity`]
    Identity,
    /// [`api_key`]
    ApiKey,
    /// [`session`]
    Session,
    /// [`invitation`]
    Invitation,
    /// [`guard`]
    Guard,
    /// [`consumer`]
    Consumer,
}

impl Derive {
    /// The events of a change.
    pub fn find(self, before: Option<&Row>, after: Option<&Row>, changed: &[&'static str]) -> Vec<Derived> {
        match self {
            Self::User => of(user, before, after, changed),
            Self::Credential => of(credential, before, after, changed),
            Self::Factor => of(factor, before, after, changed),
            Self::Identity => of(identity, before, after, changed),
            Self::ApiKey => of(api_key, before, after, changed),
            Self::Session => of(session, before, after, changed),
            Self::Invitation => of(invitation, before, after, changed),
            Self::Guard => of(guard, before, after, changed),
            Self::Consumer => of(consumer, before, after, changed),
        }
    }
}

fn of<R: Record>(find: Of<R>, before: Option<&Row>, after: Option<&Row>, changed: &[&'static str]) -> Vec<Derived> {
    let read = |row: &Row| R::from_row(row.clone()).ok();
    find(before.and_then(read), after.and_then(read), changed)
}

/// What is shown of a user to others: all else is data of its account.
const OF_PROFILES: [&str; 6] = ["display_name", "bio", "location", "avatar_url", "website", "visibility"];
/// What has events of its own.
const OF_LIFECYCLE: [&str; 5] = ["status", "status_reason", "suspended_until", "deleted_at", "email_verified"];

/// Of an account: several where several things were changed at once.
pub fn user(before: Option<User>, after: Option<User>, changed: &[&'static str]) -> Vec<Derived> {
    let (before, after) = match (before, after) {
        (None, Some(_)) => return vec![Derived::of(EventType::UserCreated)],
        (Some(_), None) => return vec![Derived::of(EventType::UserPurged)],
        (None, None) => return Vec::new(),
        (Some(before), Some(after)) => (before, after),
    };
    let mut events = Vec::new();
    if let Some(event) = new_status(&before, &after) {
        events.push(Derived::of(event).with("from", before.status.as_str()));
    }
    if !before.email_verified && after.email_verified {
        events.push(Derived::of(EventType::UserVerified));
    }
    let of_profile = || changed.iter().copied().filter(|column| OF_PROFILES.contains(column));
    if before.visibility != after.visibility {
        events.push(Derived::of(EventType::ProfileVisibilityChanged).with("from", before.visibility.as_str()));
    }
    if of_profile().any(|column| column != "visibility") {
        events.push(Derived::of(EventType::ProfileUpdated).changing(of_profile()));
    }
    let of_account =
        || changed.iter().copied().filter(|column| !OF_PROFILES.contains(column) && !OF_LIFECYCLE.contains(column));
    // An address that is proved no longer was changed, or was found not to be the account's.
    let is_unproved = before.email_verified && !after.email_verified;
    if of_account().next().is_some() || is_unproved || is_otherwise_untold(&events, changed) {
        let named = of_account().chain(is_unproved.then_some("email_verified"));
        events.push(Derived::of(EventType::UserUpdated).changing(named));
    }
    events
}

/// Whether something was changed that no event tells of yet: the end or the reason of a suspension that goes on.
fn is_otherwise_untold(events: &[Derived], changed: &[&'static str]) -> bool {
    events.is_empty() && !changed.is_empty()
}

fn new_status(before: &User, after: &User) -> Option<EventType> {
    if before.status == after.status {
        // A suspension that is given another end is given anew.
        let is_anew = after.status == UserStatus::Suspended && before.suspended_until != after.suspended_until;
        return is_anew.then_some(EventType::UserSuspended);
    }
    Some(match (before.status, after.status) {
        (_, UserStatus::Deleted) => EventType::UserDeleted,
        (UserStatus::Deleted, _) => EventType::UserRestored,
        (UserStatus::Suspended | UserStatus::Banned, UserStatus::Active) => EventType::UserLifted,
        (_, UserStatus::Active) => EventType::UserActivated,
        (_, UserStatus::Inactive) => EventType::UserDeactivated,
        (_, UserStatus::Suspended) => EventType::UserSuspended,
        (_, UserStatus::Banned) => EventType::UserBanned,
    })
}

/// Of how an account proves who it is.
pub fn credential(before: Option<Credential>, after: Option<Credential>, _: &[&'static str]) -> Vec<Derived> {
    let hash = |credential: &Option<Credential>| credential.as_ref().and_then(|one| one.password_hash.clone());
    // A row that goes with its account tells of nothing that the account's end does not, and one that is hashed anew has the password that
    // it had.
    let is_set = |credential: &Option<Credential>| credential.as_ref().and_then(|one| one.set_at);
    let is_changed =
        after.is_some() && (hash(&before).is_some() != hash(&after).is_some() || is_set(&before) != is_set(&after));
    if is_changed { changed_credential("password") } else { Vec::new() }
}

/// Of a second factor.
pub fn factor(before: Option<Factor>, after: Option<Factor>, _: &[&'static str]) -> Vec<Derived> {
    match (&before, &after) {
        (Some(_), Some(_)) => Vec::new(),
        _ => before.or(after).map_or_else(Vec::new, |factor| changed_credential(factor.kind.as_str())),
    }
}

/// Of an identity of another issuer.
pub fn identity(before: Option<Identity>, after: Option<Identity>, _: &[&'static str]) -> Vec<Derived> {
    if before.is_some() && after.is_some() { Vec::new() } else { changed_credential("identity") }
}

/// Of an API key.
pub fn api_key(before: Option<ApiKey>, after: Option<ApiKey>, _: &[&'static str]) -> Vec<Derived> {
    let has_ended = |key: &ApiKey| key.ended_at.is_some();
    match (&before, &after) {
        (None, Some(_)) => changed_credential("api_key"),
        (Some(before), after) if !has_ended(before) && after.as_ref().is_none_or(has_ended) => {
            changed_credential("api_key")
        }
        _ => Vec::new(),
    }
}

fn changed_credential(what: &str) -> Vec<Derived> {
    vec![Derived::of(EventType::CredentialChanged).with("what", what)]
}

/// Of a session: its rows go long after it ended.
pub fn session(before: Option<Session>, after: Option<Session>, _: &[&'static str]) -> Vec<Derived> {
    match (&before, &after) {
        (None, Some(_)) => vec![Derived::of(EventType::SessionStarted)],
        (Some(before), after)
            if before.ended_at.is_none() && after.as_ref().is_none_or(|one| one.ended_at.is_some()) =>
        {
            let reason = after.as_ref().and_then(|one| one.end_reason);
            let reused =
                (reason == Some(SessionEnd::RefreshReuse)).then(|| Derived::of(EventType::SessionReuseDetected));
            reused.into_iter().chain([Derived::of(EventType::SessionEnded)]).collect()
        }
        _ => Vec::new(),
    }
}

/// Of an invitation.
pub fn invitation(before: Option<Invitation>, after: Option<Invitation>, _: &[&'static str]) -> Vec<Derived> {
    match (&before, &after) {
        (None, Some(_)) => vec![Derived::of(EventType::InvitationCreated)],
        (Some(before), Some(after)) if before.ended_at.is_none() && after.ended_at.is_some() => {
            vec![Derived::of(EventType::InvitationEnded)]
        }
        _ => Vec::new(),
    }
}

/// Of a reader of events.
pub fn consumer(before: Option<Consumer>, after: Option<Consumer>, _: &[&'static str]) -> Vec<Derived> {
    let was_told = before.is_some_and(|before| before.lagging_since.is_some());
    let lags = after.filter(|after| after.lagging_since.is_some() && !was_told);
    lags.into_iter().map(|_| Derived::of(EventType::ConsumerLagging)).collect()
}

/// Of the row that every edit of the policy moves.
pub fn guard(_: Option<Guard>, after: Option<Guard>, _: &[&'static str]) -> Vec<Derived> {
    let edited = after.filter(|guard| guard.name == Guard::POLICY);
    edited.into_iter().map(|_| Derived::of(EventType::PolicyChanged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of a user, which is told as `user.updated`: a new column belongs here, or to what others are shown.
    const OF_ACCOUNT: [&str; 14] = [
        "username",
        "email",
        "full_name",
        "first_name",
        "last_name",
        "phone",
        "birth_date",
        "attributes",
        "region_id",
        "id",
        "created_at",
        "updated_at",
        "status_before",
        "version",
    ];

    #[test]
    fn evt_1_each_column_of_a_user_is_told_by_one_event() {
        let lists = [&OF_PROFILES[..], &OF_LIFECYCLE[..], &OF_ACCOUNT[..]].concat();
        let columns: Vec<&str> = User::TABLE.columns.iter().map(|column| column.name).collect();
        let told = |column: &&str| lists.iter().filter(|name| *name == column).count();
        let otherwise: Vec<&&str> = columns.iter().filter(|column| told(column) != 1).collect();
        assert!(otherwise.is_empty(), "in none of the lists, or in several: {otherwise:?}");
        let unknown: Vec<&&str> = lists.iter().filter(|name| !columns.contains(name)).collect();
        assert!(unknown.is_empty(), "no columns of a user: {unknown:?}");
    }
}
