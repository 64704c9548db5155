//! Rows that hold no noun but keep the others right: names taken, invariants guarded, keys.

use super::{
    id::{ChangeSetId, UserId, parse_uuid},
    names, precis,
    record::Record,
    secret::Secret,
    text,
    time::Time,
    value::Value,
};

/// That a unique name belongs to somebody: how uniqueness works on every backend and across sites.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "claims", key(kind, name), index(owner), index(held_until), checks_absence, sync = replicated, resource = none)]
#[record(events = none("who takes a name tells of it"))]
#[record(audit = none("who takes a name tells of it"), owner = none, caches = none, retention = day(held_until))]
pub struct Claim {
    /// What is unique: `username`, `email`, `identity`, `drone`, `region`, `asset:KIND`; of the open invitation to an address `invitation`; what a
    /// username looks like `username_look`; who a user was at the source of an import `import:SOURCE`; of an account that is gone for good `gone_username`, `gone_username_look`, `gone_email` and `gone_import:SOURCE`,
    /// whose names are pseudonyms. `username_looks` says how far the looks of the names that there are have been claimed.
    pub kind: String,
    /// The canonical form of the name.
    pub name: String,
    /// The id of the row that has it; empty: nobody may have it.
    pub owner: String,
    /// The row has it no more, and may take it back until then, which nobody else may.
    pub held_until: Option<Time>,
    /// The row's version.
    pub version: i64,
}

impl Claim {
    /// Names that accounts sign in by.
    pub const USERNAME: &'static str = "username";
    /// What usernames look like ([`precis::looks`]): made and let go with the name, where the store keeps them (`look_alikes`).
    pub const LOOK: &'static str = "username_look";
    /// Whether the store keeps them.
    pub const LOOKS: &'static str = "username_looks";
    /// Addresses of accounts.
    pub const EMAIL: &'static str = "email";
    /// Names that other issuers give ([`Identity::name`](super::identity::Identity::name)).
    pub const IDENTITY: &'static str = "identity";
    /// Which invitation to an address is the open one. Let go with it, at its end or by its time.
    pub const INVITATION: &'static str = "invitation";
    /// With the name of a source: who users are there that were imported from it.
    pub const IMPORT: &'static str = "import:";

    /// The kind of the claims on the ids of a source of imports.
    pub fn of_import(source: &str) -> String {
        format!("{}{source}", Self::IMPORT)
    }

    /// Whether a kind is that of such claims.
    pub fn is_of_import(kind: &str) -> bool {
        kind.starts_with(Self::IMPORT)
    }

    /// Whether anybody may take it: nobody has it, and the time in which its last owner may take it back is over.
    pub fn is_free(&self, now: Time) -> bool {
        self.held_until.is_some_and(|until| until <= now)
    }

    /// The form of a name that decides whether two are the same: an issuer's byte by byte, ours whatever the case, addresses by their
    /// A-labels.
    pub fn canonical(kind: &str, name: &str) -> String {
        match kind {
            Self::IDENTITY | Self::LOOK => name.to_owned(),
            _ if Self::is_of_import(kind) => name.to_owned(),
            Self::EMAIL | Self::INVITATION => names::email_key(name),
            _ => text::canonical(name),
        }
    }

    /// The form by which an address of a domain beyond ASCII was claimed before A-labels counted, where it is another one: such claims
    /// stay as they are (decision 039).
    pub fn former(kind: &str, name: &str) -> Option<String> {
        let former = matches!(kind, Self::EMAIL | Self::INVITATION).then(|| text::canonical(name))?;
        Some(former).filter(|former| !former.is_ascii() && *former != names::email_key(name))
    }

    /// The keys of the claims that may be on a name; where it has a former one, that is asked for first, so that whoever had the name has it.
    pub fn keys(kind: &str, name: &str) -> Vec<(String, String)> {
        let names = [Self::former(kind, name), Some(Self::canonical(kind, name))];
        names.into_iter().flatten().map(|name| (kind.to_owned(), name)).collect()
    }

    /// The keys of the claims that may be on what a name looks like.
    pub fn looks(kind: &str, name: &str) -> Vec<(String, String)> {
        if !precis::IS_THERE || kind != Self::USERNAME {
            return Vec::new();
        }
        let looks = precis::looks(&Self::canonical(kind, name));
        looks.into_iter().map(|look| (Self::LOOK.to_owned(), look)).collect()
    }
}

/// A secret that a store made for itself and keeps for as long as it is there.
#[derive(Clone, PartialEq, Eq, Record)]
#[record(table = "store_secrets", key(name), sync = never, resource = none)]
#[record(events = none("it is made when the store is"))]
#[record(audit = none("it is made when the store is"), owner = none, caches = none, retention = kept)]
pub struct StoreSecret {
    /// What it is for.
    pub name: String,
    /// The secret, base64url.
    pub secret: Secret,
    /// Always 1.
    pub version: i64,
}

impl StoreSecret {
    /// For pseudonyms of the names of accounts that are gone.
    pub const NAMES: &'static str = "names";
    /// For the audit log, where the application has no key for it.
    pub const AUDIT: &'static str = "audit";
    /// All of them.
    pub const ALL: [&'static str; 2] = [Self::NAMES, Self::AUDIT];
}

/// A version that stands for many rows: who relies on them checks it, who changes them moves it.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "guards", key(name), checks_absence, sync = never, resource = none)]
#[record(events(kind = "policy", readers = policy, by = guard))]
#[record(audit = none("it stands for rows that are told"), owner = none, caches(guard), retention = kept)]
pub struct Guard {
    /// `administrators`, `policy`, `scope_tree`, `signing_keys`, `sessions`, `api_keys`, `user:ID`, `members:KIND:ID:SHARD`, `scope:SCOPE`.
    pub name: String,
    /// The version.
    pub version: i64,
}

/// What a guard stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandsFor {
    /// What the policy says.
    Policy,
    /// Which scopes lie within which.
    ScopeTree,
    /// Who the administrators are.
    Administrators,
    /// Which keys tokens are signed with.
    SigningKeys,
    /// How often the sessions of everybody were ended.
    Sessions,
    /// How often the API keys of everybody were ended.
    ApiKeys,
    /// What this user may do.
    User(UserId),
    /// What belongs to a row: the users, drones and other assets of a region; which words the assets of a kind have.
    Members,
    /// Which roles are held in a scope.
    Scope,
}

impl Guard {
    /// Who the administrators are.
    pub const ADMINISTRATORS: &'static str = "administrators";

    /// Which keys tokens are signed with.
    pub const SIGNING_KEYS: &'static str = "signing_keys";

    /// The sessions of everybody; its version is how often they were ended.
    pub const SESSIONS: &'static str = "sessions";

    /// The API keys of everybody; its version is how often they were ended.
    pub const API_KEYS: &'static str = "api_keys";

    /// What the policy says; its version is the policy's.
    pub const POLICY: &'static str = "policy";

    /// Which scopes lie within which.
    pub const SCOPE_TREE: &'static str = "scope_tree";

    /// Those that most commits rely on and that seldom change. A storage that runs commits beside each other may keep their versions
    /// where it looks anyway.
    #[cfg(feature = "sql")]
    pub const OF_ALL: [&'static str; 4] = [Self::POLICY, Self::SESSIONS, Self::API_KEYS, Self::SIGNING_KEYS];

    /// What the guard of this name stands for; none: a name of another version of this library.
    pub fn stands_for(name: &str) -> Option<StandsFor> {
        match name.split_once(':') {
            None if name == Self::POLICY => Some(StandsFor::Policy),
            None if name == Self::SCOPE_TREE => Some(StandsFor::ScopeTree),
            None if name == Self::ADMINISTRATORS => Some(StandsFor::Administrators),
            None if name == Self::SIGNING_KEYS => Some(StandsFor::SigningKeys),
            None if name == Self::SESSIONS => Some(StandsFor::Sessions),
            None if name == Self::API_KEYS => Some(StandsFor::ApiKeys),
            Some(("user", id)) => parse_uuid(id).map(|id| StandsFor::User(UserId(id))),
            Some(("members", _)) => Some(StandsFor::Members),
            Some(("scope", _)) => Some(StandsFor::Scope),
            _ => None,
        }
    }

    /// What a user may do: its roles, status and attributes that carry authority.
    pub fn of_user(id: super::id::UserId) -> String {
        format!("user:{id}")
    }

    /// What belongs to a row, one of a few shards: what joins moves one, who deletes the row takes all away.
    pub fn of_members(kind: &str, id: &Value, shard: u8) -> String {
        let id = match id {
            Value::Text(name) => name.clone(),
            id => id.as_id().unwrap_or_default().to_string(),
        };
        format!("members:{kind}:{id}:{shard}")
    }

    /// Which roles are held in a scope that names a row: who gives one moves it, who deletes the row takes it away.
    pub fn of_scope(scope: &str) -> String {
        format!("scope:{scope}")
    }
}

/// That a request with an idempotency key was done: written in the same commit, so that it is done once.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "done_requests", key(asker, operation, idempotency_key), index(at), sync = site_local, resource = none)]
#[record(events = none("what was done tells of itself"))]
#[record(audit = none("what was done tells of itself"), owner = none, caches = none, retention = day(at))]
pub struct DoneRequest {
    /// Who asked: a user's id, or `system`.
    pub asker: String,
    /// `users.create`
    pub operation: String,
    /// The key that the caller chose.
    pub idempotency_key: String,
    /// SHA-256 of the input without its secrets, hexadecimal.
    pub input: String,
    /// The change by which it was done.
    pub change_id: ChangeSetId,
    /// When.
    pub at: Time,
    /// The row's version.
    pub version: i64,
}

/// How often something was tried: what a limit goes by (AUT-12).
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "limits", key(lane), index(expires_at), checks_absence, sync = site_local, resource = none)]
#[record(events = none("tries are nobody else's business"))]
#[record(audit = none("the tries themselves are told"), owner = none, caches = none, retention = day(expires_at))]
pub struct Limit {
    /// What is counted, and for whom: a pseudonym of both, since it may be an address or what somebody typed.
    pub lane: String,
    /// A count; or when the next try would come if all were evenly spread (GCRA), in microseconds.
    pub value: i64,
    /// From when on it is as if there were no such row.
    pub expires_at: Time,
    /// The row's version.
    pub version: i64,
}
