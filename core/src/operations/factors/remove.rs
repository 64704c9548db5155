//! Removing second factors: one's own, and those of somebody who has lost them.

use rolekeep_macros::{Describe, Input, boxed_async};

use super::{are_demanded, code::owes_one, of, passkeys, recovery};
use crate::{
    model::{
        credential::Credential,
        deferred::unless_page,
        error::{Error, Reason, Result},
        factor::{Factor, FactorState, FormerFactor},
        id::{FactorId, UserId},
        notice::NoticeKind,
        session::SessionEnd,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation,
        actor::Actor,
        administrators,
        epochs::{self, ApiKeyFate, Password},
        notices,
        plan::Plan,
        reads::Reads,
        services::Services,
        sessions::{self, Tokens, own_among_all, renew},
        users::existing,
        ways_in,
    },
};

/// Removes a second factor of the caller's account; with the last one, its recovery codes.
///
/// All sessions end; the caller continues in a new one with the returned tokens. It needs a sign-in or `sessions.step_up` within the last
/// five minutes.
/// Errors: `CONFLICT` for the last one of an account that is required to have one, and for a passkey without which nobody could sign in
/// to the account any more; `RESOURCE_NOT_FOUND` if the account has no such factor.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct RemoveFactor {
    /// The factor's id.
    pub id: FactorId,
}

/// Removes all second factors and recovery codes of a user who has lost them. Verify the user's identity first.
///
/// All sessions of the user end. The next sign-in needs only the password, and a new second factor if one is required.
/// Permission `user:reset_factors`; for a user who holds more than the default roles `admin:all`: whoever knows the password may do
/// what the user may. It needs a sign-in or `sessions.step_up` within the last five minutes.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ResetFactorsOf {
    /// The user's id.
    pub user_id: UserId,
}

#[boxed_async]
impl Operation for RemoveFactor {
    type Target = ();
    type Valid = FactorId;

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_DEFERRED: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<FactorId> {
        Ok(self.id)
    }

    async fn plan(id: &FactorId, (): (), plan: &mut Plan<'_>) -> Result<Tokens> {
        let session = own_among_all(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        let known = of(plan, user.id).await?;
        let (going, staying): (Vec<_>, Vec<_>) = known.into_iter().partition(|(factor, _)| factor.id == *id);
        if going.is_empty() {
            return Err(Error::not_found("factor"));
        }
        if staying.is_empty() {
            require_not_demanded(plan, user.id).await?;
        }
        unless_page(Ok(()), || Box::pin(ways_in::require_without_factors(plan, user.id, &going, &staying))).await?;
        end(plan, &user, going, staying.is_empty(), ApiKeyFate::Kept).await?;
        notices::tell(plan, NoticeKind::FactorRemoved, &user)?;
        plan.audit("factors.remove", Some(("user", user.id.to_string())), None);
        let proved = sessions::proof_of(&session);
        renew(plan, user, &session, proved).await
    }
}

#[boxed_async]
impl Operation for ResetFactorsOf {
    type Target = User;
    type Valid = ();

    const ACCESS: Access = Access::Permission("user:reset_factors");
    const NEEDS_FRESH: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), user: User, plan: &mut Plan<'_>) -> Result<()> {
        administrators::require_may_give_all_of(plan, user.id).await?;
        if plan.actor.user_id() == Some(user.id) {
            require_not_demanded(plan, user.id).await?;
            unless_page(Ok(()), || Box::pin(require_other_way_in(plan, user.id))).await?;
        }
        if end_all(plan, &user).await? {
            notices::tell_of_either(plan, NoticeKind::FactorRemoved, &user)?;
            plan.audit("factors.reset_of", Some(("user", user.id.to_string())), None);
        }
        Ok(())
    }
}

/// Refuses to take all factors of an account that nothing else signs in to.
async fn require_other_way_in(plan: &Plan<'_>, user: UserId) -> Result<()> {
    let known = of(plan, user).await?;
    ways_in::require_without_factors(plan, user, &known, &[]).await
}

/// Refuses to take the last second factor of who has to have one.
async fn require_not_demanded(plan: &mut Plan<'_>, user: UserId) -> Result<()> {
    if are_demanded(plan, user).await? {
        let message = "the account has to have a second factor; add another one first";
        return Err(Error::new(Reason::SecondFactorRequired, message));
    }
    Ok(())
}

/// Plans that a user has no second factor any more, and owes none; whether there was one.
pub(in crate::operations) async fn end_all(plan: &mut Plan<'_>, user: &User) -> Result<bool> {
    let known = of(plan, user.id).await?;
    let had_codes = recovery::end_after(plan, user.id, i64::MIN).await?;
    // One may be owed still that is gone (`end_after`).
    if known.is_empty() && !owes_one(plan, user.id).await? {
        return Ok(had_codes);
    }
    end(plan, user, known, true, ApiKeyFate::Ended).await?;
    Ok(true)
}

/// Plans that those factors and recovery codes are gone that came after an epoch; whether there was one. An account that had a
/// second factor before it owes one still, also where none is left: a mailbox alone does not get past it.
pub(in crate::operations) async fn end_after(plan: &mut Plan<'_>, user: &User, epoch: i64) -> Result<bool> {
    let known = of(plan, user.id).await?;
    let (going, staying): (Vec<_>, Vec<_>) = known.into_iter().partition(|(factor, _)| factor.epoch > epoch);
    let had_codes = recovery::end_after(plan, user.id, epoch).await?;
    if going.is_empty() {
        return Ok(had_codes);
    }
    let credential = epochs::credential_of(plan, user.id).await?;
    let since = credential.and_then(|credential| credential.second_factor_since);
    // The time that the first of them has, whatever the clocks say.
    let has_first = going.iter().any(|(factor, _)| Some(factor.added_at) == since);
    end(plan, user, going, staying.is_empty() && has_first, ApiKeyFate::Ended).await?;
    Ok(true)
}

/// Plans that these are gone, after which nothing counts that was proved before.
async fn end(
    plan: &mut Plan<'_>,
    user: &User,
    going: Vec<(Factor, FactorState)>,
    are_all: bool,
    keys: ApiKeyFate,
) -> Result<()> {
    unless_page(Ok(()), || Box::pin(end_passkeys(plan, user.id, &going))).await?;
    // What is kept of them goes with the user, whoever deletes that meanwhile.
    plan.check(user);
    for (factor, state) in going {
        plan.delete_consequence(&state);
        plan.delete_consequence(&factor);
        let Factor { id, user_id, kind, name, added_at, .. } = factor;
        plan.write_consequence(
            None,
            FormerFactor { id, user_id, kind, name, added_at, ended_at: plan.now, version: 0 },
        );
    }
    let advanced = epochs::advance(plan, user, SessionEnd::CredentialChanged, Password::Kept, keys).await?;
    if are_all {
        recovery::end(plan, user.id).await?;
        plan.write_consequence(Some(&advanced), Credential { second_factor_since: None, ..advanced.clone() });
    }
    Ok(())
}

/// Plans that those among these that are passkeys are nobody's any more.
async fn end_passkeys(plan: &mut Plan<'_>, user: UserId, going: &[(Factor, FactorState)]) -> Result<()> {
    for passkey in passkeys::among(plan, user, going).await? {
        if going.iter().any(|(factor, _)| factor.id == passkey.factor_id) {
            plan.delete_consequence(&passkey);
        }
    }
    Ok(())
}
