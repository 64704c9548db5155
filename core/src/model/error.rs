//! The one error of the library: a stable code for programs, a message for people.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rolekeep_macros::{Describe, Word};
use serde::Serialize;
use smol_str::SmolStr;

pub use super::reason::Reason;
use super::{
    cause::Cause,
    decode::{FieldCode, FieldError, FieldErrors},
    id::ChangeSetId,
    record::Corrupt,
    report::{Marked, Report},
    time::Time,
};

/// The kind of an error: the same nine in every language.
// Exhaustive for the packages of other languages, which must not forget one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[cfg_attr(not(feature = "bindings"), non_exhaustive)]
pub enum Code {
    /// The input is not valid; see the fields.
    #[word("VALIDATION_ERROR")]
    Validation,
    /// The caller is not signed in, or the session has ended.
    #[word("UNAUTHORIZED")]
    Unauthorized,
    /// The caller may not do this.
    #[word("FORBIDDEN")]
    Forbidden,
    /// It does not exist, or the caller may not know that it exists.
    #[word("RESOURCE_NOT_FOUND")]
    NotFound,
    /// The name is taken.
    #[word("DUPLICATE_RESOURCE")]
    Duplicate,
    /// The row has changed since it was read, or an invariant forbids the change.
    #[word("CONFLICT")]
    Conflict,
    /// Too many attempts; try again later.
    #[word("RATE_LIMIT_EXCEEDED")]
    RateLimited,
    /// The storage, or something else that is needed, is not available.
    #[word("UNAVAILABLE")]
    Unavailable,
    /// A fault of the library, or of the application that embeds it.
    #[word("INTERNAL_SERVER_ERROR")]
    Internal,
}

impl Code {
    /// The HTTP status for the response of a service.
    pub const fn http_status(&self) -> u16 {
        match self {
            Code::Validation => 400,
            Code::Unauthorized => 401,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::Duplicate | Code::Conflict => 409,
            Code::RateLimited => 429,
            Code::Unavailable => 503,
            Code::Internal => 500,
        }
    }
}

/// One problem of a policy file or backup, with its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// A suggestion, such as the name that was probably meant.
    pub help: Option<String>,
}

/// The error of every fallible call: what went wrong and, where possible, what to do about it.
///
/// ```
/// # use rolekeep::{Code, Error, Reason};
/// let error = Error::new(Reason::Denied, "you may not do this");
/// assert_eq!(error.code(), Code::Forbidden);
/// assert_eq!(error.http_status(), 403);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Body>);

#[derive(Clone, PartialEq, Eq)]
struct Body {
    reason: Reason,
    message: Cow<'static, str>,
    unknown: Option<Arc<Unknown>>,
    fields: Vec<FieldError>,
    problems: Vec<Problem>,
    /// Where each problem stands, for the report.
    marked: Option<Marked>,
    at: Option<Time>,
    change_id: Option<ChangeSetId>,
    retry_after: Option<u32>,
    permission: Option<Box<str>>,
    request_id: Option<Box<str>>,
    source: Option<Cause>,
}

/// Finds the known name that was probably meant.
type Suggest = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A name that is not known, and how to find the one that was meant.
struct Unknown<S: ?Sized = Suggest> {
    name: SmolStr,
    say: fn(&str) -> String,
    /// The message, once somebody has asked for it.
    bare: OnceLock<String>,
    /// With what is suggested.
    message: OnceLock<String>,
    suggest: S,
}

impl Unknown {
    fn bare(&self) -> &str {
        self.bare.get_or_init(|| (self.say)(&self.name))
    }
}

impl PartialEq for Unknown {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Unknown {}

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a message for people. It must not contain a secret.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let (fields, problems) = (Vec::new(), Vec::new());
        Self(Box::new(Body {
            reason,
            message: Cow::Owned(message.into()),
            unknown: None,
            fields,
            problems,
            marked: None,
            at: None,
            change_id: None,
            retry_after: None,
            permission: None,
            request_id: None,
            source: None,
        }))
    }

    /// The same error with its cause, which [`source`](std::error::Error::source) returns: an error of a database, or of the
    /// application's storage. The cause is for the application's log, and is never serialized.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Cause(Arc::new(source)));
        self
    }

    /// The same error, told with what had been done before it.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub(crate) fn after(mut self, done: &str) -> Self {
        let message = format!("{done}: {}", self.message());
        (self.0.unknown, self.0.message) = (None, Cow::Owned(message));
        self
    }

    /// What needs a user was asked for by nobody.
    pub(crate) fn not_signed_in() -> Self {
        Self::new(Reason::NotSignedIn, "this needs a signed-in user")
    }

    /// A denial: who asked is told no more than that (docs/rules.md, "Explanations"), the host's log which permission
    /// it was about.
    pub(crate) fn denied(permission: impl Into<Box<str>>) -> Self {
        Self::denied_as(permission, "you may not do this")
    }

    /// A denial that tells who asked what is missing.
    pub(crate) fn denied_as(permission: impl Into<Box<str>>, message: impl Into<String>) -> Self {
        let mut error = Self::new(Reason::Denied, message);
        error.0.permission = Some(permission.into());
        error
    }

    /// A name that is not known. The message is made, and what was meant is looked for, when somebody asks for it: most who
    /// ask whether somebody may do something read no message.
    pub(crate) fn unknown(
        reason: Reason,
        name: &str,
        say: fn(&str) -> String,
        suggest: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let mut error = Self::new(reason, String::new());
        let (bare, message) = (OnceLock::new(), OnceLock::new());
        error.0.unknown = Some(Arc::new(Unknown { name: name.into(), say, bare, message, suggest }));
        error
    }

    /// One whose message is always the same: what a check says of a user who is not in memory.
    pub(crate) fn fixed(reason: Reason, message: &'static str) -> Self {
        let mut error = Self::new(reason, String::new());
        error.0.message = Cow::Borrowed(message);
        error
    }

    /// An error with all wrong fields. Of more than 100 it keeps the first, and the message says how many others there are.
    pub(crate) fn invalid(fields: impl Into<FieldErrors>) -> Self {
        let (fields, others) = fields.into().into_told();
        // Of the whole input, as where it is no object, there is only what is wrong with it.
        let names: Vec<&str> =
            fields.iter().take(5).map(|one| if one.field.is_empty() { &*one.message } else { &*one.field }).collect();
        let more = fields.len().saturating_sub(names.len());
        let mut message = format!("invalid input: {}", names.join(", "));
        if more > 0 {
            message += &format!(" and {more} more");
        }
        if others > 0 {
            message += &format!("; at least {others} others are not listed");
        }
        let mut error = Self::new(Reason::InvalidInput, message);
        error.0.fields = fields;
        error
    }

    /// Wrong settings, all together.
    pub(crate) fn config(fields: FieldErrors) -> Self {
        let (fields, _) = fields.into_told();
        let told: Vec<String> = fields.iter().map(FieldError::told).collect();
        let mut error = Self::new(Reason::ConfigInvalid, told.join("; "));
        error.0.fields = fields;
        error
    }

    /// All of these as one: that of the settings, if it is one of them, with what the others name.
    ///
    /// # Errors
    /// Unless there are none.
    pub(crate) fn together<'e>(errors: impl Iterator<Item = &'e Self> + Clone) -> Result<()> {
        let is_of_config = |error: &&Self| error.reason() == Reason::ConfigInvalid;
        let Some(first) = errors.clone().find(is_of_config).or_else(|| errors.clone().next()) else { return Ok(()) };
        let mut whole = first.clone();
        for other in errors.filter(|error| !std::ptr::eq(*error, first)) {
            let message = format!("{}; {}", whole.message(), other.message());
            whole.0.message = message.into();
            whole.0.fields.extend(other.fields().iter().cloned());
            whole.0.problems.extend(other.problems().iter().cloned());
            whole.0.marked = whole.0.marked.or_else(|| other.0.marked.clone());
        }
        Err(whole)
    }

    /// An error with the problems of a file, each with its position.
    pub fn in_file(reason: Reason, message: impl Into<String>, problems: Vec<Problem>) -> Self {
        let mut error = Self::new(reason, message);
        error.0.problems = problems;
        error
    }

    /// Says where each of its problems stands in the text.
    pub(crate) fn marked(mut self, marked: Marked) -> Self {
        self.0.marked = Some(marked);
        self
    }

    /// Its report speaks of a file by this name, perhaps in the colours of a terminal.
    #[cfg(feature = "bindings")]
    pub(crate) fn reported_of(mut self, file: &str, is_colored: bool) -> Self {
        if let Some(marked) = &mut self.0.marked {
            marked.file = Some(file.into());
            marked.is_colored = is_colored;
        }
        self
    }

    /// An error for a unique name that is taken.
    pub fn taken(field: &str) -> Self {
        let message = format!("this {field} is taken");
        let mut error = Self::new(Reason::Taken, message.clone());
        error.0.fields = vec![FieldError { field: field.to_owned(), code: FieldCode::Taken, message }];
        error
    }

    /// An error for a write whose outcome is unknown, because the storage did not respond.
    pub fn outcome_unknown(change: ChangeSetId) -> Self {
        let message =
            format!("the storage gave no answer; the change may have been made: ask `audit.outcome` about {change}");
        let mut error = Self::new(Reason::OutcomeUnknown, message);
        error.0.change_id = Some(change);
        error
    }

    /// A request that was done before, by this change.
    pub(crate) fn already_done(change: ChangeSetId) -> Self {
        let message = format!("this request was already done, by change {change}; read its result");
        let mut error = Self::new(Reason::AlreadyDone, message);
        error.0.change_id = Some(change);
        error
    }

    /// An error for too many requests. The time to wait is given in whole seconds, rounded up, at least 1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let error = rolekeep::Error::rate_limited(Duration::from_millis(1_200));
    /// assert_eq!((error.http_status(), error.retry_after()), (429, Some(2)));
    /// ```
    pub fn rate_limited(retry_after: Duration) -> Self {
        let error = Self::new(Reason::RateLimited, "").retry_in(retry_after);
        let seconds = error.0.retry_after.unwrap_or_default();
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let message = format!("too many requests; ask again in {seconds} {unit}");
        Self(Box::new(Body { message: message.into(), ..*error.0 }))
    }

    /// Says when it makes sense to ask again.
    pub(crate) fn retry_in(mut self, time: Duration) -> Self {
        let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1);
        // Some languages have no larger number for it.
        self.0.retry_after = Some(seconds.try_into().unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs()));
        self
    }

    /// The same error for what does not exist and for what the caller may not see.
    pub fn not_found(what: &str) -> Self {
        Self::new(Reason::NotFound, format!("no such {what}"))
    }

    /// An error of a persister of the application's: of what happened it says only what became of its storage, and nothing to clients.
    pub(crate) fn of_persister(mut self) -> Self {
        if self.0.reason.for_clients().is_none() {
            self.0.reason = Reason::StorageUnavailable;
        }
        self
    }

    /// Says which of many things failed.
    pub(crate) fn of_item(mut self, item: &str) -> Self {
        self.0.message = format!("{item}: {}", self.message()).into();
        self.0.unknown = None;
        self
    }

    /// Sets the time of the error, unless it is set.
    pub fn at(mut self, now: Time) -> Self {
        self.0.at.get_or_insert(now);
        self
    }

    /// Says in which request it happened, unless that is said.
    pub(crate) fn in_request(mut self, request_id: Option<&str>) -> Self {
        if self.0.request_id.is_none() {
            self.0.request_id = request_id.map(Into::into);
        }
        self
    }

    /// The kind.
    pub fn code(&self) -> Code {
        self.0.reason.code()
    }

    /// What happened, more precisely.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The message, for people; it may change between versions.
    pub fn message(&self) -> &str {
        let Some(unknown) = &self.0.unknown else { return &self.0.message };
        unknown.message.get_or_init(|| match (unknown.suggest)(&unknown.name) {
            Some(near) => format!("{}; did you mean `{near}`?", unknown.bare()),
            None => unknown.bare().to_owned(),
        })
    }

    /// The message for a client, as it is serialized: where the storage failed, or something else inside, a sentence that says no more, and
    /// otherwise the [`message`](Error::message).
    ///
    /// ```
    /// # use rolekeep::{Error, Reason};
    /// let error = Error::new(Reason::StorageDenied, "permission denied for table users");
    /// assert_eq!(error.client_message(), "this is not available at the moment; try again later");
    /// ```
    pub fn client_message(&self) -> &str {
        self.reason().for_clients().unwrap_or_else(|| self.message())
    }

    /// The message without the name that may have been meant.
    pub(crate) fn bare_message(&self) -> &str {
        self.0.unknown.as_ref().map_or(&self.0.message, |unknown| unknown.bare())
    }

    /// The wrong fields of a [`Reason::InvalidInput`]: first everything that the input alone shows, and only where that is right, what
    /// depends on the policy or on stored data.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// The problems of a policy file or backup.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The problems of a policy file as a compiler prints them: lines, carets, suggestions. None if
    /// there are no problems, or without the feature `reports`.
    ///
    /// ```
    /// # use rolekeep::rules::{Policy, RuleSet, Schema};
    /// let policy = Policy::from_toml("[roles.reader]\nallow = [\"report:raed\"]\n[permissions]\n\"report:read\" = \"\"")?;
    /// let error = RuleSet::compile(&policy, &Schema::new()).unwrap_err();
    /// println!("{}", error.report().unwrap().file("policy.toml").colored(true));
    /// # Ok::<(), rolekeep::Error>(())
    /// ```
    pub fn report(&self) -> Option<Report<'_>> {
        let marked = self.0.marked.as_ref().filter(|_| !self.0.problems.is_empty())?;
        Report::of(&self.0.problems, marked)
    }

    /// When it happened, if known.
    pub fn timestamp(&self) -> Option<Time> {
        self.0.at
    }

    /// The change whose outcome is unknown ([`Reason::OutcomeUnknown`]), for `audit.outcome`; or the change that the same
    /// request made before ([`Reason::AlreadyDone`]).
    pub fn change_id(&self) -> Option<ChangeSetId> {
        self.0.change_id
    }

    /// After how many seconds to try again, with the code [`Code::RateLimited`]: the value of the header `Retry-After`.
    pub fn retry_after(&self) -> Option<u32> {
        self.0.retry_after
    }

    /// The permission that was denied ([`Reason::Denied`]), for the application's log. It is not part of the serialized
    /// error, since the caller must not learn it.
    pub fn permission(&self) -> Option<&str> {
        self.0.permission.as_deref()
    }

    /// The id of the request that failed ([`RequestContext::request_id`](crate::RequestContext::request_id)), truncated to 128
    /// characters. None if the request had no id. It is not part of the message; log it together with the message.
    ///
    /// ```
    /// # use rolekeep::{RequestContext, UserManagement, users::ListUsers};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let um = UserManagement::builder().open().await?;
    /// let request = RequestContext::default().request_id("req-7");
    /// let error = um.anonymous(request).users().list(ListUsers::new()).await.unwrap_err();
    /// assert_eq!(error.request_id(), Some("req-7"));
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The HTTP status for the response of a service.
    pub fn http_status(&self) -> u16 {
        self.code().http_status()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())?;
        for field in &self.0.fields {
            write!(f, "\n  {}", field.told())?;
        }
        if let Some(report) = self.report() {
            return write!(f, "\n\n{report}");
        }
        for problem in &self.0.problems {
            write!(f, "\n  line {}, column {}: {}", problem.line, problem.column, problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}: {self}", self.code(), self.reason())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|Cause(source)| &**source as &(dyn std::error::Error + 'static))
    }
}

/// What a service may send to a client: `{"code": …, "reason": …, "message": …, "fields": […], "problems": […], "timestamp": …,
/// "http_status": …}`, and where there are any `change_id`, `retry_after` and `request_id`. The message is the
/// [`client_message`](Error::client_message).
impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialized::of(self).serialize(serializer)
    }
}

/// An error as the packages of other languages take it: with what only the host may know.
#[cfg(feature = "bindings")]
pub(crate) struct ForHost<'e>(pub(crate) &'e Error);

#[cfg(feature = "bindings")]
impl Serialize for ForHost<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let error = self.0;
        let report = error.report().map(|report| report.to_string());
        let client_message = Some(error.client_message());
        let (message, permission) = (error.message(), error.permission());
        Serialized { message, report, permission, client_message, ..Serialized::of(error) }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Serialized<'e> {
    code: Code,
    reason: Reason,
    message: &'e str,
    fields: &'e [FieldError],
    problems: &'e [Problem],
    timestamp: Option<Time>,
    http_status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_id: Option<ChangeSetId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message: Option<&'e str>,
}

impl<'e> Serialized<'e> {
    fn of(error: &'e Error) -> Self {
        Self {
            code: error.code(),
            reason: error.reason(),
            message: error.client_message(),
            fields: error.fields(),
            problems: error.problems(),
            timestamp: error.timestamp(),
            http_status: error.http_status(),
            change_id: error.change_id(),
            retry_after: error.retry_after(),
            request_id: error.request_id(),
            report: None,
            permission: None,
            client_message: None,
        }
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(Reason::Corrupt, corrupt.to_string())
    }
}

impl From<FieldErrors> for Error {
    fn from(fields: FieldErrors) -> Self {
        Self::invalid(fields)
    }
}
