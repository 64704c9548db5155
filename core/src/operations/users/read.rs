//! Getting one account.

use rolekeep_macros::{Describe, Input, portable_async};

use super::{UserView, existing, shown};
use crate::{
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Error, Result},
        id::UserId,
        time::Time,
        user::User,
    },
    operations::{Access, Operation, actor::Actor, plan::Plan, reads::Reads, services::Services},
};

/// Gets a user by id.
///
/// Permission `user:read`; a user one may not read is `RESOURCE_NOT_FOUND`, as one that does not exist.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetUser {
    /// The user's id.
    pub id: UserId,
}

#[portable_async]
impl Operation for GetUser {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserView> {
        shown(plan, user).await
    }
}

/// Finds a user by username or e-mail, whatever the case.
///
/// Permission `user:read`, as with `get`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct FindUser {
    /// The username.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

#[portable_async]
impl Operation for FindUser {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:read");
    const IS_READ: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        let (kind, name) = match (&self.username, &self.email) {
            (Some(username), None) => ("username", username),
            (None, Some(email)) => ("email", email),
            (None, None) => return Err(wrong("username", FieldCode::Required, "give a username or an email")),
            (Some(_), Some(_)) => {
                return Err(wrong("username", FieldCode::Disagrees, "give either a username or an email, not both"));
            }
        };
        by_name(reads, kind, name).await?.ok_or_else(|| Error::not_found("user"))
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<UserView> {
        shown(plan, user).await
    }
}

/// The user who has a unique name.
async fn by_name(reads: Reads<'_>, kind: &str, name: &str) -> Result<Option<User>> {
    if name.len() > crate::model::text::MAX_BYTES {
        return Ok(None);
    }
    let Some(claim) = reads.claim(kind, name).await? else { return Ok(None) };
    let Ok(id) = claim.owner.parse::<UserId>() else { return Ok(None) };
    match existing(reads, id).await {
        Ok(user) => Ok(Some(user)),
        Err(error) if error.code() == crate::Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gets the caller's own account.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Me {}

#[portable_async]
impl Operation for Me {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<UserView> {
        let id = plan.actor.signed_in()?.id;
        let user = existing(plan.reads(), id).await?;
        shown(plan, user).await
    }
}
