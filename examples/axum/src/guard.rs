//! Guards for axum: who asks, and whether it may. Take this file along with `session.rs`; nothing in it is about documents.

use std::{marker::PhantomData, net::SocketAddr, ops::Deref};

use axum::{
    Json,
    extract::{ConnectInfo, FromRef, FromRequestParts, OptionalFromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rolekeep::{Caller, Error, Reason, RequestContext, UserManagement};
use serde_json::Value;

use crate::session::{self, Credential};

/// A permission as a type, so that a handler's signature says what it needs; [`permissions!`](crate::permissions)
/// makes them.
pub trait Permission: Send + Sync + 'static {
    /// `document:read`
    const NAME: &'static str;
}

/// Types for permissions: `permissions! { ReadDocument = "document:read"; }`.
#[macro_export]
macro_rules! permissions {
    ($($(#[$about:meta])* $name:ident = $permission:literal;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl $crate::guard::Permission for $name {
            const NAME: &'static str = $permission;
        }
    )*};
}

/// Nobody in particular, from where the request came: who signs in, whose tries are counted by address and name.
pub struct Anonymous(pub Caller);

/// The user of the request's bearer token or cookie; without a good one the answer is 401. `Option<SignedIn>` is none
/// where there is neither.
#[derive(Clone)]
pub struct SignedIn(pub Caller);

/// The same, if it may do this; 401 without a good token, 403 where it may not.
pub struct Allowed<P>(pub Caller, PhantomData<P>);

/// An administrator; 401 without a good token, 403 for others.
pub struct Administrator(pub Caller);

/// What a handler fails with: the library's error, as problem details (RFC 9457) with its `code`, `reason` and `fields`.
#[derive(Debug)]
pub struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = serde_json::to_value(&self.0).unwrap_or_default();
        if let Value::Object(problem) = &mut problem {
            // Of no type of its own, so that the title is the status's (RFC 9457, 4.2.1): the reason says which it is.
            problem.retain(|name, value| name != "http_status" && !value.is_null());
            problem.insert("title".to_owned(), status.canonical_reason().unwrap_or_default().into());
            problem.insert("status".to_owned(), status.as_u16().into());
            let message = problem.remove("message").unwrap_or_default();
            problem.insert("detail".to_owned(), message);
        }
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge(self.0.reason())));
        }
        if let Some(seconds) = self.0.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What a client is to do: sign in, get a new token (RFC 6750, 3.1), or prove again who is there (RFC 9470, 3), which is good
/// for five minutes.
fn challenge(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidToken | Reason::TokenExpired | Reason::SessionEnded | Reason::AccountInactive => {
            r#"Bearer error="invalid_token""#
        }
        Reason::StepUpRequired => r#"Bearer error="insufficient_user_authentication", max_age=300"#,
        _ => "Bearer",
    }
}

macro_rules! as_caller {
    ($($guard:ident $(<$p:ident>)?),*) => {$(
        impl$(<$p>)? Deref for $guard$(<$p>)? {
            type Target = Caller;
            fn deref(&self) -> &Caller {
                &self.0
            }
        }
    )*};
}
as_caller!(Anonymous, SignedIn, Allowed<P>, Administrator);

impl<S: Send + Sync> FromRequestParts<S> for Anonymous
where
    UserManagement: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(UserManagement::from_ref(state).anonymous(context(parts))))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn
where
    UserManagement: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let um = UserManagement::from_ref(state);
        let missing =
            || Error::new(Reason::NotSignedIn, "sign in first: there is no `Authorization: Bearer …` and no cookie");
        signed_in(&um, parts).await?.ok_or_else(|| Failure(missing()))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for SignedIn
where
    UserManagement: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Failure> {
        Ok(signed_in(&UserManagement::from_ref(state), parts).await?)
    }
}

impl<S: Send + Sync, P: Permission> FromRequestParts<S> for Allowed<P>
where
    UserManagement: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let SignedIn(me) = <SignedIn as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        me.require(P::NAME, None)?;
        Ok(Self(me, PhantomData))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Administrator
where
    UserManagement: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let SignedIn(me) = <SignedIn as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        me.require_admin()?;
        Ok(Self(me))
    }
}

/// For whole routers: `.route_layer(from_fn_with_state((um, "document:delete"), guard::require))`. Handlers behind it
/// get the caller by [`SignedIn`], without a second look at the token.
pub async fn require(
    State((um, permission)): State<(UserManagement, &'static str)>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let SignedIn(me) = <SignedIn as FromRequestParts<UserManagement>>::from_request_parts(&mut parts, &um).await?;
    me.require(permission, None)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Looks at the token once a request.
async fn signed_in(um: &UserManagement, parts: &mut Parts) -> Result<Option<SignedIn>, Error> {
    if let Some(known) = parts.extensions.get::<SignedIn>() {
        return Ok(Some(known.clone()));
    }
    let Some(Credential::Bearer(token) | Credential::Cookie(token)) = session::credential(parts)? else {
        return Ok(None);
    };
    let me = SignedIn(um.authenticate(&token, context(parts)).await?);
    parts.extensions.insert(me.clone());
    Ok(Some(me))
}

/// What is known of a request.
fn context(parts: &Parts) -> RequestContext {
    let mut context = RequestContext::default();
    context.ip = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip().to_string());
    // Read where the peer is one of the setting `trusted_proxies`.
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or("?"));
    context.forwarded_for = Some(forwarded.collect::<Vec<_>>().join(", "));
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    context.user_agent = user_agent.map(str::to_owned);
    // In errors, spans and the audit log.
    let request_id = parts.headers.get("x-request-id").and_then(|value| value.to_str().ok());
    context.request_id = request_id.map(str::to_owned);
    context
}
