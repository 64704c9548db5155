//! Records that exist for the suite only: every kind of column, keys of one and two parts.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    audit_chain::{AuditDraft, AuditFacts, AuditKeeper, AuditKey, AuditKeys, AuditOrigin, AuditPayload, AuditSalts},
    model::{
        attributes::Attributes,
        id::{AuditId, ChangeSetId, UserId},
        record::{Document, Listed, Record, Table},
        time::Time,
    },
    storage::{ChangeSet, Write},
};

use super::tables::{THING_USERS, THINGS};

/// A row with every kind of column.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(
    table = "conformance_items", key(id), checks_absence, index(owner), index(name), index(rank), index(flag, at),
    sorted(name, note), index(name_key), search(name, note), sync = never, resource = none
)]
#[record(events = none("the suite's"))]
#[record(audit = none("the suite's"), owner = none, caches = none, retention = kept)]
pub struct Item {
    /// The key.
    pub id: UserId,
    /// Text.
    pub name: String,
    /// Text or null.
    pub note: Option<String>,
    /// A number or null.
    pub rank: Option<i64>,
    /// A truth value.
    pub flag: bool,
    /// A truth value or null.
    pub seen: Option<bool>,
    /// A time.
    pub at: Time,
    /// A time or null.
    pub until: Option<Time>,
    /// An id or null.
    pub owner: Option<UserId>,
    /// A document or null.
    pub data: Option<Document<Json>>,
    /// Members that predicates read, or null.
    pub attributes: Option<Attributes>,
    /// The version.
    pub version: i64,
}

/// A row that ties an item to a tag.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "conformance_ties", key(item, tag), index(tag), sync = never, resource = none)]
#[record(events = none("the suite's"))]
#[record(audit = none("the suite's"), owner = none, caches = none, retention = kept)]
pub struct Tie {
    /// The item.
    pub item: UserId,
    /// The tag.
    #[record(plain)]
    pub tag: String,
    /// The version.
    pub version: i64,
}

impl Listed for Item {}
impl Listed for Tie {}

/// The tables that a storage under test has: this library's, the suite's, and those of generated rules.
pub fn tables() -> Vec<&'static Table> {
    crate::storage::tables().iter().copied().chain([Item::TABLE, Tie::TABLE, &THINGS, &THING_USERS]).collect()
}

/// The id with this number.
pub fn id(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

/// The change set's id with this number.
pub fn change_set_id(number: u128) -> ChangeSetId {
    ChangeSetId(Uuid::from_u128(number))
}

/// The moment so many microseconds after 1970 began.
pub fn time(micros: i64) -> Time {
    Time::from_microsecond(micros).unwrap_or(Time::UNIX_EPOCH)
}

/// A change set of writes alone.
pub fn change_set(number: u128, writes: Vec<Write>) -> ChangeSet {
    ChangeSet {
        id: change_set_id(number),
        at: time(0),
        checks: Vec::new(),
        writes,
        audit: Vec::new(),
        events: Vec::new(),
    }
}

/// The keys that its audit entries are sealed with.
pub fn audit_keys() -> AuditKeys {
    // Only an empty secret is none.
    #[expect(clippy::unwrap_used, reason = "the secret is not empty")]
    let key = AuditKey::new(b"a secret of the conformance suite", AuditKeeper::Application).unwrap();
    AuditKeys::new(key)
}

/// An audit entry that says so.
pub fn audit(number: u128, action: &str) -> AuditDraft {
    AuditDraft {
        id: AuditId(Uuid::from_u128(number)),
        at: time(1),
        action: action.to_owned(),
        actor: "system".to_owned(),
        target_type: Some("item".to_owned()),
        target_id: None,
        on_behalf_of: None,
        session_id: None,
        facts: AuditFacts::default(),
        payload: AuditPayload::of_detail(format!("entry {number}")),
        origin: AuditOrigin::default(),
        salts: AuditSalts { payload: number.to_be_bytes(), origin: number.to_be_bytes() },
        keys: audit_keys(),
    }
}

impl Item {
    /// An item with a name; what may be null is null.
    pub fn new(number: u128, name: &str) -> Self {
        Self {
            id: id(number),
            name: name.to_owned(),
            note: None,
            rank: None,
            flag: false,
            seen: None,
            at: time(0),
            until: None,
            owner: None,
            data: None,
            attributes: None,
            version: 0,
        }
    }
}
