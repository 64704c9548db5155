//! Imports of users: how far one has come, what became of records that made no account, and what waits for the end of one that is
//! to be whole (USR-8).

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde::{Deserialize, Serialize};

use super::{
    decode::FieldError,
    error::Code,
    id::{GroupId, ImportId, UserId},
    record::{Document, Record},
    secret::Secret,
    time::Time,
    user::User,
};

/// An import of users, of which pieces are fed one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "imports", key(id), index(expires_at), index(started_by), sync = site_local, resource = none)]
#[record(events = none("what is made of it tells of it"))]
#[record(audit = none("the operations that begin and end it tell of it"))]
#[record(owner(field = started_by, of = User, on_delete = keep, on_purge = keep("it goes by its own time")))]
#[record(caches = none, retention = day(expires_at))]
pub struct Import {
    /// Its id.
    #[record(given)]
    pub id: ImportId,
    /// Who feeds it; none: the application itself.
    pub started_by: Option<UserId>,
    /// What it was begun with.
    pub options: Document<ImportOptions>,
    /// What all hashes of the source are made with beside their own, where there is such a thing.
    pub hash_parameters: Option<Secret>,
    /// How it stands.
    pub status: ImportStatus,
    /// How many bytes have been read.
    pub position: i64,
    /// Where reading goes on.
    pub reading: Document<Reading>,
    /// SHA-256 of what has been read, in the middle of its work; the last bytes are part of it as they are.
    pub digest: Secret,
    /// The same of what has been read again, as it goes on.
    pub replayed_digest: Option<Secret>,
    /// The results of the records so far.
    pub counts: Document<ImportCounts>,
    /// When it was begun.
    #[record(given)]
    pub created_at: Time,
    /// When it was last fed.
    #[record(kept)]
    pub updated_at: Time,
    /// When it ends by itself, and what is known of it goes.
    pub expires_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A record that made no account, and why.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "import_failures", key(import_id, number), index(expires_at), index(user_id), sync = site_local)]
#[record(events = none("it is what an import answered"))]
#[record(resource = none, audit = none("it is what an import answered"))]
#[record(owner(field = user_id, of = User, on_delete = keep, on_purge = cascade))]
#[record(caches = none, retention = day(expires_at))]
pub struct ImportFailure {
    /// The import.
    pub import_id: ImportId,
    /// Which record it was, from 1.
    pub number: i64,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// Who it was at the source.
    pub foreign_id: Option<String>,
    /// The account that it is about.
    pub user_id: Option<UserId>,
    /// What is wrong with it.
    pub problem: Document<ImportProblem>,
    /// When this goes.
    pub expires_at: Time,
    /// The row's version.
    pub version: i64,
}

/// A piece of an import that is to be whole or not at all, until its end; of one that is only checked, what its records would have made.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "import_pieces", key(import_id, at), index(expires_at), sync = site_local, resource = none)]
#[record(events = none("what is made of it tells of it"))]
#[record(audit = none("what is made of it tells of it"), owner = none, caches = none, retention = day(expires_at))]
pub struct ImportPiece {
    /// The import.
    pub import_id: ImportId,
    /// Where it begins, in bytes; of what would have been made, a number below zero that its key leads to.
    pub at: i64,
    /// Its bytes, in base64: hashes of passwords may be in them; or the rows that would have been made, as JSON.
    pub data: Secret,
    /// When this goes.
    pub expires_at: Time,
    /// The row's version.
    pub version: i64,
}

/// What is wrong with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// The code of the error; none: it made no account, and nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What an import was begun with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// Where the users come from: their ids there are known by it.
    pub source: String,
    /// The format of the data.
    pub format: ImportFormat,
    /// Whose names their fields have.
    pub shape: ImportShape,
    /// What becomes of records of accounts that are there.
    pub on_existing: OnExisting,
    /// What happens to invalid fields.
    pub level: ImportLevel,
    /// Whether accounts are found by their address that the source did not make.
    pub match_email: bool,
    /// Whether all records make an account or none.
    pub atomic: bool,
    /// Whether addresses that were proved at the source count as proved.
    pub trust_verified_emails: bool,
    /// Whether accounts are made without a password where the hash is of an unknown form.
    pub without_unknown_hashes: bool,
    /// Our roles by those of the source.
    pub roles: BTreeMap<String, String>,
    /// Our groups by those of the source. None in imports that were begun before there were groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GroupId>,
    /// Our attributes by fields of the source.
    pub attributes: BTreeMap<String, String>,
}

/// Where reading goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Of what divides records.
    pub splitter: Splitter,
    /// The names of the columns of a CSV, once they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Vec<String>>,
    /// Whether its last piece was fed.
    #[serde(default)]
    pub is_fed: bool,
    /// How far an import has been read again that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<i64>,
}

/// Where the bytes that come next stand among records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splitter {
    /// Within a record that is too long, of which nothing is kept but this.
    pub is_skipping: bool,
    /// Within quotes.
    pub in_quotes: bool,
    /// After a quote within quotes, or a backslash.
    pub is_escaped: bool,
    /// Within a field of a CSV that has begun without a quote.
    pub in_field: bool,
    /// How deep in JSON.
    pub depth: u32,
    /// How deep the list of records stands.
    #[serde(default)]
    pub list_depth: u32,
    /// Whether the list of records has begun.
    pub in_list: bool,
    /// Whether it has ended.
    pub is_over: bool,
    /// How many letters of `users` the name at hand has; more than five: it is another.
    pub matched: u8,
}

/// The results of the records so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Describe)]
#[serde(default)]
#[non_exhaustive]
pub struct ImportCounts {
    /// Records read.
    pub read: i64,
    /// Accounts created.
    pub created: i64,
    /// Accounts changed.
    pub updated: i64,
    /// Existing accounts that stayed as they were.
    pub skipped: i64,
    /// Existing accounts that now have another address.
    pub differs: i64,
    /// Existing accounts that are deleted.
    pub gone: i64,
    /// Records that failed.
    pub failed: i64,
    /// How many records had a field that was ignored, by its name.
    pub ignored: BTreeMap<String, i64>,
}

/// The format of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ImportFormat {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A JSON object on each line.
    JsonLines,
    /// One JSON document: a list of objects, or an object whose member `users` is a list.
    Json,
}

/// The system whose field names the records have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ImportShape {
    /// The names of `users.create`.
    Rolekeep,
    /// Those of an export of Auth0.
    Auth0,
    /// Those of `firebase auth:export`.
    Firebase,
    /// Those of the table `auth.users` of a Supabase project.
    Supabase,
    /// Those of Django's model `auth.user`, also as `dumpdata` writes it.
    Django,
    /// Those of an exported realm of Keycloak.
    Keycloak,
}

/// What happens to records of existing accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum OnExisting {
    /// They are skipped.
    Skip,
    /// Names, the profile and attributes are changed; never address, password, status, roles or groups.
    Update,
    /// They fail.
    Fail,
}

/// What happens to invalid fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ImportLevel {
    /// Their record fails.
    Strict,
    /// Invalid fields that an account does not need are left out, and reported: the username, the names, the profile, the reason of the
    /// status, `created_at`, and attributes that the policy does not declare. Others fail the record.
    Lenient,
    /// As `strict`, but no account is created or changed: only the results are reported. Those are what they would be if the records
    /// before had been imported, so that two of one account are told as such.
    Check,
}

/// The status of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ImportStatus {
    /// More may be fed.
    Open,
    /// It has finished.
    Finished,
    /// It was cancelled.
    Aborted,
    /// Too many records failed.
    Stopped,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum ImportOutcome {
    /// An account was made.
    Created,
    /// The account that was there was changed.
    Updated,
    /// The account that was there stayed as it was.
    Skipped,
    /// The account that was there has another address now, and stayed as it was.
    Differs,
    /// The account that was there has been deleted.
    Gone,
    /// Something is wrong with it.
    Failed,
}
