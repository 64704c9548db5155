//! Who is asking.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use rolekeep::rules::Scope;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Result, direct,
    error::RolekeepError,
    face::{Explanation, SqlFilter, SqlTable},
    runtime::run,
    types::{JsonText, mirror},
};

/// What you know about a request. Sessions and the audit log record the address and the user agent; limits count by the address.
#[derive(uniffi::Record)]
pub struct RequestContext {
    /// The IP address of the socket that it came from.
    #[uniffi(default)]
    pub ip: Option<String>,
    /// The user agent.
    #[uniffi(default)]
    pub user_agent: Option<String>,
    /// The id of the request in your own log; the audit log, log records and errors have it, too.
    #[uniffi(default)]
    pub request_id: Option<String>,
    /// A key that the client chose for this request, 1 to 255 visible ASCII characters (the header `Idempotency-Key`):
    /// a request of the same caller for the same operation with this key is done once within 24 hours. Repeated, it
    /// fails with the reason `already_done` and the `change_id` of the first, with another input with
    /// `idempotency_key_reused`. Secrets are not compared, answers are not kept.
    #[uniffi(default)]
    pub idempotency_key: Option<String>,
    /// The header `X-Forwarded-For`; several are joined by commas, in order. If `ip` is one of the setting
    /// `trusted_proxies`, the client's address is taken from it.
    #[uniffi(default)]
    pub forwarded_for: Option<String>,
    /// The values that conditions may read as `context.NAME`.
    #[uniffi(default)]
    pub context: HashMap<String, JsonText>,
}

impl From<RequestContext> for rolekeep::RequestContext {
    fn from(request: RequestContext) -> Self {
        let mut made = Self::default();
        made.ip = request.ip;
        made.user_agent = request.user_agent;
        made.request_id = request.request_id;
        made.idempotency_key = request.idempotency_key;
        made.forwarded_for = request.forwarded_for;
        made.context = rolekeep::rules::Context::from_json(&attributes(request.context));
        made
    }
}

/// A resource of the application.
#[derive(uniffi::Record)]
pub struct Resource {
    /// `document`
    pub resource_type: String,
    /// Every attribute that the policy reads for the type; `null` where it has no value.
    #[uniffi(default)]
    pub attributes: HashMap<String, JsonText>,
}

impl From<Resource> for rolekeep::Resource<'static> {
    fn from(resource: Resource) -> Self {
        Self::from_json(&resource.resource_type, &attributes(resource.attributes))
    }
}

pub(crate) fn attributes(given: HashMap<String, JsonText>) -> BTreeMap<String, serde_json::Value> {
    given.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// One of many checks.
#[derive(uniffi::Record)]
pub struct Check {
    /// `document:edit`
    pub permission: String,
    /// The resource; null: all resources there could be, so never one that was not found.
    #[uniffi(default)]
    pub resource: Option<Resource>,
}

pub(crate) fn ask_many(
    checks: Vec<Check>,
    ask: impl FnOnce(&[(&str, Option<&rolekeep::Resource<'_>>)]) -> rolekeep::Result<Vec<bool>>,
) -> Result<Vec<bool>> {
    let checks: Vec<(String, Option<rolekeep::Resource<'static>>)> =
        checks.into_iter().map(|check| (check.permission, check.resource.map(Into::into))).collect();
    let checks: Vec<_> = checks.iter().map(|(permission, resource)| (&**permission, resource.as_ref())).collect();
    Ok(ask(&checks)?)
}

pub(crate) fn read_scope(scope: Option<String>) -> Result<Option<Scope>> {
    Ok(scope.map(|scope| rolekeep::ffi::scope(&scope)).transpose()?)
}

/// Asks for a filter as JSON.
pub(crate) fn read_filter(
    ask: impl FnOnce(&str) -> rolekeep::Result<String>,
    permission: &str,
    table: &SqlTable,
) -> Result<SqlFilter> {
    let answer = ask(&serde_json::json!({ "permission": permission, "table": table }).to_string())?;
    serde_json::from_str(&answer)
        .map_err(|problem| RolekeepError::fault(&format!("an answer cannot be read: {problem}")))
}

/// The input of an operation that takes none.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// Runs operations and answers checks for somebody: the application itself, a user, or somebody who is not signed in.
///
/// Each call uses the rights of that moment, not of the moment when the caller was made.
#[derive(uniffi::Object)]
pub struct Caller {
    caller: rolekeep::Caller,
    number: OnceLock<direct::Number<rolekeep::Caller>>,
}

#[uniffi::export]
impl Caller {
    /// Whether the caller may do this to all resources there could be. Synchronous, without I/O. A permission may
    /// name fields, `document:edit{title,body}`: each must be allowed.
    ///
    /// Throws `VALIDATION_ERROR` for an unknown permission (naming the nearest), `UNAUTHORIZED` once the session has
    /// ended.
    pub fn can(&self, permission: String) -> Result<bool> {
        Ok(self.caller.can(&permission, None)?)
    }

    /// `can` with a resource: whether the caller may do this to it. It is a question of its own, so that a resource
    /// that was not found cannot be left out unseen.
    ///
    /// Throws `VALIDATION_ERROR` for a resource that lacks what the policy reads, too.
    pub fn can_on(&self, permission: String, resource: Resource) -> Result<bool> {
        Ok(self.caller.can(&permission, &rolekeep::Resource::from(resource))?)
    }

    /// Several checks at one moment, each as `can`; faster than one call for each.
    pub fn can_many(&self, checks: Vec<Check>) -> Result<Vec<bool>> {
        ask_many(checks, |checks| self.caller.can_many(checks))
    }

    /// Whether there could be a resource to which the caller may do this: for menus. The answer may be a wrong yes,
    /// never a wrong no.
    pub fn can_somewhere(&self, permission: String) -> Result<bool> {
        Ok(self.caller.can_somewhere(&permission)?)
    }

    /// Throws `FORBIDDEN` unless `can` is true, and `UNAUTHORIZED` where nobody is signed in.
    pub fn require(&self, permission: String) -> Result<()> {
        Ok(self.caller.require(&permission, None)?)
    }

    /// `require` with a resource.
    pub fn require_on(&self, permission: String, resource: Resource) -> Result<()> {
        Ok(self.caller.require(&permission, &rolekeep::Resource::from(resource))?)
    }

    /// Whether the caller holds a role now, directly or by a role that inherits it: everywhere or, if a scope
    /// (`region:ID`) is given, everywhere or in exactly this one. An API key holds none. Prefer `can`: which role allows
    /// something is up to the policy.
    #[uniffi::method(default(scope = None))]
    pub fn has_role(&self, role: String, scope: Option<String>) -> Result<bool> {
        Ok(self.caller.has_role(&role, read_scope(scope)?.as_ref())?)
    }

    /// Throws `FORBIDDEN` unless `has_role` is true, and `UNAUTHORIZED` where nobody is signed in.
    #[uniffi::method(default(scope = None))]
    pub fn require_role(&self, role: String, scope: Option<String>) -> Result<()> {
        Ok(self.caller.require_role(&role, read_scope(scope)?.as_ref())?)
    }

    /// Whether the caller holds `admin:all` now, or is the application itself.
    pub fn is_administrator(&self) -> Result<bool> {
        Ok(self.caller.is_administrator()?)
    }

    /// Throws `FORBIDDEN` unless `is_administrator` is true, and `UNAUTHORIZED` where nobody is signed in.
    pub fn require_admin(&self) -> Result<()> {
        Ok(self.caller.require_admin()?)
    }

    /// Whether the caller is a user or the application itself.
    pub fn is_signed_in(&self) -> bool {
        self.caller.is_signed_in()
    }

    /// The rows of your own table to which the caller may do this, as a condition in SQL: the rows that pass are
    /// exactly those that `can` allows.
    ///
    /// Throws as `can` does, and `VALIDATION_ERROR` naming every attribute that cannot be expressed exactly in this
    /// SQL.
    pub fn filter(&self, permission: String, table: SqlTable) -> Result<SqlFilter> {
        read_filter(|asked| rolekeep::ffi::ask(&self.caller, "filter", asked), &permission, &table)
    }

    /// Explains why the caller may or may not do this. For operators: it tells more than the caller may know.
    pub fn explain(&self, permission: String) -> Result<Explanation> {
        mirror(&self.caller.explain(&permission, None)?)
    }

    /// `explain` with a resource.
    pub fn explain_on(&self, permission: String, resource: Resource) -> Result<Explanation> {
        mirror(&self.caller.explain(&permission, &rolekeep::Resource::from(resource))?)
    }

    /// What Kotlin's `can` asks by: the numbers of this caller and of a permission.
    ///
    /// Throws as `can` does.
    pub fn numbers(&self, permission: String) -> Result<Vec<i64>> {
        // What a question says that is wrong; it is not one itself, which the audit log might be told of.
        self.caller.can_somewhere(&permission)?;
        let caller = self.number.get_or_init(|| direct::Number::of(&self.caller));
        Ok(vec![caller.0, direct::permission(&permission)])
    }

    /// The same caller with this request context; fields that are not given keep their values.
    pub fn with_request(&self, request: RequestContext) -> Arc<Self> {
        Self::new(self.caller.with_request(request.into()))
    }

    /// Runs an operation by name, JSON in and JSON out: `call("users.get", "{\"id\": …}")`.
    ///
    /// Throws what the operation throws, and `VALIDATION_ERROR` for a name or JSON that is none.
    pub async fn call(&self, operation: String, input: String) -> Result<String> {
        let caller = self.caller.clone();
        run(async move { Ok(rolekeep::ffi::call(&caller, &operation, &input).await?) }).await
    }
}

impl Caller {
    pub(crate) fn new(caller: rolekeep::Caller) -> Arc<Self> {
        Arc::new(Self { caller, number: OnceLock::new() })
    }

    /// Runs an operation of the typed face.
    pub(crate) async fn run<O: DeserializeOwned>(&self, operation: &str, input: &impl Serialize) -> Result<O> {
        let input = serde_json::to_string(input).map_err(|_| RolekeepError::fault("the input cannot be written"))?;
        let answer = self.call(operation.to_owned(), input).await?;
        serde_json::from_str(&answer)
            .map_err(|problem| RolekeepError::fault(&format!("the answer of {operation} cannot be read: {problem}")))
    }
}
