//! Limits, as answers tell them (draft-ietf-httpapi-ratelimit-headers-10). Take this file along; nothing in it is about
//! documents.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};

/// A limit that the store is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What it is called, in letters and hyphens.
    pub name: &'static str,
    /// So many,
    pub quota: u32,
    /// in so many seconds.
    pub seconds: u32,
}

/// What each user asks for: `Config::requests_per_minute`, which is 100 here.
pub const REQUESTS: Limit = Limit { name: "requests", quota: 100, seconds: 60 };
/// Sign-ins that fail, of an address and of a name: the defaults of `Config::sign_in_tries` and `sign_in_seconds`.
pub const SIGN_INS: Limit = Limit { name: "failed-sign-ins", quota: 5, seconds: 900 };

/// For routers: `.layer(from_fn_with_state(REQUESTS, rate_limit::tell))`. Says what the limit is, and who is over it when it
/// makes sense to ask again. What is left is not told before: others who share the store use it up as well.
pub async fn tell(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_over = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let Limit { name, quota, seconds } = limit;
    let headers = response.headers_mut();
    insert(headers, "ratelimit-policy", &format!(r#""{name}";q={quota};w={seconds}"#));
    let wait = headers.get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()).map(str::to_owned);
    if let (true, Some(wait)) = (is_over, wait) {
        insert(headers, "ratelimit", &format!(r#""{name}";r=0;t={wait}"#));
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}
