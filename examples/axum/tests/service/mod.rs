//! What the tests of the service share: it is served on a socket, and asked by HTTP.
#![allow(dead_code, reason = "each test file is a program of its own, and uses what it needs")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum_service::{Service, app, session::Origin};
use rolekeep::{
    Time,
    environment::{Environment, Task, TokioEnvironment, Work},
};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use ureq::http::HeaderMap;

/// A request's answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// JSON, or text as a string of it.
    pub body: Json,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A clock that a test moves on.
pub struct Later {
    pub real: TokioEnvironment,
    pub seconds: Arc<AtomicU64>,
}

impl Later {
    fn by(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

impl Environment for Later {
    fn now(&self) -> Time {
        self.real.now().checked_add(self.by()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed() + self.by()
    }

    fn random(&self, buffer: &mut [u8]) -> rolekeep::Result<()> {
        self.real.random(buffer)
    }

    fn spawn(&self, task: Task) {
        self.real.spawn(task);
    }

    fn spawn_blocking(&self, work: Work) {
        self.real.spawn_blocking(work);
    }

    fn sleep(&self, millis: u64) -> Task {
        self.real.sleep(millis)
    }
}

pub fn origin(base: &str) -> Origin {
    Origin(base.into())
}

pub fn serve(listener: TcpListener, service: Service) {
    let app = app(service).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

pub async fn ask(
    url: String,
    method: &str,
    token: Option<&str>,
    body: Option<Json>,
    headers: &[(&'static str, String)],
) -> Answer {
    let method = method.to_owned();
    let mut headers = headers.to_vec();
    if let Some(token) = token {
        let value = if token.contains(' ') { token.to_owned() } else { format!("Bearer {token}") };
        headers.push(("authorization", value));
    }
    // The client blocks; the server must not wait for it.
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = ureq::http::Request::builder().method(method.as_str()).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.header("content-type", "application/json").body(text).unwrap();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    })
    .await
    .unwrap()
}
