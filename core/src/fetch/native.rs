//! Fetching by a client of our own, where there are sockets and threads.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use futures_channel::oneshot;
use rolekeep_macros::portable_async;
use ureq::{
    Agent, Error,
    config::Config,
    http::Uri,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::{Failure, Fetch, MAX_BYTES, TIMEOUT_MILLIS, is_allowed};
use crate::{credentials::foreign_token::KeySetUrl, environment::Env};

/// Fetches on a thread for blocking work.
pub(crate) struct Client;

#[portable_async]
impl Fetch for Client {
    async fn get(&self, env: &Env, from: &KeySetUrl) -> Result<String, Failure> {
        let (told, heard) = oneshot::channel();
        let from = from.clone();
        env.spawn_blocking(Box::new(move || {
            // Whoever asked may be gone.
            let _ = told.send(get(&from));
        }));
        heard.await.unwrap_or(Err(Failure::Unreachable))
    }
}

fn get(from: &KeySetUrl) -> Result<String, Failure> {
    let roots = match &from.root_certificates {
        Some(pem) => RootCerts::Specific(Arc::new(certificates(pem).ok_or(Failure::Certificate)?)),
        None => RootCerts::WebPki,
    };
    // A provider for the whole process is the application's to choose.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let config = Agent::config_builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_millis(TIMEOUT_MILLIS)))
        .tls_config(tls)
        .user_agent("rolekeep")
        .build();
    let resolver = Allowed { from: from.clone(), all: DefaultResolver::default() };
    let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
    let request = agent.get(&from.url).header("accept", "application/jwk-set+json, application/json");
    let mut answer = request.call().map_err(failure)?;
    match answer.status().as_u16() {
        200 => {}
        status => return Err(Failure::Status(status)),
    }
    let body = answer.body_mut().with_config().limit(MAX_BYTES as u64).read_to_vec().map_err(failure)?;
    String::from_utf8(body).map_err(|_| Failure::NotKeys)
}

/// The certificates of a text, of which there must be one.
pub(super) fn certificates(pem: &str) -> Option<Vec<ureq::tls::Certificate<'static>>> {
    let mut all = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item.ok()? {
            PemItem::Certificate(certificate) => all.push(certificate),
            _ => return None,
        }
    }
    (!all.is_empty()).then_some(all)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Timeout(_) => Failure::TimedOut,
        Error::BodyExceedsLimit(_) => Failure::TooLarge,
        Error::Rustls(_) | Error::Tls(_) | Error::Pem(_) => Failure::Certificate,
        Error::Other(other) if other.is::<NotPublic>() => Failure::NotPublic,
        // A certificate that is not trusted is told as an error of reading.
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Failure::Certificate,
        _ => Failure::Unreachable,
    }
}

/// Of the addresses of a name those that are allowed, which are the ones that are connected to.
struct Allowed {
    from: KeySetUrl,
    all: DefaultResolver,
}

#[derive(Debug, thiserror::Error)]
#[error("no address of the name is allowed")]
struct NotPublic;

impl fmt::Debug for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Allowed")
    }
}

impl Resolver for Allowed {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.all.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address: &&SocketAddr| is_allowed(&self.from, address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() { Err(Error::Other(Box::new(NotPublic))) } else { Ok(allowed) }
    }
}
