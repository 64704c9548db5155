//! For whom passkeys are: the site or application that asks for them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{Algorithm, MAX_NAME_BYTES};
use crate::model::error::{Error, Reason, Result};

const MAX_DOMAIN_BYTES: usize = 253;
const ANDROID: &str = "android:apk-key-hash:";

/// Who asks for passkeys, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
    id_hash: [u8; 32],
}

impl RelyingParty {
    /// A relying party whose passkeys are bound to a domain and asked for on its origins. Origins are compared byte by byte
    /// (13.4.9), so each must be as browsers write it: `https://host` or `https://host:port` of the domain or one below it,
    /// `http://localhost` with or without a port, or `android:apk-key-hash:` with the hash of an app's certificate.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`].
    pub fn new(id: &str, name: &str, origins: &[&str]) -> Result<Self> {
        let invalid = |what: String| Err(Error::new(Reason::ConfigInvalid, what));
        if !is_domain(id) {
            return invalid(format!(
                "the id of a relying party is a domain such as `example.org`, or `localhost`: {id:?}"
            ));
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return invalid(format!("the name of a relying party has 1 to {MAX_NAME_BYTES} bytes: {name:?}"));
        }
        if origins.is_empty() {
            return invalid("a relying party needs an origin such as `https://example.org`".into());
        }
        if let Some(origin) = origins.iter().find(|origin| !is_origin(origin, id)) {
            return invalid(format!("{origin:?} is no origin of {id:?} as browsers write it"));
        }
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        Ok(Self { id: id.to_owned(), name: name.to_owned(), origins, id_hash: Sha256::digest(id).into() })
    }

    /// The domain that passkeys are bound to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people are shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The algorithms that it takes keys of.
    #[expect(clippy::unused_self, reason = "there is one where something can be verified")]
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        Algorithm::offered()
    }

    /// Whether one of its origins is this one.
    pub(super) fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| own == origin)
    }

    pub(super) fn id_hash(&self) -> &[u8; 32] {
        &self.id_hash
    }
}

/// Whether it looks like a domain that somebody registered. Whether it is a public suffix the browser knows.
fn is_domain(id: &str) -> bool {
    let is_top = |label: &str| !label.bytes().all(|byte| byte.is_ascii_digit());
    id == "localhost" || (is_host(id) && id.rsplit_once('.').is_some_and(|(_, top)| is_top(top)))
}

/// A host as browsers write it: lower case, in Punycode.
fn is_host(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        let has_edges = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && has_edges && label.bytes().all(is_letter)
    };
    host.len() <= MAX_DOMAIN_BYTES && host.split('.').all(is_label)
}

fn is_origin(origin: &str, id: &str) -> bool {
    if let Some(hash) = origin.strip_prefix(ANDROID) {
        return BASE64_URL_SAFE_NO_PAD.decode(hash).is_ok_and(|hash| hash.len() == 32);
    }
    let (authority, default_port) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(authority), _) => (authority, 443),
        (_, Some(authority)) => (authority, 80),
        _ => return false,
    };
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_port =
        |port: &str| port.parse().is_ok_and(|number: u16| number != default_port && number.to_string() == port);
    let is_within = host == id || host.strip_suffix(id).is_some_and(|below| below.ends_with('.'));
    let is_secure = default_port == 443 || host == "localhost";
    is_host(host) && is_within && is_secure && port.is_none_or(|port| port != "0" && is_port(port))
}
