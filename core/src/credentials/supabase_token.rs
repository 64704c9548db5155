//! Tokens as those of Supabase Auth, for its database and its other services, which verify them by a key of the project.
//!
//! They let nobody in here: the claim `rolekeep` says that they were made from a sign-in of ours, and whoever is shown one as a
//! token of another issuer refuses it by that.

use serde::Serialize;
use uuid::Uuid;

use super::{jws::Jws, signatures::NoPrivateKey};
use crate::model::{
    error::Result,
    id::{RegionId, SessionId, UserId},
    secret::Secret,
};

/// The project's key that signs them, and for which issuer.
pub struct Signer {
    issuer: String,
    jws: Jws,
}

/// What such a token says. None of it is optional to who reads it, but what is `None`.
#[derive(Serialize)]
pub struct Claims<'c> {
    /// The project's Auth.
    pub iss: &'c str,
    /// Whom the project knows.
    pub sub: &'c str,
    /// `authenticated`, as is `role`: the role in the database.
    pub aud: &'static str,
    /// The same.
    pub role: &'static str,
    /// The address, if it was proved; otherwise empty.
    pub email: &'c str,
    /// Always empty: nobody proves a number here.
    pub phone: &'static str,
    /// `aal2` where two factors were proved.
    pub aal: &'static str,
    /// What was proved, and when.
    pub amr: Vec<Method>,
    /// The session.
    pub session_id: SessionId,
    /// Nobody of ours is.
    pub is_anonymous: bool,
    /// What policies may rely on.
    pub app_metadata: AppMetadata<'c>,
    /// What is to be shown.
    pub user_metadata: UserMetadata<'c>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not valid from then on.
    pub exp: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The account here.
    pub rolekeep: UserId,
}

/// A way by which somebody proved who it is.
#[derive(Serialize)]
pub struct Method {
    /// Its name, one of Supabase's where it has one.
    pub method: &'static str,
    /// When, seconds since 1970.
    pub timestamp: i64,
}

/// What policies may rely on.
#[derive(Serialize)]
pub struct AppMetadata<'c> {
    /// Who says so.
    pub provider: &'static str,
    /// The roles that are held everywhere.
    pub roles: Vec<&'c str>,
    /// The others, with their scopes.
    pub scoped_roles: Vec<ScopedRole<'c>>,
    /// The region that the account belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_id: Option<RegionId>,
}

/// A role that is not held everywhere.
#[derive(Serialize)]
pub struct ScopedRole<'c> {
    /// Its name.
    pub role: &'c str,
    /// `region:ID`, `resource:TYPE:ID` or `KIND:ID`.
    pub scope: &'c str,
}

/// What is to be shown, and what services rely on that were written for it.
#[derive(Serialize)]
pub struct UserMetadata<'c> {
    /// The name it signs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<&'c str>,
    /// The whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<&'c str>,
    /// The role, where there is one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'c str>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_id: Option<RegionId>,
}

impl Signer {
    /// By the secret that a project of before shares.
    pub fn shared(issuer: String, secret: &Secret) -> Self {
        Self { issuer, jws: Jws::shared(secret, "JWT") }
    }

    /// By a private key that the project was given, a JWK with its id.
    ///
    /// # Errors
    /// If it is none.
    pub fn private(issuer: String, jwk: &Secret) -> Result<Self, NoPrivateKey> {
        Ok(Self { issuer, jws: Jws::private(jwk, "JWT")? })
    }

    /// The issuer that its tokens name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs claims.
    ///
    /// # Errors
    /// As signing an access token.
    pub fn sign(&self, claims: &Claims<'_>) -> Result<Secret> {
        self.jws.sign(claims)
    }
}
