//! Questions from other languages: whether somebody may do something, and why.

use std::future::ready;

use rolekeep_macros::{Input, boxed_async};
use serde_json::{Map, Value as Json};

use super::{SqlFilter, SqlTable, written};
use crate::{
    caller::Caller,
    checks::UserChecks,
    manager::UserManagement,
    model::{
        check::wrong,
        decode::{self, FieldCode},
        deferred::{Deferred, Work},
        error::{Error, Reason, Result},
        id::UserId,
        input::{Limits, read},
    },
    rules::{Context, Explanation, ParseScopeError, Resource, Scope},
    storage::Position,
};

type Attributes = Map<String, Json>;

/// The names of [`ask`] and then those of [`consult`].
pub const QUESTIONS: &[&str] = &[
    "can_many",
    "can_somewhere",
    "explain",
    "filter",
    "has_role",
    "is_administrator",
    "check",
    "check_many",
    "explain_user",
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    "health",
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    "tidy",
];

/// What a question is made of; each takes the part that it names. One form for all of them, as each form is bytes in
/// every browser.
#[derive(Input)]
pub struct Asked {
    user_id: Option<UserId>,
    permission: Option<String>,
    resource: Option<Attributes>,
    role: Option<String>,
    scope: Option<Scope>,
    checks: Vec<Asked>,
    context: Attributes,
    at_least: Option<String>,
}

/// The question for a row filter.
#[derive(Input)]
struct AskedFilter {
    permission: String,
    table: SqlTable,
}

/// The position that a question names, if it does.
///
/// # Errors
/// [`Reason::InvalidInput`]
pub fn at_least(text: Option<&str>) -> Result<Position> {
    let read =
        |text: &str| text.parse().map_err(|error: Error| wrong("at_least", FieldCode::InvalidFormat, error.message()));
    text.map(read).transpose().map(Option::unwrap_or_default)
}

impl Asked {
    pub(super) fn read(input: &str) -> Result<Self> {
        Ok(decode::decode_within(read(input, Limits::QUESTION)?, Limits::QUESTION)?)
    }

    fn named(&self) -> Result<&str> {
        needed("permission", self.permission.as_deref())
    }

    fn target(&self) -> Result<Option<Resource<'static>>> {
        self.resource.clone().map(to_resource).transpose()
    }

    fn user_checks<'u>(&self, um: &'u UserManagement) -> Result<UserChecks<'u>> {
        Ok(um.checks().context(Context::of_json(self.context.clone())).at_least(at_least(self.at_least.as_deref())?))
    }
}

/// Who is asked about: a caller, or a principal of rules without accounts.
pub(super) trait Answers {
    fn can_many(&self, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>>;
    fn can_somewhere(&self, permission: &str) -> Result<bool>;
    fn explain(&self, permission: &str, resource: Option<&Resource<'_>>) -> Result<Explanation>;
    fn filter(&self, permission: &str, table: &SqlTable) -> Result<SqlFilter>;
    fn has_role(&self, role: &str, scope: Option<&Scope>) -> Result<bool>;
}

impl Answers for Caller {
    fn can_many(&self, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        Self::can_many(self, checks)
    }

    fn can_somewhere(&self, permission: &str) -> Result<bool> {
        Self::can_somewhere(self, permission)
    }

    fn explain(&self, permission: &str, resource: Option<&Resource<'_>>) -> Result<Explanation> {
        Self::explain(self, permission, resource)
    }

    fn filter(&self, permission: &str, table: &SqlTable) -> Result<SqlFilter> {
        SqlFilter::of_caller(&Self::filter(self, permission)?, table)
    }

    fn has_role(&self, role: &str, scope: Option<&Scope>) -> Result<bool> {
        Self::has_role(self, role, scope)
    }
}

/// The scope of a question about a role.
///
/// # Errors
/// [`Reason::InvalidInput`] naming the field `scope`.
pub fn scope(text: &str) -> Result<Scope> {
    text.parse().map_err(|problem: ParseScopeError| wrong("scope", FieldCode::InvalidFormat, problem.to_string()))
}

fn needed<T>(field: &str, given: Option<T>) -> Result<T> {
    given.ok_or_else(|| wrong(field, FieldCode::Required, "must be given"))
}

/// Whether a caller may do this; a resource of the host comes as JSON with its `type`.
///
/// # Errors
/// Those of [`Caller::can`], and [`Reason::InvalidInput`] for a resource that is none.
pub fn can(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<bool> {
    let resource = resource.map(self::resource).transpose()?;
    caller.can(permission, resource.as_ref())
}

/// Asks a caller by the name of the question: `ask(&me, "has_role", r#"{"role": "editor"}"#)`.
///
/// | question | takes | answers |
/// |---|---|---|
/// | `can_many` | `{"checks": [{"permission", "resource"}]}` | a list of booleans |
/// | `can_somewhere` | `{"permission"}` | a boolean |
/// | `explain` | `{"permission", "resource"}` | an explanation |
/// | `filter` | `{"permission", "table"}` | an [`SqlFilter`](super::SqlFilter) for a table of the host's |
/// | `has_role` | `{"role", "scope"}` | a boolean |
/// | `is_administrator` | `{}` | a boolean |
///
/// # Errors
/// Those of the caller's methods of these names, [`Reason::InvalidJson`], and [`Reason::InvalidInput`] with all
/// field errors.
pub fn ask(caller: &Caller, question: &str, input: &str) -> Result<String> {
    match question {
        "explain" | "filter" => DEFERRED.get()?(caller, question, input),
        "is_administrator" => written(&caller.is_administrator()?),
        question => answer(caller, question, &Asked::read(input)?),
    }
}

/// What browsers load on demand.
static DEFERRED: Deferred<Answer<Caller>> = Deferred::new(answer_deferred::<Caller>);

/// Puts a question, by its name and its input, to somebody.
pub(super) type Answer<W> = fn(&W, &str, &str) -> Result<String>;

static CONSULT: Deferred<&(dyn Consult + Sync)> = Deferred::new(&Others);

#[boxed_async]
trait Consult {
    async fn consult(&self, um: &UserManagement, question: &str, input: &str) -> Result<String>;
}

/// Questions about others, which a page seldom asks.
struct Others;

#[boxed_async]
impl Consult for Others {
    async fn consult(&self, um: &UserManagement, question: &str, input: &str) -> Result<String> {
        let asked = Asked::read(input)?;
        #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
        match question {
            "health" => return written(&um.health().await),
            "tidy" => return written(&um.tidy().await?),
            _ => {}
        }
        let user_checks = asked.user_checks(um)?;
        if question == "check_many" {
            let checks = asked.checks.iter();
            let checks = checks.map(|one| Ok((needed("user_id", one.user_id)?, one.named()?, one.target()?)));
            let checks = checks.collect::<Result<Vec<_>>>()?;
            let checks: Vec<_> =
                checks.iter().map(|(user, name, resource)| (*user, *name, resource.as_ref())).collect();
            return written(&user_checks.check_many(&checks).await?);
        }
        let is_explained = question == "explain_user";
        if !is_explained && question != "check" {
            return Err(unknown(question));
        }
        let (user, target) = (needed("user_id", asked.user_id)?, asked.target()?);
        match is_explained {
            true => written(&user_checks.explain(user, asked.named()?, target.as_ref()).await?),
            false => written(&user_checks.check(user, asked.named()?, target.as_ref()).await?),
        }
    }
}

pub(super) fn load_deferred() {
    CONSULT.load(&Others);
    DEFERRED.load(answer_deferred::<Caller>);
}

/// The questions that can be put to whoever answers.
pub(super) fn answer(who: &impl Answers, question: &str, asked: &Asked) -> Result<String> {
    match question {
        "can_many" => {
            let checks = asked.checks.iter().map(|one| Ok((one.named()?, one.target()?)));
            let checks = checks.collect::<Result<Vec<_>>>()?;
            let checks: Vec<_> = checks.iter().map(|(name, resource)| (*name, resource.as_ref())).collect();
            written(&who.can_many(&checks)?)
        }
        "can_somewhere" => written(&who.can_somewhere(asked.named()?)?),
        "has_role" => written(&who.has_role(needed("role", asked.role.as_deref())?, asked.scope.as_ref())?),
        _ => Err(unknown(question)),
    }
}

/// Those that are asked seldom and take much code: why, and which rows.
pub(super) fn answer_deferred<W: Answers>(who: &W, question: &str, input: &str) -> Result<String> {
    if question == "filter" {
        let limits = Limits::QUESTION;
        let AskedFilter { permission, table } = decode::decode_within(read(input, limits)?, limits)?;
        return written(&who.filter(&permission, &table)?);
    }
    let asked = Asked::read(input)?;
    written(&who.explain(asked.named()?, asked.target()?.as_ref())?)
}

/// Whether any user may do this, by the rights in memory; circumstances come as JSON: `{"resource": {"type": …, …},
/// "context": {…}, "at_least": "AQ"}`, each of them where it is known.
///
/// # Errors
/// Those of [`UserManagement::check_cached`], and as [`ask`].
pub fn check(um: &UserManagement, user: UserId, permission: &str, circumstances: Option<&str>) -> Result<bool> {
    let Some(text) = circumstances else { return um.check_cached(user, permission, None) };
    let asked = Asked::read(text)?;
    asked.user_checks(um)?.check_cached(user, permission, asked.target()?.as_ref())
}

/// Asks about users, reading their rights where they are not in memory.
///
/// | question | takes | answers |
/// |---|---|---|
/// | `check` | `{"user_id", "permission", "resource", "context", "at_least"}` | a boolean |
/// | `check_many` | `{"checks": [{"user_id", "permission", "resource"}], "context", "at_least"}` | a list of booleans |
/// | `explain_user` | as `check` | an explanation |
/// | `health` | `{}` | a [`Health`](crate::observe::Health); not in a web page |
/// | `tidy` | `{}` | a [`Tidied`](crate::Tidied); not in a web page |
///
/// # Errors
/// Those of [`UserManagement::check_cached`], and as [`ask`].
#[inline(never)]
pub fn consult<'w>(um: &'w UserManagement, question: &'w str, input: &'w str) -> Work<'w, Result<String>> {
    match CONSULT.get() {
        Ok(others) => others.consult(um, question, input),
        Err(error) => Box::pin(ready(Err(error))),
    }
}

/// A resource in JSON: `{"type": "document", "owner_id": "…"}`.
///
/// # Errors
/// [`Reason::InvalidJson`], [`Reason::InvalidInput`] for what is no object, or names no type.
pub fn resource(text: &str) -> Result<Resource<'static>> {
    let Json::Object(attributes) = read(text, Limits::SMALL)? else {
        return Err(Error::new(Reason::InvalidInput, "a resource must be a JSON object"));
    };
    to_resource(attributes)
}

fn to_resource(attributes: Attributes) -> Result<Resource<'static>> {
    let (mut resource_type, mut others) = (None, Vec::new());
    for (name, value) in attributes {
        if name == "type" { resource_type = Some(value) } else { others.push((name, value)) }
    }
    match resource_type {
        Some(Json::String(resource_type)) => Ok(Resource::of_json(resource_type, others)),
        _ => Err(Error::new(Reason::InvalidInput, "a resource must name its type: {\"type\": \"document\", …}")),
    }
}

fn unknown(question: &str) -> Error {
    let near = decode::nearest(question, QUESTIONS.iter().copied());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Error::new(Reason::UnknownOperation, format!("there is no such question{hint}"))
}
