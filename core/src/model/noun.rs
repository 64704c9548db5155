//! What a record is to the rest of the library: declared beside its columns, as plain data. Everything
//! that treats nouns differently reads it here, so that a new one is nowhere forgotten.

use std::borrow::Cow;

use super::{
    event::{EventType, Readers, derive::Derive},
    record::Row,
};

/// The part of a [`super::record::Table`] that does not say how it is stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Noun {
    /// Whether the rules are about it.
    pub resource: Option<ResourceType>,
    /// What the audit log is told when it changes.
    pub audit: Audit,
    /// What others are told when it changes.
    pub events: Events,
    /// Whose it is, and what becomes of it when that goes.
    pub owners: &'static [Owner],
    /// What is kept in memory of it, or rests on it.
    pub caches: &'static [Caches],
    /// How long it is kept.
    pub retention: Retention,
    /// The set of ids that it ties to another resource.
    pub relation: Option<Relation>,
}

impl Noun {
    /// Nothing to anybody: tables of tests.
    pub const NONE: Self = Self {
        resource: None,
        audit: Audit::Unlogged("nobody asks"),
        events: Events::Unpublished("nobody asks"),
        owners: &[],
        caches: &[],
        retention: Retention::Kept,
        relation: None,
    };

    /// How the audit log speaks of it, if it does.
    pub const fn words(&self) -> Option<&Words> {
        match &self.audit {
            Audit::Logged(words) => Some(words),
            Audit::Unlogged(_) => None,
        }
    }

    /// Whether a change of it may change what somebody may do.
    pub fn carries_authority(&self) -> bool {
        self.caches.iter().any(|cached| matches!(cached, Caches::Authority(_)))
    }
}

/// A resource type of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// What stands before the colon of its permissions.
    pub kind: &'static str,
    /// The column that says so of each row, where its rows are of kinds that the policy declares: those bring the permissions
    /// instead.
    pub kinds: Option<usize>,
    /// How it is judged where an operation on others moves it along.
    pub along: Along,
    /// How scopes and callers name a row of it.
    pub named: Named,
    /// Whether `KIND:ID` is a scope, beside `resource:KIND:ID`: others belong to such a row.
    pub is_scope: bool,
    /// The permissions that exist on it, and what each is for; `KIND:read` is among them.
    pub permissions: &'static [(&'static str, &'static str)],
}

impl ResourceType {
    /// What stands before the colon of the permissions on a row.
    pub fn kind_of(&self, row: &Row) -> Cow<'static, str> {
        match self.kinds.and_then(|at| row.0[at].as_text()) {
            Some(kind) => Cow::Owned(kind.to_owned()),
            None => Cow::Borrowed(self.kind),
        }
    }

    /// Whose claim the code of a row of a kind is.
    pub fn claims_of<'k>(&self, kind: &'k str) -> Cow<'k, str> {
        match self.kinds {
            // No name of the library's is one of these.
            Some(_) => Cow::Owned(format!("{}:{kind}", self.kind)),
            None => Cow::Borrowed(kind),
        }
    }
}

/// How a row is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nobody names one.
    Never,
    /// By its id, which is its key.
    Id,
    /// By its id, or by the code in this column, which is a claim of the row's kind ([`ResourceType::claims_of`]).
    Code(usize),
}

/// Who may move a row along with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Who may change what decides about it.
    Judged,
    /// The operations that move it ask by rules of their own: roles that end with what they are about.
    OwnRules,
}

/// Whether the audit log is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Audit {
    /// In these words.
    Logged(Words),
    /// Not, and why.
    Unlogged(&'static str),
}

/// Whether a change of a row is an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Events {
    /// It is.
    Published(PublishedEvents),
    /// It is not, and why.
    Unpublished(&'static str),
}

/// The events of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct PublishedEvents {
    /// What they are about: `user`, `drone_assignment`.
    pub kind: &'static str,
    /// Who hears of them, beside the application itself.
    pub readers: Readers,
    /// What else they need: a permission over all there is, as what lists it asks.
    pub asks: Option<&'static str>,
    /// Which they are.
    pub types: Types,
}

/// Which event a change is.
#[derive(Debug, PartialEq, Eq)]
pub enum Types {
    /// That of a row that is made, that is changed, that goes; each where it is one.
    Each([Option<EventType>; 3]),
    /// Those that this finds.
    By(Derive),
}

/// How the audit log speaks of a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// The area of its operations: what stands before the point of an action.
    pub area: &'static str,
    /// The type of its target.
    pub kind: &'static str,
    /// What stands after the point where a row is made, is changed, goes.
    pub verbs: [&'static str; 3],
    /// Whether it is a part of the policy, which is written by nothing but edits of it.
    pub is_policy: bool,
}

/// That a column holds the id of the row it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The column's position.
    pub column: usize,
    /// The owner's table, by name.
    pub of: &'static str,
    /// What becomes of the row when its owner is deleted.
    pub on_delete: OnDelete,
}

/// What becomes of a row whose owner is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It goes too.
    Cascade,
    /// It stays, and is nobody's: its column becomes null.
    Clear,
    /// The owner cannot be deleted while it is there.
    Restrict,
    /// It stays as it is, unused where the owner is one that can be restored.
    Keep(OnPurge),
}

/// What becomes of a row that stayed as its owner was deleted, once that is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPurge {
    /// It goes too.
    Cascade,
    /// It stays for good, and why.
    Keep(&'static str),
}

impl OnDelete {
    /// Whether the row stays for good, whatever becomes of its owner.
    pub const fn is_kept_for_good(self) -> bool {
        matches!(self, Self::Keep(OnPurge::Keep(_)))
    }
}

/// What a write of a row touches in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caches {
    /// What is known of the user whose id this column holds.
    User(usize),
    /// The session whose id this column holds.
    Session(usize),
    /// The API key whose id this column holds.
    ApiKey(usize),
    /// Since when the credentials are what they are of the user whose id this column holds.
    Credential(usize),
    /// What the user may do whose id this column holds: who writes the row moves that user's guard.
    Authority(usize),
    /// What its name says ([`super::registry::Guard::stands_for`]).
    Guard,
    /// The keys that tokens are signed with.
    SigningKeys,
}

/// How long a row is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Until it is deleted.
    Kept,
    /// For this period after the earliest of these columns' moments; null is none. What belongs to it goes with it.
    After(Period, &'static [usize]),
}

/// For how long something is kept after its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// [`Config::keep_feed_seconds`](crate::Config::keep_feed_seconds); the storage removes these rows itself.
    Feed,
    /// [`Config::keep_sessions_seconds`](crate::Config::keep_sessions_seconds).
    Sessions,
    /// 90 days: who looks after an account sees for so long what became of a key.
    ApiKeys,
    /// 90 days: who looks after accounts sees for so long who was invited.
    Invitations,
    /// A day: as long as an idempotency key is known, and long enough to look up what became of a sign-in.
    Day,
}

/// That rows of a table tie ids to a resource: `resource.assigned_users`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The resource's table, by name; it is tied by its key.
    pub of: &'static str,
    /// What conditions call it.
    pub name: &'static str,
    /// The position of the column that holds the resource's id.
    pub from: usize,
    /// The position of the column that holds the ids of the set.
    pub to: usize,
}

/// Who fills a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// Whoever writes the row.
    Asked,
    /// The library, when the row is made.
    Given,
    /// The library, with every change.
    Kept,
    /// Whoever deletes a row that is kept, for its names: it is gone once this is not null.
    Gone,
}
