//! Tokens for a Supabase project (AUT-7; docs/decisions/032-tokens-for-supabase.md).

use std::collections::HashSet;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{own, properties};
use crate::{
    credentials::supabase_token::{AppMetadata, Claims, Method, ScopedRole, UserMetadata},
    model::{
        error::{Error, Reason, Result},
        identity::Identity,
        proof::Proof,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, administrators,
        held::{self, Held},
        plan::Plan,
        services::Services,
    },
    rules::SessionProperties,
};

/// So long such a token is good, in seconds: nothing ends it before.
const SECONDS: i64 = 300;
/// So many roles are in a token at most: it is sent with each request.
const MAX_ROLES: usize = 50;

/// Makes a token with which the caller can access the tables and services of a Supabase project, like one of the project's own users.
///
/// It is what Supabase Auth would issue, for five minutes: `sub` is the subject that the account stands for at that issuer, or else its
/// id here; `email` is its address if that is verified. What policies may rely on is in `app_metadata`: `roles` that are held everywhere
/// now, `scoped_roles` with their scopes, and `region_id`. `user_metadata` has `username`, `full_name`, `region_id`, and `role` if there
/// is exactly one. It cannot be revoked: neither a logout nor the removal of a role ends it before it expires. This library does not
/// accept it, neither as an access token nor as a token of another issuer.
/// Errors: `UNAVAILABLE` if the setting `supabase_issuer` is not given, `UNAUTHORIZED` for a caller without a session, `FORBIDDEN` for an
/// API key and for a caller who acts as another user, `CONFLICT` for an account with more than 50 roles, and for one that was created by
/// somebody who is not an administrator, until its subject has signed in with a token of the project.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct MakeSupabaseToken {}

/// A token for a Supabase project.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct SupabaseToken {
    /// The bearer token (JWT) for requests to the project, beside its `apikey`.
    pub access_token: Secret,
    /// When it expires. It cannot be refreshed: call this again.
    pub expires_at: Time,
}

#[boxed_async]
impl Operation for MakeSupabaseToken {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<SupabaseToken> {
        let not_offered = || Error::new(Reason::NotOffered, "the setting `supabase_issuer` is not given");
        let signer = plan.services.supabase.as_ref().ok_or_else(not_offered)?;
        let session = own(plan).await?;
        let properties = properties(plan.services, &session, plan.now);
        let user: User = plan.reads().require(&(session.user_id,), "user").await?;
        let identities: Vec<Identity> = plan.reads().of_user(user.id).await?;
        let identity = identities.into_iter().find(|one| one.issuer == signer.issuer());
        // Who may make users does not speak as whom the project knows.
        if identity.as_ref().is_some_and(Identity::is_unproved) {
            let message =
                "nobody has proved to be whom the account stands for at the project: sign in by a token of it";
            return Err(Error::new(Reason::WrongStatus, message));
        }
        let subject = identity.map(|one| one.subject);
        let held = held::of(plan, user.id).await?;
        let roles = in_force(plan, &held, &properties);
        if roles.len() > MAX_ROLES {
            let message = format!("the account has more than {MAX_ROLES} roles, which a token cannot hold");
            return Err(Error::new(Reason::LimitReached, message));
        }
        // Tokens say whole seconds: it is told as it is in the token, not later.
        let exp = plan.now.plus_seconds(SECONDS).min(session.expires_at).as_second();
        let expires_at = Time::from_second(exp).unwrap_or(plan.now);
        let is_everywhere = |role: &&&Held| role.scope == administrators::GLOBAL;
        let claims = Claims {
            iss: signer.issuer(),
            sub: &subject.unwrap_or_else(|| user.id.to_string()),
            aud: "authenticated",
            role: "authenticated",
            email: user.email.as_deref().filter(|_| user.email_verified).unwrap_or_default(),
            phone: "",
            aal: if properties.proofs.are_two_factors() { "aal2" } else { "aal1" },
            amr: methods(&properties),
            session_id: session.id,
            is_anonymous: false,
            app_metadata: AppMetadata {
                provider: "rolekeep",
                roles: roles.iter().filter(is_everywhere).map(|one| one.role.as_str()).collect(),
                scoped_roles: roles
                    .iter()
                    .filter(|one| !is_everywhere(one))
                    .map(|one| ScopedRole { role: &one.role, scope: &one.scope })
                    .collect(),
                region_id: user.region_id,
            },
            user_metadata: UserMetadata {
                username: user.username.as_deref(),
                full_name: user.full_name.as_deref(),
                role: if let [only] = roles.as_slice() {
                    Some(only).filter(is_everywhere).map(|one| one.role.as_str())
                } else {
                    None
                },
                region_id: user.region_id,
            },
            iat: plan.now.as_second(),
            exp,
            jti: plan.services.env.new_id()?,
            rolekeep: user.id,
        };
        Ok(SupabaseToken { access_token: signer.sign(&claims)?, expires_at })
    }
}

/// The roles that count now: within their time, that the policy has and that need no more than was proved; each once, though the user holds
/// it by a group, too.
fn in_force<'r>(plan: &Plan<'_>, held: &'r [Held], properties: &SessionProperties) -> Vec<&'r Held> {
    let rules = plan.rules();
    let is_enough = |role: &str| {
        properties.proofs.are_two_factors() || !(properties.needs_two_factors || rules.second_factor_demanded_by(role))
    };
    let is_now = |one: &Held| {
        one.valid_from.is_none_or(|from| from <= plan.now) && one.valid_until.is_none_or(|until| plan.now < until)
    };
    let mut seen = HashSet::new();
    let counts = |one: &&Held| is_now(one) && rules.role(&one.role).is_ok() && is_enough(&one.role);
    held.iter().filter(counts).filter(|one| seen.insert((&one.role, &one.scope))).collect()
}

/// What was proved, in Supabase's words; nothing where nobody knows when.
fn methods(properties: &SessionProperties) -> Vec<Method> {
    let Some(at) = properties.authenticated_at else { return Vec::new() };
    let name = |proof| match proof {
        Proof::Password => "password",
        Proof::Totp => "totp",
        Proof::RecoveryCode => "recovery_code",
        Proof::Passkey => "webauthn",
        Proof::Mail => "otp",
        Proof::External => "oauth",
    };
    let timestamp = at.as_second();
    properties.proofs.iter().map(|proof| Method { method: name(proof), timestamp }).collect()
}
