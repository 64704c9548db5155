//! How clients hold their sessions: browsers in cookies that no script reads, others by bearer tokens; never both at once. Take
//! this file along; nothing in it is about documents.
//!
//! Where a cookie would let a request change something, the browser has to say that a page of ours asks: by
//! `Sec-Fetch-Site`, and an old one by `Origin`. Nobody else's page can make a bearer token be sent, so that it is not asked.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rolekeep::{Error, Reason};
use serde::Serialize;
use serde_json::Value;

use crate::guard::Failure;

/// Browsers take `__Host-` from this very host alone, by TLS, for all of its paths: no subdomain can plant one. They take
/// `http://localhost` for safe, too.
const ACCESS: &str = "__Host-access";
const REFRESH: &str = "__Host-refresh";
const DEVICE: &str = "__Host-device";
/// In days. A session ends when it was not used for seven (`idle_seconds`); the access token says by itself when it is over,
/// so that a page learns that it is to be refreshed. A device token is good for 180.
const SESSION_DAYS: u32 = 7;
const DEVICE_DAYS: u32 = 180;

/// The origin of our pages, as browsers write it: `https://documents.example.org`. An extension of requests; without it
/// browsers that do not send `Sec-Fetch-Site` are refused.
#[derive(Clone, Debug)]
pub struct Origin(pub Arc<str>);

/// How a client holds its session, which is how it gets the tokens that an operation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// In cookies; the body has no tokens.
    Cookies,
    /// In the body.
    Body,
}

/// By what a request says who asks.
pub(crate) enum Credential {
    Bearer(String),
    Cookie(String),
}

/// What a request says who asks by.
///
/// # Errors
/// For a cookie along with a bearer token (RFC 6750, 2), and one that somebody else's page may have made be sent.
pub(crate) fn credential(parts: &Parts) -> Result<Option<Credential>, Error> {
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    match (bearer, cookie(&parts.headers, ACCESS)) {
        (Some(_), Some(_)) => Err(Error::new(Reason::InvalidInput, "give a bearer token or a cookie, not both")),
        (Some(token), None) => Ok(Some(Credential::Bearer(token.to_owned()))),
        (None, Some(token)) => {
            require_own_page(parts)?;
            Ok(Some(Credential::Cookie(token)))
        }
        (None, None) => Ok(None),
    }
}

/// For whatever takes or gives cookies: only a page of ours may have it change something.
fn require_own_page(parts: &Parts) -> Result<(), Error> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let header = |name: HeaderName| parts.headers.get(name);
    let is_own = match header(HeaderName::from_static("sec-fetch-site")) {
        // A typed address is `none`, and changes nothing; pages of other subdomains are `same-site`.
        Some(site) => site == "same-origin",
        None => match (header(header::ORIGIN), parts.extensions.get::<Origin>()) {
            (Some(theirs), Some(ours)) => theirs.as_bytes() == ours.0.as_bytes(),
            _ => false,
        },
    };
    is_own.then_some(()).ok_or_else(|| Error::new(Reason::Denied, "this request does not come from a page of ours"))
}

/// For routes that give cookies, such as those of a sign-in: nobody else's page signs a browser in or out.
///
/// # Errors
/// 403 for requests of other pages.
pub async fn for_own_pages(request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    require_own_page(&parts)?;
    parts.extensions.insert(By::Cookies);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if let Some(said) = parts.extensions.get::<Self>() {
            return Ok(*said);
        }
        Ok(if let Some(Credential::Cookie(_)) = credential(parts)? { Self::Cookies } else { Self::Body })
    }
}

impl By {
    /// What an operation answers, wherever tokens stand in it; nobody keeps a copy.
    ///
    /// # Errors
    /// For what is no JSON.
    pub fn answer(self, answered: impl Serialize) -> Result<Response, Failure> {
        let fault = |error| Error::new(Reason::Internal, "the answer cannot be written").with_source(error);
        let mut body = serde_json::to_value(answered).map_err(fault)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Cookies {
            let mut keep = |name, text: Option<Value>, days| {
                if let Some(Value::String(text)) = text {
                    set(&mut headers, name, &text, days);
                }
            };
            keep(DEVICE, take(&mut body, "device_token"), DEVICE_DAYS);
            let tokens = if body["tokens"].is_object() { &mut body["tokens"] } else { &mut body };
            keep(ACCESS, take(tokens, "access_token"), SESSION_DAYS);
            keep(REFRESH, take(tokens, "refresh_token"), SESSION_DAYS);
        }
        Ok((headers, Json(body)).into_response())
    }

    /// The device token of an earlier sign-in: that of the cookie, or the given one.
    pub fn device_token<T: From<String>>(self, headers: &HeaderMap, given: Option<T>) -> Option<T> {
        match self {
            Self::Cookies => cookie(headers, DEVICE).map(T::from),
            Self::Body => given,
        }
    }
}

/// The refresh token of a browser.
pub fn refresh_token(headers: &HeaderMap) -> Option<String> {
    cookie(headers, REFRESH)
}

/// Has a browser forget its session, and what pages have kept of it. It stays a known device.
pub fn end() -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, ACCESS, "", 0);
    set(&mut headers, REFRESH, "", 0);
    headers.insert("clear-site-data", HeaderValue::from_static(r#""cache", "storage""#));
    headers
}

fn take(body: &mut Value, name: &str) -> Option<Value> {
    body.as_object_mut()?.remove(name)
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(one, text)| *one == name && !text.is_empty()).map(|(_, text)| text.to_owned())
}

/// The access token goes along with links from elsewhere, which only read; the others do not leave our pages.
fn set(headers: &mut HeaderMap, name: &str, text: &str, days: u32) {
    let same_site = if name == ACCESS { "Lax" } else { "Strict" };
    let seconds = days * 24 * 60 * 60;
    let cookie = format!("{name}={text}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    // Tokens have no letters that would have to be escaped.
    if let Ok(cookie) = cookie.parse() {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// An operation's input, from JSON; what is wrong with it is told field by field.
pub struct Given<T>(pub T);

impl<S: Send + Sync, T: TryFrom<Value, Error = Error>> FromRequest<S> for Given<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = Json::<Value>::from_request(request, state).await;
        let Json(value) = read.map_err(|error| Error::new(Reason::InvalidJson, error.body_text()))?;
        Ok(Self(T::try_from(value)?))
    }
}
