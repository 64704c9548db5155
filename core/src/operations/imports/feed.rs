//! The pieces of an import.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use sha2::Digest;

use super::{
    KEPT_SECONDS,
    candidate::Mapping,
    checked, digest_of, digest_text,
    fields::{columns, of_columns, of_json},
    finish::{end, open},
    hashes::Project,
    require_may,
    rows::{self, Row, Wrong},
    split::{self, Next},
    view::{ImportItem, ImportView},
};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::{self, FieldCode, FieldError},
        error::{Error, Reason, Result},
        id::{ImportId, UserId},
        import::{
            Import, ImportCounts, ImportFailure, ImportFormat, ImportLevel, ImportOutcome, ImportPiece, ImportProblem,
            ImportShape, ImportStatus, Reading,
        },
        input::Limits,
        record::{Document, ResourceRecord},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, authority, plan::Plan, services::Services, users::is_of_one},
};

/// So many accounts are made in one commit.
const MOST_RECORDS: usize = 500;
/// So many of an import that is to be whole.
pub(super) const MOST_ATOMIC: usize = 10_000;
/// A piece has so many bytes at most.
const LONGEST_PIECE: usize = 1024 * 1024;
/// And an import that is to be whole.
const LONGEST_ATOMIC: i64 = 8 * 1024 * 1024;
/// An import ends when so many records have failed.
const MOST_FAILURES: i64 = 10_000;
/// As some editors begin a file in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Feeds an import with bytes of its source, from `position` on.
///
/// Up to 500 records are imported in one commit, and `import.position` of the result is the next byte to feed: an incomplete record is
/// fed again. Failures are returned, and kept for `imports.failures`; when 10,000 records have failed, the import stops.
/// Permission `user:import`, held everywhere, and what `imports.begin` says. Errors: `VALIDATION_ERROR` for invalid base64, for UTF-16,
/// and for the header of a CSV that names an unknown column; `CONFLICT` for bytes of the wrong position, for a different source, and for
/// an import that has ended.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct FeedImport {
    /// The import.
    pub id: ImportId,
    /// The position of `data` in the source, in bytes.
    pub at: i64,
    /// The bytes, in base64; at most 1 MiB before encoding.
    pub data: String,
    /// Whether these are the last bytes of the source.
    #[input(default = false)]
    pub is_last: bool,
}

/// The progress of an import, and the results of the records that were fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ImportProgress {
    /// The import.
    pub import: ImportView,
    /// The results of the records, in order.
    pub items: Vec<ImportItem>,
}

/// Bytes of a source.
pub(super) struct Batch<'b> {
    pub(super) data: &'b [u8],
    /// Whether the source begins with them.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    /// So many records are imported at most.
    pub(super) most: usize,
    /// Whether all of them make an account or none.
    pub(super) is_whole: bool,
}

/// What was made of them.
pub(super) struct Done {
    /// How many bytes were read.
    pub(super) used: usize,
    items: Vec<ImportItem>,
}

/// A record as it was read, or what is wrong with it.
type Read = (i64, Result<Map<String, Json>, Wrong>);

#[boxed_async]
impl Operation for FeedImport {
    type Target = ();
    type Valid = (ImportId, i64, Vec<u8>, bool);

    const ACCESS: Access = Access::Everywhere("user:import");
    const LIMITS: Limits = Limits { bytes: 2 * LONGEST_PIECE, ..Limits::SMALL };
    const IN_PERSON: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let invalid = |_| wrong("data", FieldCode::InvalidFormat, "is not base64");
        let data = BASE64_STANDARD.decode(&self.data).map_err(invalid)?;
        if data.len() > LONGEST_PIECE {
            return Err(wrong("data", FieldCode::TooLong, format!("must have at most {LONGEST_PIECE} bytes")));
        }
        Ok((self.id, self.at, data, self.is_last))
    }

    async fn plan((id, at, data, is_last): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<ImportProgress> {
        let before = open(*id, plan).await?;
        require_may(plan, &before.options.0)?;
        let due = ImportView::of(before.clone()).position;
        if *at != due {
            return Err(Error::new(Reason::VersionStale, format!("byte {due} is due, not {at}")));
        }
        let mut after = before.clone();
        let items = match before.reading.0.replayed {
            Some(position) => match replay(&mut after, position, data, *is_last)? {
                // All of it was read before, and this is its end.
                true => feed(&mut after, &[], true, plan).await?,
                false => Vec::new(),
            },
            None => feed(&mut after, data, *is_last, plan).await?,
        };
        after.updated_at = plan.now;
        // What is kept of one that is to be whole goes after seven days, whatever is fed until then.
        if !after.options.0.atomic {
            after.expires_at = plan.now.plus_seconds(KEPT_SECONDS);
        }
        let is_stopped = after.counts.0.failed >= MOST_FAILURES;
        let after = match is_stopped {
            true => end(&before, after, ImportStatus::Stopped, plan).await?,
            false => plan.write_consequence(Some(&before), after),
        };
        Ok(ImportProgress { import: ImportView::of(after), items })
    }
}

/// Compares a source with what has been read of it before; whether its end was reached with these bytes.
fn replay(import: &mut Import, position: i64, data: &[u8], is_last: bool) -> Result<bool> {
    let left = usize::try_from(import.position - position).unwrap_or_default();
    let known = &data[..left.min(data.len())];
    let mut digest = digest_of(import.replayed_digest.as_ref().map_or("", Secret::expose))?;
    digest.update(known);
    let digest = Secret::from(digest_text(&digest));
    let is_whole = known.len() == left;
    if is_whole && digest != import.digest || !is_whole && is_last {
        return Err(Error::new(Reason::VersionStale, "this is not the source that the import was begun with"));
    }
    import.reading.0.replayed = (!is_whole).then_some(position + length(known.len()));
    import.replayed_digest = Some(digest).filter(|_| !is_whole);
    Ok(is_last && known.len() == data.len())
}

async fn feed(import: &mut Import, data: &[u8], is_last: bool, plan: &mut Plan<'_>) -> Result<Vec<ImportItem>> {
    if import.position == 0 && [b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| data.starts_with(*mark)) {
        return Err(wrong("data", FieldCode::InvalidFormat, "is UTF-16; a source is read as UTF-8"));
    }
    if import.reading.0.is_fed && !data.is_empty() {
        return Err(Error::new(Reason::VersionStale, "the source has ended before, and has more now"));
    }
    let mut digest = digest_of(import.digest.expose())?;
    let (used, items) = if import.options.0.atomic {
        keep(import, data, plan)?;
        (data.len(), Vec::new())
    } else {
        let batch = Batch { data, is_first: import.position == 0, is_last, most: MOST_RECORDS, is_whole: false };
        let done = batch.make(import, plan).await?;
        (done.used, done.items)
    };
    import.reading.0.is_fed |= is_last && used == data.len();
    digest.update(&data[..used]);
    import.digest = digest_text(&digest).into();
    import.position += length(used);
    Ok(items)
}

/// Keeps a piece of an import that is to be whole.
fn keep(import: &mut Import, data: &[u8], plan: &mut Plan<'_>) -> Result<()> {
    if import.position + length(data.len()) > LONGEST_ATOMIC {
        let message = format!("an import that is to be whole has at most {LONGEST_ATOMIC} bytes");
        return Err(wrong("data", FieldCode::TooLong, message));
    }
    if !data.is_empty() {
        let data = BASE64_STANDARD.encode(data).into();
        let (import_id, at, expires_at) = (import.id, import.position, import.expires_at);
        plan.write_consequence(None, ImportPiece { import_id, at, data, expires_at, version: 0 });
    }
    Ok(())
}

impl Batch<'_> {
    /// Imports the records that are whole, as many as there may be.
    pub(super) async fn make(&self, import: &mut Import, plan: &mut Plan<'_>) -> Result<Done> {
        let options = import.options.0.clone();
        let (used, read) = self.read(import)?;
        let parameters = import.hash_parameters.clone();
        let rules = plan.rules();
        let is_declared = |name: &str| rules.member(User::TYPE, name, Json::Null).is_some();
        let mapping = Mapping {
            options: &options,
            project: parameters.as_ref().map(|parameters| Project(parameters.expose())),
            is_declared: &is_declared,
        };
        let counts = &mut import.counts.0;
        let (mut valid, mut items) = (Vec::new(), BTreeMap::new());
        let mut first_wrong = None;
        for (number, record) in read {
            let row = match record {
                Ok(record) => match mapping.candidate(record) {
                    Some(candidate) => Row::of(number, candidate, &options, plan, &mut counts.ignored)?,
                    None => {
                        // It is no user, and has a number all the same.
                        counts.read += 1;
                        rows::note(&mut counts.ignored, "model");
                        continue;
                    }
                },
                Err(wrong) => Err(wrong),
            };
            counts.read += 1;
            match row {
                Ok(row) => valid.push(row),
                Err(wrong) if self.is_whole => {
                    // One before it may fail as well, and is told first.
                    first_wrong = Some(failed_whole(number, invalid(wrong.errors)));
                    break;
                }
                Err(wrong) => drop(items.insert(number, failure(number, wrong.foreign_id, &invalid(wrong.errors)))),
            }
        }
        let names = rows::read_ahead(&valid, &options, plan).await?;
        let is_check = options.level == ImportLevel::Check;
        let mut rehearsal = is_check.then(|| plan.rehearse());
        if let Some(rehearsal) = &mut rehearsal {
            checked::recall(import.id, names, rehearsal, plan).await?;
        }
        for row in &valid {
            let savepoint = plan.savepoint();
            let mut applied = rows::apply(row, &options, plan).await;
            if applied.is_ok()
                && let Err(refused) = authority::require_since(plan, &savepoint, None).await
            {
                applied = Err(refused);
            }
            let item = match applied {
                Ok((ImportOutcome::Failed, _)) if self.is_whole => {
                    return Err(failed_whole(row.number, rows::is_there()));
                }
                Ok((ImportOutcome::Failed, user_id)) => {
                    plan.undo(savepoint);
                    ImportItem { user_id, ..failure(row.number, row.foreign_id.clone(), &rows::is_there()) }
                }
                Ok((outcome, user_id)) => {
                    plan.keep(savepoint);
                    made(row, outcome, user_id)
                }
                Err(error) if self.is_whole || !is_of_one(&error) => return Err(failed_whole(row.number, error)),
                Err(error) => {
                    plan.undo(savepoint);
                    failure(row.number, row.foreign_id.clone(), &error)
                }
            };
            items.insert(row.number, item);
        }
        if let Some(error) = first_wrong {
            return Err(error);
        }
        let mut items: Vec<ImportItem> = items.into_values().collect();
        if let Some(rehearsal) = rehearsal {
            let rows = plan.end_rehearsal(rehearsal, &checked::TABLES);
            name_stored(&mut items, plan).await?;
            note(&items, import, plan).await?;
            // Of one that stops here nothing is kept.
            if import.counts.0.failed < MOST_FAILURES {
                checked::keep(import, rows, plan).await?;
            }
        } else {
            note(&items, import, plan).await?;
        }
        Ok(Done { used, items })
    }

    /// Reads records, as many as there may be, and how many bytes they take.
    fn read(&self, import: &mut Import) -> Result<(usize, Vec<Read>)> {
        let (shape, format) = (import.options.0.shape, import.options.0.format);
        let Reading { splitter, header, .. } = &mut import.reading.0;
        let (mut used, mut read) = (0, Vec::new());
        if self.is_first && self.data.starts_with(MARK) {
            used = MARK.len();
        } else if self.is_first && !self.is_last && MARK.starts_with(self.data) {
            return Ok((0, read));
        }
        let first = import.counts.0.read + 1;
        while read.len() < self.most {
            let (taken, next) = split::next(splitter, format, &self.data[used..], self.is_last);
            used += taken;
            let number = first + length(read.len());
            let record = match next {
                Next::Record(record, is_unended) => match (format, &*header) {
                    (ImportFormat::Csv, None) => {
                        *header = Some(checked_header(record, shape)?);
                        continue;
                    }
                    (ImportFormat::Csv, Some(header)) => columns(record)
                        .and_then(|columns| of_columns(header, columns))
                        .map_err(|invalid| if is_unended { truncated() } else { invalid }),
                    (ImportFormat::JsonLines | ImportFormat::Json, _) => {
                        of_json(record).map_err(|invalid| if is_unended { truncated() } else { invalid })
                    }
                },
                Next::TooLong => Err(Invalid::new(FieldCode::TooLong, "is too long, and was not read")),
                Next::Truncated => Err(truncated()),
                Next::Trailing => {
                    let message = "is text behind the end of the document, of which nothing was read";
                    Err(Invalid::new(FieldCode::InvalidFormat, message))
                }
                Next::More => break,
            };
            read.push((number, record.map_err(Wrong::of)));
        }
        if self.is_last && read.len() == self.most {
            // What is left may be nothing but the end of the source, or its lack.
            let mut ahead = *splitter;
            let (taken, next) = split::next(&mut ahead, format, &self.data[used..], true);
            match next {
                Next::More => (used, *splitter) = (used + taken, ahead),
                Next::Truncated if used == self.data.len() => {
                    *splitter = ahead;
                    read.push((first + length(read.len()), Err(Wrong::of(truncated()))));
                }
                Next::Record(..) | Next::TooLong | Next::Truncated | Next::Trailing => {}
            }
        }
        Ok((used, read))
    }
}

fn truncated() -> Invalid {
    Invalid::new(FieldCode::InvalidFormat, "is incomplete: the data ends here")
}

impl Wrong {
    fn of(invalid: Invalid) -> Self {
        let error = FieldError { field: "record".to_owned(), code: invalid.code, message: invalid.message };
        Self { foreign_id: None, errors: vec![error] }
    }
}

/// The names of a CSV's columns; of our own shape each must be known.
fn checked_header(record: &[u8], shape: ImportShape) -> Result<Vec<String>> {
    const OURS: [&str; 24] = [
        "foreign_id",
        "email",
        "username",
        "password_hash",
        "full_name",
        "display_name",
        "first_name",
        "last_name",
        "phone",
        "birth_date",
        "bio",
        "location",
        "avatar_url",
        "website",
        "visibility",
        "attributes",
        "region",
        "roles",
        "groups",
        "status",
        "status_reason",
        "suspended_until",
        "email_verified",
        "created_at",
    ];
    let header = columns(record).map_err(|invalid| wrong("header", invalid.code, invalid.message))?;
    let header: Vec<String> = header.into_iter().map(|name| name.trim().to_owned()).collect();
    let mut checks = Checks::default();
    let is_of_other_delimiter = header.len() == 1 && header[0].contains([';', '\t', '|']);
    for (at, name) in header.iter().enumerate() {
        if name.is_empty() || header[..at].contains(name) {
            let message = "names no column, or one that was named before";
            checks.error(&format!("header[{at}]"), Invalid::new(FieldCode::Disagrees, message));
        } else if shape == ImportShape::Rolekeep && !OURS.contains(&name.as_str()) {
            let said = decode::shown(name);
            let help = match decode::nearest(name, OURS) {
                _ if is_of_other_delimiter => "columns are separated by commas".to_owned(),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", OURS.join(", ")),
            };
            let message = format!("`{said}` is no column of an import; {help}");
            checks.error(&format!("header[{at}]"), Invalid::new(FieldCode::UnknownField, message));
        }
    }
    checks.finish()?;
    Ok(header)
}

fn invalid(errors: Vec<FieldError>) -> Error {
    let mut checks = Checks::default();
    checks.add(&errors);
    checks.finish().err().unwrap_or_else(|| Error::new(Reason::InvalidInput, "the record is wrong"))
}

fn failed_whole(number: i64, error: Error) -> Error {
    error.of_item(&format!("records[{number}]"))
}

fn made(row: &Row, outcome: ImportOutcome, user_id: Option<UserId>) -> ImportItem {
    ImportItem {
        number: row.number,
        foreign_id: row.foreign_id.clone(),
        outcome,
        user_id,
        code: None,
        message: None,
        errors: row.left_out.clone(),
    }
}

fn failure(number: i64, foreign_id: Option<String>, error: &Error) -> ImportItem {
    ImportItem {
        number,
        foreign_id,
        outcome: ImportOutcome::Failed,
        user_id: None,
        code: Some(error.code()),
        message: Some(error.message().to_owned()),
        errors: error.fields().to_vec(),
    }
}

/// Leaves the ids out of accounts that would have been made.
async fn name_stored(items: &mut [ImportItem], plan: &Plan<'_>) -> Result<()> {
    let ids: BTreeSet<UserId> = items.iter().filter_map(|item| item.user_id).collect();
    let stored: Vec<User> = plan.reads().many(ids.into_iter().map(|id| (id,))).await?;
    let stored: BTreeSet<UserId> = stored.into_iter().map(|user| user.id).collect();
    items.iter_mut().for_each(|item| item.user_id = item.user_id.filter(|id| stored.contains(id)));
    Ok(())
}

/// Counts what became of records, and keeps what became of those that made no account.
async fn note(items: &[ImportItem], import: &mut Import, plan: &mut Plan<'_>) -> Result<()> {
    for item in items {
        let ImportCounts { created, updated, skipped, differs, gone, failed, .. } = &mut import.counts.0;
        let (count, is_kept) = match item.outcome {
            ImportOutcome::Created => (created, false),
            ImportOutcome::Updated => (updated, false),
            ImportOutcome::Skipped => (skipped, false),
            ImportOutcome::Differs => (differs, true),
            ImportOutcome::Gone => (gone, true),
            ImportOutcome::Failed => (failed, true),
        };
        *count += 1;
        if !is_kept {
            continue;
        }
        if let Some(id) = item.user_id {
            // What is known of it goes with it.
            let user: Option<User> = plan.reads().get(&(id,)).await?;
            user.iter().for_each(|user| plan.check(user));
        }
        let problem = ImportProblem { code: item.code, message: item.message.clone(), errors: item.errors.clone() };
        plan.write_consequence(
            None,
            ImportFailure {
                import_id: import.id,
                number: item.number,
                outcome: item.outcome,
                // Nobody is named by it who is deleted: it would outlast an erasure.
                foreign_id: item.foreign_id.clone().filter(|_| item.outcome != ImportOutcome::Gone),
                user_id: item.user_id,
                problem: Document(problem),
                expires_at: plan.now.plus_seconds(KEPT_SECONDS),
                version: 0,
            },
        );
    }
    Ok(())
}

/// A number of bytes or records.
fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
