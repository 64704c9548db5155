//! Getting one account.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{ExternalIdentity, UserView, existing_to_show, shown};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Result},
        id::UserId,
        text,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, actor::Actor, plan::Plan, reads::Reads, services::Services},
};

/// Gets a user by id.
///
/// Permission `user:read`; a user whom the caller may not read is `RESOURCE_NOT_FOUND`, like one that does not exist.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetUser {
    /// The user's id.
    pub id: UserId,
}

#[boxed_async]
impl Operation for GetUser {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing_to_show(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserView> {
        shown(plan, user).await
    }
}

/// Finds a user by username or e-mail address, whatever the case, or by an identity at another issuer.
///
/// Permission `user:read`, as with `get`. Errors: `VALIDATION_ERROR` unless one of the three is given.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct FindUser {
    /// The username.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The identity at another issuer, compared byte by byte.
    pub identity: Option<ExternalIdentity>,
}

#[boxed_async]
impl Operation for FindUser {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        let id = match (&self.username, &self.email, &self.identity) {
            (Some(username), None, None) => owner(reads, "username", username).await?,
            (None, Some(email), None) => owner(reads, "email", email).await?,
            (None, None, Some(identity)) => identity.user(reads).await?,
            (None, None, None) => {
                return Err(wrong("username", FieldCode::Required, "give a username, an email or an identity"));
            }
            _ => {
                let message = "give a username, an email or an identity, and only one of them";
                return Err(wrong("username", FieldCode::Disagrees, message));
            }
        };
        existing_to_show(reads, id.ok_or_else(|| Error::not_found("user"))?).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserView> {
        shown(plan, user).await
    }
}

/// The user who has a unique name.
async fn owner(reads: Reads<'_>, kind: &str, name: &str) -> Result<Option<UserId>> {
    if name.len() > text::MAX_BYTES {
        return Ok(None);
    }
    Ok(reads.claim(kind, name).await?.and_then(|claim| claim.owner.parse().ok()))
}

/// The user who has a name to sign in with: an e-mail address or a username.
pub(in crate::operations) async fn owner_of(reads: Reads<'_>, identifier: &str) -> Result<Option<UserId>> {
    let kind = if identifier.contains('@') { "email" } else { "username" };
    owner(reads, kind, identifier.trim()).await
}

/// Notes what is wrong with a name to sign in with: it need not be anybody's.
pub(in crate::operations) fn check_identifier(checks: &mut Checks, identifier: &str) {
    if identifier.trim().is_empty() {
        checks.error("identifier", Invalid::new(FieldCode::TooShort, "must not be empty"));
    } else if identifier.len() > text::MAX_BYTES {
        let message = format!("must have at most {} bytes", text::MAX_BYTES);
        checks.error("identifier", Invalid::new(FieldCode::TooLong, message));
    }
}

/// Gets the caller's own account.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Me {}

#[boxed_async]
impl Operation for Me {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IN_PERSON: bool = false;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<UserView> {
        let id = plan.actor.signed_in()?.id;
        let user = existing_to_show(plan.reads(), id).await?;
        shown(plan, user).await
    }
}
