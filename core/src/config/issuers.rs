//! Other issuers, whose word on who somebody is counts.

use rolekeep_macros::{Describe, Input, Word};

use super::Config;
use crate::{
    credentials::{
        foreign_token::{Issuer, IssuerKeys, KeySetUrl},
        signatures::KeySet,
    },
    fetch,
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Result},
        secret::Secret,
        text,
    },
};

/// So many issuers are trusted at most.
const MAX_ISSUERS: usize = 50;
/// A shared key has so many bytes at least (RFC 7518, 3.2).
pub(super) const MIN_SECRET_BYTES: usize = 32;

/// Another issuer with whose tokens users can sign in: an OpenID Connect provider, or a Supabase project.
///
/// Tokens are verified with one of its keys: ES256, EdDSA and RS256 (2,048 to 4,096 bits) with a key set, HS256 with a shared secret.
/// Give one of `jwks_url`, `jwks` and `secret`. A key that a token itself contains or points to is never used. Only the subject of a
/// token and the time of its sign-in are trusted; roles and addresses are those of the account. With `register`, a new account also gets
/// other data of the token.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct TrustedIssuer {
    /// The `iss` of its tokens, byte by byte: 1 to 255 printable ASCII characters, such as
    /// `https://PROJECT.supabase.co/auth/v1`.
    pub issuer: String,
    /// The `aud` of tokens for this application: a token must have one of these. For OpenID Connect the client id, for Supabase
    /// `authenticated`.
    pub audiences: Vec<String>,
    /// Where it publishes its public keys, a JWK Set (RFC 7517) of at most 256 KiB: an `https` address, the `jwks_uri` of OpenID Connect
    /// Discovery. It is fetched when a token has to be verified, within 5 seconds and without following redirects or using a proxy. The
    /// keys are kept for 10 minutes, or for an hour if the server fails. A token with an unknown key causes another fetch, at most once a
    /// minute. Needs the feature `fetch` in Rust; in JavaScript it works in Node.
    pub jwks_url: Option<String>,
    /// The root certificates for the server of `jwks_url`, as PEM, instead of those that browsers trust: for organizations with a
    /// certificate authority of their own.
    pub root_certificates: Option<String>,
    /// Whether the server of `jwks_url` may be at an address of a private network, or on this machine. Default: no.
    #[input(default = false)]
    pub allow_private_network: bool,
    /// Its public keys, a JWK Set as JSON with at most 100, if they should not be fetched. A token that names no key is accepted if
    /// exactly one key has its algorithm. Needs the feature `asymmetric` in Rust.
    pub jwks: Option<String>,
    /// The secret that it shares with this application, at least 32 bytes: for older Supabase projects.
    pub secret: Option<Secret>,
    /// Whether `authenticate` accepts its tokens as access tokens, too, any number of times, until they expire, the account's credentials
    /// change or it is unlinked. Such a caller counts as having proved one factor, and may not do what needs the user in person (change a
    /// password, list sessions). There is no session, so nothing ends it sooner. Configure the audience of access tokens: ID tokens are
    /// not meant to be sent to APIs. Default: no; tokens only sign in, each once.
    #[input(default = false)]
    pub access_tokens: bool,
    /// Whether `sign_in.external` creates an account for an unknown subject, and signs it in, so that everybody with an account at the
    /// issuer can have one here. It gets the default roles and no password. If the token has `email` with `email_verified: true`, the
    /// account gets the address, verified: only enable this for an issuer that verifies addresses. If another account has the address,
    /// the token is refused; no account is ever found by an address. The account's names are taken from the claims `name`, `given_name`,
    /// `family_name`, `nickname` and `preferred_username` (if it is free) of OpenID Connect, or from `user_metadata` of Supabase, except
    /// for those that the policy's conditions read. Ten accounts an hour may be created from one address. Default: no.
    #[input(default = false)]
    pub register: bool,
    /// What kind of issuer it is. Default: `open_id`.
    #[input(default = IssuerKind::OpenId)]
    pub kind: IssuerKind,
}

/// What an issuer's tokens look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum IssuerKind {
    /// ID tokens of OpenID Connect, and others of that shape.
    #[default]
    OpenId,
    /// Access tokens of Supabase: only those of the role `authenticated`, and none of anonymous users.
    Supabase,
}

impl Config {
    /// Whose tokens are believed; nobody's in a page, which may be given the settings of its server.
    pub(crate) fn issuers(&self) -> Result<Vec<Issuer>> {
        if IS_PAGE {
            return Ok(Vec::new());
        }
        let mut checks = Checks::default();
        if self.trusted_issuers.len() > MAX_ISSUERS {
            let message = format!("must have at most {MAX_ISSUERS} items");
            checks.error("trusted_issuers", Invalid::new(FieldCode::TooLong, message));
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        for (at, trusted) in self.trusted_issuers.iter().take(MAX_ISSUERS).enumerate() {
            let field = |name: &str| format!("trusted_issuers[{at}].{name}");
            checks.field(&field("issuer"), text::issuer(&trusted.issuer));
            if trusted.issuer == self.issuer || issuers.iter().any(|known| known.name == trusted.issuer) {
                let message = "must not be another issuer's, nor this application's own `issuer`";
                checks.error(&field("issuer"), Invalid::new(FieldCode::Disagrees, message));
            }
            if trusted.audiences.is_empty() || trusted.audiences.iter().any(String::is_empty) {
                let message = "must name for whom the issuer's tokens are";
                checks.error(&field("audiences"), Invalid::new(FieldCode::Required, message));
            }
            let keys = trusted.keys(&mut checks, &field);
            let (name, audiences) = (trusted.issuer.clone(), trusted.audiences.clone());
            let is_supabase = trusted.kind == IssuerKind::Supabase;
            let (is_for_access, registers) = (trusted.access_tokens, trusted.register);
            issuers.extend(keys.map(|keys| Issuer { name, audiences, keys, is_for_access, registers, is_supabase }));
        }
        checks.finish_as(Error::config).map(|()| issuers)
    }
}

impl TrustedIssuer {
    /// Where its keys are from; none, and what is wrong with them.
    fn keys(&self, checks: &mut Checks, field: &impl Fn(&str) -> String) -> Option<IssuerKeys> {
        if self.jwks_url.is_none() && (self.root_certificates.is_some() || self.allow_private_network) {
            let message = "is for the server of `jwks_url`, which is not given";
            let name = if self.root_certificates.is_some() { "root_certificates" } else { "allow_private_network" };
            checks.error(&field(name), Invalid::new(FieldCode::Disagrees, message));
        }
        match (&self.jwks_url, &self.jwks, &self.secret) {
            (Some(url), None, None) => {
                checks.field(&field("jwks_url"), text::https_url(url));
                if self.root_certificates.as_deref().is_some_and(|pem| !fetch::is_certificates(pem)) {
                    let message = "must be certificates as PEM: `-----BEGIN CERTIFICATE-----` and so on";
                    checks.error(&field("root_certificates"), Invalid::new(FieldCode::InvalidFormat, message));
                }
                Some(IssuerKeys::At(KeySetUrl {
                    url: url.clone(),
                    root_certificates: self.root_certificates.clone(),
                    is_private_allowed: self.allow_private_network,
                }))
            }
            (None, Some(jwks), None) => {
                let wrong = |error: &dyn std::fmt::Display| Invalid::new(FieldCode::InvalidFormat, error.to_string());
                let keys = KeySet::read(jwks).map_err(|error| wrong(&error));
                checks.field(&field("jwks"), keys).map(IssuerKeys::Public)
            }
            (None, None, Some(secret)) if secret.expose().len() < MIN_SECRET_BYTES => {
                let message = format!("must have at least {MIN_SECRET_BYTES} bytes");
                checks.error(&field("secret"), Invalid::new(FieldCode::TooShort, message));
                None
            }
            (None, None, Some(secret)) => Some(IssuerKeys::Shared(secret.clone())),
            _ => {
                let message = "give `jwks_url`, `jwks` or `secret`, one of the three";
                checks.error(&field("jwks_url"), Invalid::new(FieldCode::Disagrees, message));
                None
            }
        }
    }
}
