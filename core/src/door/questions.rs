//! Questions from other languages: whether somebody may do something, and why.

use std::collections::BTreeMap;

use rolekeep_macros::Input;
use serde::Serialize;
use serde_json::Value as Json;

use super::parse;
use crate::{
    caller::Caller,
    checks::Asking,
    manager::UserManagement,
    model::{
        decode,
        error::{Error, Reason, Result},
        id::UserId,
    },
    rules::{Context, Resource, Scope},
};

type Attributes = BTreeMap<String, Json>;

/// The names of [`ask`] and then those of [`consult`].
pub const QUESTIONS: &[&str] =
    &["can_many", "can_somewhere", "explain", "has_role", "is_administrator", "check", "check_many", "explain_user"];

/// `{"permission": "document:edit", "resource": {"type": "document", …}}`
#[derive(Input)]
pub struct Asked {
    permission: String,
    resource: Option<Attributes>,
}

/// Several of them.
#[derive(Input)]
pub struct AskedMany {
    checks: Vec<Asked>,
}

/// `{"role": "editor", "scope": "region:…"}`
#[derive(Input)]
pub struct AskedRole {
    role: String,
    scope: Option<Scope>,
}

/// Nothing.
#[derive(Input)]
pub struct AskedNothing {}

/// About a user.
#[derive(Input)]
pub struct AskedAbout {
    user_id: UserId,
    permission: String,
    resource: Option<Attributes>,
    context: Attributes,
    at_least: Option<i64>,
}

/// About one user or several, under the same circumstances.
#[derive(Input)]
pub struct AskedAboutMany {
    checks: Vec<AboutOne>,
    context: Attributes,
    at_least: Option<i64>,
}

/// One of those.
#[derive(Input)]
pub struct AboutOne {
    user_id: UserId,
    permission: String,
    resource: Option<Attributes>,
}

/// What a check without waiting is under: `{"resource": {…}, "context": {…}, "at_least": 7}`.
#[derive(Input)]
pub struct Circumstances {
    resource: Option<Attributes>,
    context: Attributes,
    at_least: Option<i64>,
}

/// Whether a caller may do this; a resource of the host comes as JSON with its `type`.
///
/// # Errors
/// Those of [`Caller::can`], and [`Reason::InvalidInput`] for a resource that is none.
pub fn can(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<bool> {
    let resource = resource.map(read_resource).transpose()?;
    caller.can(permission, resource.as_ref())
}

/// [`can`], or the error `FORBIDDEN`.
///
/// # Errors
/// Those of [`Caller::require`], and [`Reason::InvalidInput`] for a resource that is none.
pub fn require(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<()> {
    let resource = resource.map(read_resource).transpose()?;
    caller.require(permission, resource.as_ref())
}

/// Why a caller may or may not do this, as JSON.
///
/// # Errors
/// As [`can`].
pub fn explain(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<String> {
    let resource = resource.map(read_resource).transpose()?;
    written(&caller.explain(permission, resource.as_ref())?)
}

/// Asks a caller by the name of the question: `ask(&me, "has_role", r#"{"role": "editor"}"#)`.
///
/// | question | takes | answers |
/// |---|---|---|
/// | `can_many` | `{"checks": [{"permission", "resource"}]}` | a list of booleans |
/// | `can_somewhere` | `{"permission"}` | a boolean |
/// | `explain` | `{"permission", "resource"}` | an explanation |
/// | `has_role` | `{"role", "scope"}` | a boolean |
/// | `is_administrator` | `{}` | a boolean |
///
/// # Errors
/// Those of the caller's methods of these names, [`Reason::InvalidJson`], and [`Reason::InvalidInput`] with all
/// field errors.
pub fn ask(caller: &Caller, question: &str, input: &str) -> Result<String> {
    let input = parse(input)?;
    match question {
        "can_many" => {
            let asked = decode::decode::<AskedMany>(input)?.checks;
            let checks = asked.into_iter().map(|one| Ok((one.permission, resource(one.resource)?)));
            let checks = checks.collect::<Result<Vec<_>>>()?;
            let checks: Vec<_> = checks.iter().map(|(name, resource)| (name.as_str(), resource.as_ref())).collect();
            written(&caller.can_many(&checks)?)
        }
        "can_somewhere" => written(&caller.can_somewhere(&decode::decode::<Asked>(input)?.permission)?),
        "explain" => {
            let asked: Asked = decode::decode(input)?;
            written(&caller.explain(&asked.permission, resource(asked.resource)?.as_ref())?)
        }
        "has_role" => {
            let asked: AskedRole = decode::decode(input)?;
            written(&caller.has_role(&asked.role, asked.scope.as_ref())?)
        }
        "is_administrator" => {
            decode::decode::<AskedNothing>(input)?;
            written(&caller.is_administrator()?)
        }
        _ => Err(unknown(question)),
    }
}

/// Whether any user may do this, by the rights in memory; circumstances come as JSON: `{"resource": {"type": …, …},
/// "context": {…}, "at_least": 7}`, each of them where it is known.
///
/// # Errors
/// Those of [`UserManagement::check`], and as [`ask`].
pub fn check(um: &UserManagement, user: UserId, permission: &str, circumstances: Option<&str>) -> Result<bool> {
    let Some(text) = circumstances else { return um.check(user, permission, None) };
    let given: Circumstances = decode::decode(parse(text)?)?;
    let resource = resource(given.resource)?;
    asking(um, &given.context, given.at_least)?.check(user, permission, resource.as_ref())
}

/// Asks about users, reading their rights where they are not in memory.
///
/// | question | takes | answers |
/// |---|---|---|
/// | `check` | `{"user_id", "permission", "resource", "context", "at_least"}` | a boolean |
/// | `check_many` | `{"checks": [{"user_id", "permission", "resource"}], "context", "at_least"}` | a list of booleans |
/// | `explain_user` | as `check` | an explanation |
///
/// # Errors
/// Those of [`UserManagement::check_async`], and as [`ask`].
pub async fn consult(um: &UserManagement, question: &str, input: &str) -> Result<String> {
    let input = parse(input)?;
    match question {
        "check" | "explain_user" => {
            let asked: AskedAbout = decode::decode(input)?;
            let resource = resource(asked.resource)?;
            let (user, permission) = (asked.user_id, asked.permission.as_str());
            let asking = asking(um, &asked.context, asked.at_least)?;
            match question {
                "check" => written(&asking.check_async(user, permission, resource.as_ref()).await?),
                _ => written(&asking.explain(user, permission, resource.as_ref()).await?),
            }
        }
        "check_many" => {
            let asked: AskedAboutMany = decode::decode(input)?;
            let checks = asked.checks.into_iter().map(|one| Ok((one.user_id, one.permission, resource(one.resource)?)));
            let checks = checks.collect::<Result<Vec<_>>>()?;
            let checks: Vec<_> =
                checks.iter().map(|(user, name, resource)| (*user, name.as_str(), resource.as_ref())).collect();
            written(&asking(um, &asked.context, asked.at_least)?.check_many(&checks).await?)
        }
        _ => Err(unknown(question)),
    }
}

fn asking<'u>(um: &'u UserManagement, context: &Attributes, at_least: Option<i64>) -> Result<Asking<'u>> {
    let position = u64::try_from(at_least.unwrap_or(0));
    let position = position.map_err(|_| Error::new(Reason::InvalidInput, "a position is not negative"))?;
    Ok(um.asking().context(Context::from_json(context)).at_least(position))
}

/// `{"type": "document", "owner_id": "…"}`
fn read_resource(text: &str) -> Result<Resource<'static>> {
    let Json::Object(attributes) = parse(text)? else {
        return Err(Error::new(Reason::InvalidInput, "a resource is a JSON object"));
    };
    to_resource(attributes.into_iter().collect())
}

fn resource(given: Option<Attributes>) -> Result<Option<Resource<'static>>> {
    given.map(to_resource).transpose()
}

fn to_resource(mut attributes: Attributes) -> Result<Resource<'static>> {
    match attributes.remove("type") {
        Some(Json::String(resource_type)) => Ok(Resource::from_json(&resource_type, &attributes)),
        _ => Err(Error::new(Reason::InvalidInput, "a resource names its type: {\"type\": \"document\", …}")),
    }
}

fn written(answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|_| Error::new(Reason::Internal, "the answer cannot be written"))
}

fn unknown(question: &str) -> Error {
    let near = decode::nearest(question, QUESTIONS.iter().copied());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Error::new(Reason::UnknownOperation, format!("there is no such question{hint}"))
}
