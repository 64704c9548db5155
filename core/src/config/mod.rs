//! How a store is opened, with safe defaults; every bad setting is named at `open`.

mod audit;
mod issuers;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod layers;
mod passkeys;
mod policy;
mod secrets;
mod sources;
mod storage;
mod supabase;

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, Word};

use crate::{
    credentials::{
        hashing::{self, HashingCost},
        password_rule::{self, PasswordRule},
    },
    model::{
        check::{Checks, Invalid},
        decode::{self, FieldCode, FromJson},
        deferred::IS_PAGE,
        error::{Error, Result},
        input::{self, Limits},
        names::{NameRules, UsernameProfile},
        precis,
        secret::Secret,
        signing_key::TokenAlgorithm,
        text,
    },
    net::Networks,
    rules::Policy,
};

pub use issuers::{IssuerKind, TrustedIssuer};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use layers::Layers;
#[cfg(all(feature = "bindings", any(feature = "sqlite", feature = "postgres")))]
pub(crate) use layers::without_line_end;
#[cfg(feature = "bindings")]
pub(crate) use policy::ONE_POLICY;
pub(crate) use policy::policy_of;
use sources::Sources;

const DAY: i64 = 24 * 3600;

/// Where PostgreSQL has the tables.
const DEFAULT_SCHEMA: &str = "rolekeep";

/// The longest time of a setting, in its unit: a hundred years of seconds.
const MAX_TIME: i64 = 100 * 366 * 24 * 3600;
/// One password takes no more than a GiB.
const MAX_HASHING_KIB: i64 = hashing::MOST.0 as i64;
/// Of an issuer and of an audience: every token carries both, and tokens have at most 4,096 bytes.
const MAX_NAME_BYTES: usize = 512;
/// Of a page that links lead to.
const MAX_URL_BYTES: usize = 1024;

/// Users have numbers of 32 bits there.
const MAX_USERS_IN_MEMORY: i64 = 1 << 30;

/// The feed tells other instances of changes, and what became of a commit whose answer was lost.
const MIN_FEED_TIME: i64 = 3600;

/// So many characters will do beside a second factor.
const SHORT_PASSWORD: u32 = 8;

/// Which refused operations the audit log records, as `access.denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditDenials {
    /// None.
    Off,
    /// Those that would have written something.
    Writes,
    /// Those that would have read something, too.
    #[default]
    All,
}

/// Which decisions about checks of the application the audit log records, as `decisions.allowed` and `decisions.denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditDecisions {
    /// None.
    #[default]
    Off,
    /// Those that deny.
    Denials,
    /// All.
    All,
}

/// Who has a second factor in addition to the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SecondFactor {
    /// Nobody can add one. Users who already have one still need it; roles that require one allow nothing to all others.
    Off,
    /// Users who add one, and users who hold a role that requires one.
    #[default]
    Optional,
    /// Everybody.
    Required,
}

/// Who may register an account (`users.register`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Registration {
    /// Nobody: others create accounts.
    #[default]
    Off,
    /// Anybody who verifies an e-mail address; the account begins then. Without a notifier the store does not open.
    Verified,
    /// Anybody: the account begins at once, with an unverified address.
    Open,
}

/// Whether others may take the username and e-mail address of a deleted account, until it is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum NamesAfterDelete {
    /// Nobody may.
    #[default]
    Reserved,
    /// Anybody may, at once; if the account is restored, it has to be given others.
    Freed,
}

/// Which names of a purged account nobody may ever take again. The store keeps only a pseudonym of them. Names that the account no longer
/// had, as they were freed when it was deleted ([`NamesAfterDelete::Freed`]), are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum NamesAfterPurge {
    /// Its username, by which others knew it.
    #[default]
    Username,
    /// Its username and its e-mail address.
    Both,
    /// None.
    Freed,
}

/// Where a store is kept, who may do what, and how it behaves: one type, the same in every language. Settings that are not given have
/// safe defaults. Times are in seconds unless the name says otherwise.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use rolekeep::{Config, UserManagement};
///
/// let config = Config::new().preset("standard").issuer("https://example.org").session_seconds(12 * 3600);
/// let um = UserManagement::open(config).await?;
/// // A file of the host's own may say the same; names that are not known are errors.
/// let config = Config::from_json(r#"{"preset": "standard", "session_seconds": 43200}"#)?;
/// assert_eq!(config.session_seconds, 43200);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
///
/// What is not plain data is given separately, in Rust to the [`Builder`](crate::Builder): a policy made in code, a storage or persister,
/// a notifier, a list of breached passwords, the environment, an observer, a limiter.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Config {
    /// An SQLite file, created if it does not exist. If no storage is given, everything is kept in memory.
    pub sqlite: Option<String>,
    /// A PostgreSQL database, by a URL such as `postgres://user:password@host:5432/database`, for servers of several instances. Over TCP
    /// the server's certificate is verified unless the URL has an `sslmode` that asks for less. Available in Rust with the feature
    /// `postgres`, and in Python; elsewhere it is an error. Default: none.
    pub postgres: Option<Secret>,
    /// The schema of its tables, created if it does not exist: 1 to 48 lower-case letters, digits and underscores, not beginning with a
    /// digit. Stores that share a database need a schema each. Default: `rolekeep`.
    #[input(default = DEFAULT_SCHEMA.to_owned())]
    pub postgres_schema: String,
    /// The URL of the connection that listens for commits of other instances, if `postgres` leads to a pooler in transaction mode
    /// (PgBouncer's `pool_mode = transaction`). Such a pooler passes no notifications, and changes of others would be noticed half a
    /// second later. Default: that of `postgres`.
    pub postgres_listener: Option<Secret>,
    /// The URL of a replica of that database. Lists are read from it when it has all commits that they need. Default: none.
    pub postgres_replica: Option<Secret>,
    /// Whether opening creates or migrates the tables of `sqlite` or `postgres`. If not, a database that needs a migration is refused
    /// (`schema_foreign`): migrate it separately. Default: true.
    #[input(default = true)]
    pub migrates: bool,
    /// Whether this process alone uses the SQLite file. Others that open it are refused, nothing polls for their changes, and rights in
    /// memory never become stale: for phones and single programs. Default: false.
    #[input(default = false)]
    pub exclusive: bool,
    /// A policy that comes with the library: `standard` or `flyos`. At most one of the four policy settings is given.
    pub preset: Option<String>,
    /// A policy file's text, in TOML.
    pub policy_toml: Option<String>,
    /// A policy file's text, in JSON.
    pub policy_json: Option<String>,
    /// Roles and what they allow, instead of a policy file: `{"editor": ["document:edit"]}`.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Permissions that exist in addition to those that a role allows.
    pub permissions: Vec<String>,
    /// The `iss` of access tokens, 1 to 512 bytes. Default: `rolekeep`.
    #[input(default = "rolekeep".to_owned())]
    pub issuer: String,
    /// The `aud` of access tokens, 1 to 512 bytes. Default: `rolekeep`.
    #[input(default = "rolekeep".to_owned())]
    pub audience: String,
    /// How long an access token is valid, in seconds. Default: 900.
    #[input(default = 15 * 60)]
    pub access_token_seconds: i64,
    /// How long a session lasts without being used, in seconds; each refresh restarts it. Default: 7 days.
    #[input(default = 7 * DAY)]
    pub idle_seconds: i64,
    /// How long a session lasts however much it is used, in seconds. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub session_seconds: i64,
    /// How long a used refresh token still returns the same successor, in seconds, in case a response was lost or a second tab used it.
    /// Default: 30, at most 300.
    #[input(default = 30)]
    pub refresh_grace_seconds: i64,
    /// How far the clock of a token's issuer may be ahead of ours, in seconds. Default: 60, at most 300.
    #[input(default = 60)]
    pub leeway_seconds: i64,
    /// How many sessions a user may have at a time; beginning another one ends the least recently used. Default: 100, at least 1.
    #[input(default = 100)]
    pub max_sessions: u32,
    /// How long a commit stays in the change feed, in seconds; an instance that was away for longer reads everything again. Default: 7
    /// days, at least an hour.
    #[input(default = 7 * DAY)]
    pub keep_feed_seconds: i64,
    /// How long a session is kept after its end, for lookups, in seconds. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub keep_sessions_seconds: i64,
    /// How long a deleted user can be restored, in seconds; after that the library purges the account. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub keep_deleted_users_seconds: i64,
    /// How often a store tidies up by itself ([`UserManagement::tidy`](crate::UserManagement::tidy)), in seconds, by one of the instances
    /// that share it; a busy store does so more often. 0: only every thousand commits, so that an idle store never wakes up. Pages never
    /// do. Default: an hour; at most a day.
    #[input(default = 3_600)]
    pub tidy_every_seconds: i64,
    /// Whether others may take the username and e-mail address of a deleted user, until it is purged. Default: `reserved`.
    #[input(default = NamesAfterDelete::Reserved)]
    pub names_after_delete: NamesAfterDelete,
    /// Which of these nobody may ever take again once the account is purged. Names that were reserved stay reserved when the setting
    /// changes. Default: `username`.
    #[input(default = NamesAfterPurge::Username)]
    pub names_after_purge: NamesAfterPurge,
    /// The fewest characters of a password (code points after NFC). Default: 15, as NIST SP 800-63B-4 asks where it is
    /// the only factor; at least 8.
    #[input(default = 15)]
    pub password_min_length: u32,
    /// The most characters of a password; nothing is ever cut off. Default: 128; at least 64, at most 512.
    #[input(default = 128)]
    pub password_max_length: u32,
    /// Whether a password must mix upper and lower case letters, digits and others, which NIST advises against.
    /// Default: false.
    #[input(default = false)]
    pub password_composition: bool,
    /// Who must have a second factor in addition to the password. Users who must have one and do not add it at their next sign-in; with
    /// one, a password of 8 characters is enough (NIST SP 800-63B-4, 3.1.1.2). Default: `optional`.
    #[input(default = SecondFactor::Optional)]
    pub second_factor: SecondFactor,
    /// Who may register an account (`users.register`). With `open`, anybody can find out whether an address has an account, and can
    /// register an address of somebody else, until its owner verifies it; with `verified` neither. Default: `off`.
    #[input(default = Registration::Off)]
    pub registration: Registration,
    /// Which usernames may be chosen; existing ones stay. Once it has been `precis`, nobody can take a name that looks like another
    /// user's, even if the setting is changed back. Until the existing names have been indexed, names beyond ASCII are refused
    /// (`names_not_ready`). Default: `basic`.
    #[input(default = UsernameProfile::Basic)]
    pub username_profile: UsernameProfile,
    /// Whether e-mail addresses may have letters beyond ASCII before the `@` (RFC 6531), which not every mail server delivers to. Their
    /// domains may in any case. Default: true.
    #[input(default = true)]
    pub smtputf8: bool,
    /// The domain that passkeys are bound to, such as `example.org`: its pages, and those of its subdomains, can use them. It cannot be
    /// changed without losing all passkeys. In development `localhost`. Default: none; without it there are no passkeys.
    pub passkey_domain: Option<String>,
    /// The origins of the pages that use passkeys, as browsers write them (`https://app.example.org`), and of Android apps
    /// (`android:apk-key-hash:…`). Default: `https://` and the domain; of `localhost` `http://localhost`.
    pub passkey_origins: Vec<String>,
    /// Whether users can sign in with a code or link that is mailed, without a password. Without a notifier the store does not open. A
    /// mailbox counts as one factor: users who have, or must have, a second factor cannot sign in this way. Default: false.
    #[input(default = false)]
    pub mail_sign_in: bool,
    /// Words that a password must not be built from, in addition to the account's own names, such as the service's name.
    pub password_context_words: Vec<String>,
    /// How long a password that somebody else set can be used to sign in and choose another one, in seconds. Default: 72 hours.
    #[input(default = 3 * DAY)]
    pub temporary_password_seconds: i64,
    /// A random secret of at least 32 bytes (not a phrase: each hash contains its id) that goes into every password hash and is kept
    /// apart from the storage, so that somebody who steals only the storage cannot guess passwords. Without it such passwords are no
    /// longer accepted. Default: none.
    pub password_pepper: Option<Secret>,
    /// Former values of `password_pepper`: their hashes still work, and each sign-in replaces one with a hash under the current value.
    pub retired_peppers: Vec<Secret>,
    /// The memory of Argon2id, in KiB, at most 1048576. Default: 19456. Together with the passes it must reach one of OWASP's minimums:
    /// 47104 with 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5.
    #[input(default = 19_456)]
    pub hashing_memory_kib: u32,
    /// The passes of Argon2id over its memory, at most 100. Default: 2.
    #[input(default = 2)]
    pub hashing_iterations: u32,
    /// The lanes of Argon2id, at most 16. Default: 1.
    #[input(default = 1)]
    pub hashing_lanes: u32,
    /// How many passwords are hashed at a time, at most 256. Default: 2.
    #[input(default = 2)]
    pub hashing_parallel: u32,
    /// How many passwords may wait to be hashed; further ones fail with `RATE_LIMIT_EXCEEDED`. Default: 1000.
    #[input(default = 1000)]
    pub hashing_queue: u32,
    /// How long the hashing of a sign-in may take, in milliseconds. It does the work of each cost among the stored hashes, including
    /// those of other systems, so that its timing reveals nothing (twice if the input is not in NFC). A hash of another system that would
    /// exceed this, as measured when it is given, is refused. Default: 1000; 0: no limit.
    #[input(default = 1000)]
    pub hashing_max_millis: u32,
    /// How old, in milliseconds, the rights used by a check without I/O may be if other processes write to the same storage; also those
    /// of operations, up to a second, if the storage notifies of others' commits, as PostgreSQL does. Default: 1000.
    #[input(default = 1000)]
    pub rights_max_age_millis: i64,
    /// For how many users the rights are kept in memory, some 500 bytes each. The least used are dropped first and read again when needed;
    /// those of callers in use stay, even if there are more. Default: 100000.
    #[input(default = 100_000)]
    pub users_in_memory: u32,
    /// A storage call that takes longer than this, in milliseconds, is counted in `health` and logged as a warning with the tables' names
    /// (in Rust with the feature `tracing`). Default: 250; 0: never.
    #[input(default = 250)]
    pub slow_statement_millis: u32,
    /// Which refused operations the audit log records: who asked for what, and on which target. At most one entry a minute is written per
    /// caller and operation; per instance a burst of 50, then one a second. The rest are only counted, as are entries that the storage
    /// refuses. They are written after the operation returns. Failed attempts to sign in or to authenticate again, and invalid tokens,
    /// are recorded in the same way whatever this setting is. Default: `all`.
    #[input(default = AuditDenials::All)]
    pub audit_denials: AuditDenials,
    /// Which decisions the audit log records when the application checks whether somebody may do something (`can`, `require`, `can_many`,
    /// `check`): the user, the permission and the resource. The same check with the same result has one entry a minute; an instance
    /// writes a burst of 50, then one a second (with `all` 1,000, then 100 a second); the rest are only counted. They are written after
    /// the check returns. Checks of the application about itself are not recorded, as it may do everything; the store of a web page
    /// records none. Default: `off`.
    #[input(default = AuditDecisions::Off)]
    pub audit_decisions: AuditDecisions,
    /// A random secret of at least 32 bytes that seals the audit log, kept apart from the storage: somebody who has only the storage
    /// cannot change the log unnoticed. Every instance needs it. Without it the store keeps a key in the storage, which only guards
    /// against accidents. Default: none.
    pub audit_key: Option<Secret>,
    /// The key that signs the heads that `audit.head` returns, for those who verify the log without `audit_key`: a private JWK of EdDSA
    /// or ES256 (RFC 7517) with its `kid`. They need its public part. Default: none.
    pub audit_signing_key: Option<Secret>,
    /// Former values of `audit_key`, for the entries they sealed. Before an instance uses a new key, give it to every instance here.
    pub retired_audit_keys: Vec<Secret>,
    /// A random secret of at least 32 bytes that encrypts what the storage keeps: in a database the secret columns, such as seeds of
    /// second factors, hashes and signing keys; in a persister every row. Every instance needs it, and without it the store cannot be
    /// read. Unencrypted values from before are still read, and encrypted over time. In web pages `open` takes it, and encrypts what the
    /// persister gets. Default: none.
    pub encryption_key: Option<Secret>,
    /// Former values of `encryption_key`, for what is still encrypted under them. Before an instance uses a new key, give it to every
    /// instance here; `tidy` re-encrypts the rest.
    pub retired_encryption_keys: Vec<Secret>,
    /// Addresses and networks (`10.0.0.0/8`) of the application's own proxies. If a request comes from one of them, the client's address
    /// is the last one in `X-Forwarded-For` that is not a trusted proxy. If none are given, the header is ignored.
    pub trusted_proxies: Vec<String>,
    /// Addresses and networks from which requests are accepted; from all others, and without an address, they are refused (`FORBIDDEN`).
    /// Requests of the application itself are always accepted. Default: all.
    pub allowed_networks: Vec<String>,
    /// Addresses and networks from which requests are refused, also if they lie in an allowed network. Default: none.
    pub denied_networks: Vec<String>,
    /// How many failed sign-ins an address (IPv4, or the /64 of IPv6) and an account's name each have within `sign_in_seconds`; further
    /// ones fail with `RATE_LIMIT_EXCEEDED`, whether or not there is such an account. Attempts become available again one by one, not all
    /// at once (GCRA). Successful ones do not count. Sign-ins with the `device_token` of an earlier sign-in are counted separately.
    /// Default: 5; 0: any number, and `lock_after_failures` has no effect.
    #[input(default = 5)]
    pub sign_in_tries: u32,
    /// The time of `sign_in_tries`, in seconds, at most a day. Default: 15 minutes.
    #[input(default = 15 * 60)]
    pub sign_in_seconds: i64,
    /// How many requests a minute a user may send, or an address (IPv4, or the /64 of IPv6) without a signed-in user; further ones fail
    /// with `RATE_LIMIT_EXCEEDED`. Requests become available again one by one (GCRA). Instances that share a storage share the number,
    /// and each takes a tenth of it at a time. Checks (`can`) and the application itself are not limited, nor is anybody in a web page's
    /// own store. Default: 0, any number; 100 is usual for a public API.
    #[input(default = 0)]
    pub requests_per_minute: u32,
    /// How many reading operations a user may call in an hour, likewise. Default: 0, any number.
    #[input(default = 0)]
    pub reads_per_hour: u32,
    /// How many writing operations a user may call in an hour, likewise. Default: 0, any number.
    #[input(default = 0)]
    pub writes_per_hour: u32,
    /// After how many failed sign-ins in a row a name is locked, until somebody signs in with it and a `device_token`, `limits.clear` is
    /// called, or nobody has tried for 180 days. The error is the same as for a wrong password. Default: 30, at most 33, since the two
    /// names and the known devices of an account are counted separately, and NIST SP 800-63B-4, 3.2.2, allows 100 in all; 0: never.
    #[input(default = 30)]
    pub lock_after_failures: u32,
    /// The page of the application that links in notices lead to, an absolute URL without `#`: the token follows after a `#`, so that
    /// opening the link sends it to no server. The prefix of a token says what it is for: `rkp_` for `passwords.reset`, `rkv_` for
    /// `verification.confirm`, `rkm_` for `sign_in.mail`, `rke_` for `email.confirm`, `rki_` for `invitations.accept`, `rkg_` for
    /// `users.confirm_registration`, `rku_` for `email.revert`. Default: none; notices then only have tokens.
    pub link_url: Option<String>,
    /// The name of the application, shown at the end of notices and in authenticator apps, 1 to 100 characters. Default: none.
    pub application_name: Option<String>,
    /// The root key, at least 32 bytes: tokens are signed with it, or with keys derived from it. Default: the store makes one and keeps
    /// it in the storage, and `signing_keys.rotate` makes the next one.
    pub signing_key: Option<Secret>,
    /// Former values of `signing_key`, at least 32 bytes each: what was signed with them is accepted until they are removed. To change
    /// `signing_key` without signing anybody out, keep the old one here for as long as sessions last (`session_seconds`).
    pub retired_signing_keys: Vec<Secret>,
    /// How access tokens are signed: `hs256` with the root key, which every service that verifies them then needs; `es256` or `eddsa`
    /// with a key that the store makes and keeps, and whose public part `signing_keys.jwks` returns. Tokens of `hs256` are only accepted
    /// with that setting. The first key of another algorithm signs at once: other services fetch the set when they see it, and earlier
    /// access tokens have to be refreshed. Needs the feature `asymmetric` in Rust; not in web pages. Default: `hs256`.
    #[input(default = TokenAlgorithm::Hs256)]
    pub token_algorithm: TokenAlgorithm,
    /// Other issuers with whose tokens users can sign in (`sign_in.external`) to accounts that stand for their subjects. At most 50.
    /// Default: none.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// The `iss` of the tokens that `sessions.supabase_token` makes, for a Supabase project that keeps data of the application:
    /// `https://PROJECT.supabase.co/auth/v1`. Give one of `supabase_secret` and `supabase_signing_key` with it. Default: no such tokens.
    pub supabase_issuer: Option<String>,
    /// The secret that signs them, if the project has a shared one (`JWT secret`), at least 32 bytes. Whoever has it may do anything in
    /// the project.
    pub supabase_secret: Option<Secret>,
    /// The key that signs them, if it was given to the project: a private JWK (RFC 7517) of ES256 or EdDSA with its `kid`, as `supabase
    /// gen signing-key` writes one. Needs the feature `asymmetric` in Rust.
    pub supabase_signing_key: Option<Secret>,
    /// Where the settings stand that somebody else than the program gave.
    #[input(apart)]
    sources: Sources,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Reads a configuration from JSON: an object with the names of the fields.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`](crate::Reason::InvalidJson), [`Reason::InvalidInput`](crate::Reason::InvalidInput) with every wrong field.
    pub fn from_json(text: &str) -> Result<Self> {
        read(text)
    }

    /// Checks the settings, as opening a store does, which also reads the path or the URLs of its storage.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) with every wrong field.
    pub fn check(&self) -> Result<()> {
        self.check_beside(true)
    }

    /// The same, and those that let nobody in without a notifier. Pages have none, and take the settings of their server as they are.
    pub(crate) fn check_beside(&self, has_notifier: bool) -> Result<()> {
        let mut checks = Checks::default();
        let mut within = |field: &str, value: i64, from: i64, to: i64| {
            if !(from..=to).contains(&value) {
                let message = format!("must lie between {from} and {to}");
                checks.error(field, Invalid::new(FieldCode::OutOfRange, message));
            }
            (from..=to).contains(&value)
        };
        within("access_token_seconds", self.access_token_seconds, 1, MAX_TIME);
        within("idle_seconds", self.idle_seconds, 1, MAX_TIME);
        within("session_seconds", self.session_seconds, 1, MAX_TIME);
        within("refresh_grace_seconds", self.refresh_grace_seconds, 0, 300);
        within("leeway_seconds", self.leeway_seconds, 0, 300);
        within("sign_in_seconds", self.sign_in_seconds, 1, DAY);
        within("lock_after_failures", self.lock_after_failures.into(), 0, 33);
        within("max_sessions", self.max_sessions.into(), 1, u32::MAX.into());
        within("temporary_password_seconds", self.temporary_password_seconds, 1, MAX_TIME);
        within("keep_feed_seconds", self.keep_feed_seconds, MIN_FEED_TIME, MAX_TIME);
        within("keep_sessions_seconds", self.keep_sessions_seconds, 0, MAX_TIME);
        within("keep_deleted_users_seconds", self.keep_deleted_users_seconds, 0, MAX_TIME);
        within("tidy_every_seconds", self.tidy_every_seconds, 0, DAY);
        within("rights_max_age_millis", self.rights_max_age_millis, 1, MAX_TIME);
        let (shortest, longest) = (self.password_min_length.into(), self.password_max_length.into());
        within("password_max_length", longest, 64, password_rule::MAX_LENGTH);
        within("password_min_length", shortest, 8, longest.clamp(64, password_rule::MAX_LENGTH));
        within("users_in_memory", self.users_in_memory.into(), 1, MAX_USERS_IN_MEMORY);
        let is_known = within("hashing_memory_kib", self.hashing_memory_kib.into(), 1, MAX_HASHING_KIB)
            & within("hashing_iterations", self.hashing_iterations.into(), 1, 100)
            & within("hashing_lanes", self.hashing_lanes.into(), 1, 16);
        within("hashing_parallel", self.hashing_parallel.into(), 1, 256);
        if is_known {
            checks.field("hashing_memory_kib", self.hashing_cost().check());
        }
        for (field, name) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
                let message = format!("must have 1 to {MAX_NAME_BYTES} bytes");
                checks.error(field, Invalid::new(FieldCode::OutOfRange, message));
            }
        }
        checks.optional("link_url", self.link_url.as_deref(), page);
        checks.optional("application_name", self.application_name.as_deref(), |name| text::name(name, 100));
        self.check_storage(&mut checks);
        if self.token_algorithm != TokenAlgorithm::Hs256 && !cfg!(feature = "asymmetric") {
            let message = "needs the feature `asymmetric`, without which this was built";
            checks.error("token_algorithm", Invalid::new(FieldCode::Disagrees, message));
        }
        if self.username_profile == UsernameProfile::Precis && !precis::IS_THERE {
            let message =
                "`precis` needs tables that a web page does not have: choose it where your server opens the store";
            checks.error("username_profile", Invalid::new(FieldCode::Disagrees, message));
        }
        self.check_secrets(&mut checks);
        let wrong = [
            self.issuers().err(),
            self.relying_party().err(),
            self.networks().err(),
            self.supabase().err(),
            self.audit_signer().err(),
        ];
        wrong.iter().flatten().for_each(|problem| checks.add(problem.fields()));
        if !has_notifier && !IS_PAGE {
            let needs = [
                (
                    "registration",
                    self.registration == Registration::Verified,
                    "`verified` needs a notifier, which mails the link",
                ),
                ("mail_sign_in", self.mail_sign_in, "needs a notifier, which mails the code"),
            ];
            for (field, _, message) in needs.into_iter().filter(|(_, is_on, _)| *is_on) {
                checks.error(field, Invalid::new(FieldCode::Disagrees, message));
            }
        }
        self.sources.with_origins(checks.finish_as(Error::config))
    }

    /// The policy that it names; none where it names none.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`](crate::Reason::PolicyInvalid) where the file cannot be read, [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) where several are named.
    pub fn policy(&self) -> Result<Option<Policy>> {
        let Self { preset, policy_toml, policy_json, roles, permissions, .. } = self;
        let files = [preset, policy_toml, policy_json].map(Option::as_deref);
        policy_of(files, roles, permissions, Policy::preset)
    }

    /// Whether a password has fewer characters than the only factor has to have.
    pub(crate) fn is_short(&self, password: &Secret) -> bool {
        self.password_rule(false).is_short(password)
    }

    pub(crate) fn networks(&self) -> Result<Networks> {
        Networks::read(&self.trusted_proxies, &self.allowed_networks, &self.denied_networks)
    }

    pub(crate) fn hashing_cost(&self) -> HashingCost {
        HashingCost {
            memory_kib: self.hashing_memory_kib,
            iterations: self.hashing_iterations,
            parallelism: self.hashing_lanes,
        }
    }

    /// What names to sign in with may be.
    pub(crate) fn names(&self) -> NameRules {
        NameRules { profile: self.username_profile, smtputf8: self.smtputf8 }
    }

    /// What a password must be, as the only factor or beside a second one that is demanded.
    pub(crate) fn password_rule(&self, has_second: bool) -> PasswordRule<'_> {
        let min_length = self.password_min_length;
        PasswordRule {
            min_length: if has_second { min_length.min(SHORT_PASSWORD) } else { min_length },
            max_length: self.password_max_length,
            composition: self.password_composition,
            context_words: &self.password_context_words,
        }
    }
}

/// The host's own, and a policy file may be in it, with every second letter escaped.
pub(crate) fn read<T: FromJson>(text: &str) -> Result<T> {
    let limits = Limits { bytes: 2 * Limits::ROWS.bytes, ..Limits::ROWS };
    Ok(decode::decode_within(input::read(text, limits)?, limits)?)
}

/// An absolute URL to whose end a fragment is added.
fn page(url: &str) -> Result<(), Invalid> {
    let unfit = |letter: char| !letter.is_ascii_graphic() || matches!(letter, '#' | '<' | '>' | '"');
    let is_absolute = url.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if is_absolute && url.len() <= MAX_URL_BYTES && !url.contains(unfit) {
        return Ok(());
    }
    let message = format!("must be an absolute URL without `#`, of at most {MAX_URL_BYTES} bytes");
    Err(Invalid::new(FieldCode::InvalidFormat, message))
}
