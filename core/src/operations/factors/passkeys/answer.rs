//! What a passkey proves that was added before.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    Descriptor, PasskeyOptions, among,
    ask::{TIMEOUT_MILLIS, require_passkeys, signed},
    decoded, decoded_handle,
};
use crate::{
    credentials::passkeys::{
        Asserted, PublicKey, Request, Requirement, Stored, credential_id_and_handle, request_options, verify_assertion,
    },
    model::{
        credential::Credential,
        error::{Error, Reason, Result},
        factor::{FactorKind, FactorState, Passkey},
        id::UserId,
        notice::NoticeKind,
        proof::Proofs,
        secret::Secret,
        session::SessionEnd,
        time::Time,
        user::User,
    },
    operations::{
        epochs::{self, ApiKeyFate, Password},
        factors::{
            code::{MOST_FAILURES, counts},
            of,
        },
        notices,
        plan::Plan,
    },
};

/// An answer of a browser, and to what.
pub(in crate::operations) struct Answer<'a> {
    /// The challenge as it was handed out.
    pub(in crate::operations) challenge: &'a Secret,
    /// When that was made.
    pub(in crate::operations) asked_at: Time,
    /// Whose passkey it has to be; none: the passkey says whose it is.
    pub(in crate::operations) of: Option<UserId>,
    /// The answer: an `AuthenticationResponseJSON`.
    pub(in crate::operations) response: &'a Secret,
}

/// A passkey that has proved something.
pub(in crate::operations) struct Accepted {
    pub(in crate::operations) credential: Credential,
    /// All that is proved now.
    pub(in crate::operations) by: Proofs,
}

/// Why an answer proves nothing, and whose passkey it is of.
pub(in crate::operations) struct Refused {
    pub(in crate::operations) user: Option<UserId>,
    /// For the audit log.
    pub(in crate::operations) why: String,
    /// It is right, but of a passkey that did not verify who is there, beside nothing else.
    pub(in crate::operations) is_unverified: bool,
    /// It is of a copy, which is planned to be suspended, whatever room there is to tell of wrong answers.
    pub(in crate::operations) is_copy: bool,
}

impl Refused {
    pub(in crate::operations) fn new(user: Option<UserId>, why: &str) -> Self {
        Self { user, why: why.to_owned(), is_unverified: false, is_copy: false }
    }
}

/// An answer that is right, but for what it says of how often the passkey was used.
struct Verified {
    passkey: Passkey,
    state: FactorState,
    credential: Credential,
    asserted: Asserted,
}

/// What a browser is asked to use a passkey by: one of this user's, or any that says whose it is.
pub(in crate::operations) async fn request(
    plan: &Plan<'_>,
    user: Option<UserId>,
    (challenge, expires_at): (Secret, Time),
) -> Result<PasskeyOptions> {
    let party = require_passkeys(plan)?;
    let passkeys = match user {
        Some(user) => usable(plan, user).await?,
        None => Vec::new(),
    };
    let descriptors = passkeys.iter().map(Descriptor::of).collect::<Result<Vec<_>>>()?;
    let allow: Vec<_> = descriptors.iter().map(Descriptor::known).collect();
    let options = request_options(
        party,
        &Request {
            challenge: &signed(&challenge),
            allow: &allow,
            // As the only proof it has to verify who is there.
            user_verification: if user.is_none() { Requirement::Required } else { Requirement::Preferred },
            timeout_millis: TIMEOUT_MILLIS,
        },
    );
    Ok(PasskeyOptions { challenge, options: options.to_string(), expires_at })
}

/// A user's passkeys that count.
async fn usable(plan: &Plan<'_>, user: UserId) -> Result<Vec<Passkey>> {
    let factors = of(plan, user).await?;
    let is_usable =
        |passkey: &Passkey| factors.iter().any(|(factor, state)| factor.id == passkey.factor_id && counts(state));
    let mut passkeys = among(plan, user, &factors).await?;
    passkeys.retain(is_usable);
    if passkeys.is_empty() {
        return Err(Error::new(Reason::WrongStatus, "the account has no passkey"));
    }
    Ok(passkeys)
}

/// What an answer proves beside what was proved before, once: its use is planned. A wrong one uses nothing up: there is nothing to
/// guess.
pub(in crate::operations) async fn accept(
    plan: &mut Plan<'_>,
    answer: &Answer<'_>,
    before: Proofs,
) -> Result<Result<Accepted, Refused>> {
    let Verified { passkey, state, credential, asserted } = match verified(plan, answer).await? {
        Ok(verified) => verified,
        Err(refused) => return Ok(Err(refused)),
    };
    let refused = Refused::new(Some(passkey.user_id), "");
    let refuse = |why: &str| Ok(Err(Refused { why: why.to_owned(), ..refused }));
    if !counts(&state) {
        return refuse("the passkey is suspended");
    }
    if credential.moved_at.is_some_and(|moved_at| answer.asked_at < moved_at) {
        epochs::set_right(plan, &credential);
        return refuse("all sessions were ended since it was asked for");
    }
    if asserted.is_counter_stale {
        // Of two answers at once the later may come first, and clocks may differ a little. One that was asked for after the last
        // use has no such excuse: there is a copy of the passkey (6.1.1).
        if answer.asked_at <= state.last_used_at.plus_seconds(plan.services.config.leeway_seconds) {
            return refuse("the passkey was used meanwhile");
        }
        copied(plan, &passkey, &state).await?;
        let why = "the passkey's counter did not rise: there may be a copy of it".to_owned();
        return Ok(Err(Refused { is_copy: true, why, ..refused }));
    }
    let Some(by) = before.with_passkey(asserted.is_user_verified) else {
        let why = "the passkey did not verify who is there".to_owned();
        return Ok(Err(Refused { is_unverified: true, why, ..refused }));
    };
    let used = FactorState {
        counter: Some(asserted.counter.into()),
        is_backed_up: Some(asserted.is_backed_up),
        has_verified: Some(asserted.is_user_verified || state.has_verified == Some(true)),
        last_used_at: plan.now,
        failures: 0,
        ..state.clone()
    };
    plan.write_consequence(Some(&state), used);
    Ok(Ok(Accepted { credential, by }))
}

/// Plans what follows from a copy: nobody knows which of the two was let in, so nobody stays.
async fn copied(plan: &mut Plan<'_>, passkey: &Passkey, state: &FactorState) -> Result<()> {
    suspend(plan, state);
    let user: Option<User> = plan.reads().get(&(passkey.user_id,)).await?;
    let Some(user) = user else { return Ok(()) };
    epochs::advance(plan, &user, SessionEnd::CredentialChanged, Password::Kept, ApiKeyFate::Kept).await?;
    plan.audit("factors.suspended", Some(("user", user.id.to_string())), Some(FactorKind::Passkey.to_string()));
    notices::tell(plan, NoticeKind::PasskeySuspended, &user)
}

/// Plans that a passkey counts no more.
fn suspend(plan: &mut Plan<'_>, state: &FactorState) {
    plan.write_consequence(Some(state), FactorState { failures: MOST_FAILURES, ..state.clone() });
}

/// Plans that those passkeys count no more that came after an epoch: whoever added them is not who proves the address. They are
/// asked for still, so that a mailbox alone does not get past them.
pub(in crate::operations) async fn suspend_after(plan: &mut Plan<'_>, user: UserId, epoch: i64) -> Result<()> {
    let known = of(plan, user).await?;
    let of_late = known.iter().filter(|(factor, _)| factor.kind == FactorKind::Passkey && factor.epoch > epoch);
    for (_, state) in of_late.filter(|(_, state)| counts(state)) {
        suspend(plan, state);
        plan.audit("factors.suspended", Some(("user", user.to_string())), Some(FactorKind::Passkey.to_string()));
    }
    Ok(())
}

/// Whose passkey gave an answer that holds, or held before: for who did not get ours.
pub(in crate::operations) async fn answerer(plan: &Plan<'_>, answer: &Answer<'_>) -> Result<Option<UserId>> {
    Ok(verified(plan, answer).await?.ok().map(|verified| verified.passkey.user_id))
}

async fn verified(plan: &Plan<'_>, answer: &Answer<'_>) -> Result<Result<Verified, Refused>> {
    let party = require_passkeys(plan)?;
    let response = answer.response.expose();
    let refused = |user: Option<UserId>, why: &str| Ok(Err(Refused::new(user, why)));
    let (id, handle) = match credential_id_and_handle(response) {
        Ok(found) => found,
        Err(error) => return refused(None, &why(&error)),
    };
    let passkey: Option<Passkey> = plan.reads().get(&(BASE64_URL_SAFE_NO_PAD.encode(&id),)).await?;
    let Some(passkey) = passkey else { return refused(None, "no such passkey") };
    let user = Some(passkey.user_id);
    if answer.of.is_some() && answer.of != user {
        return refused(answer.of, "the passkey is of another account");
    }
    let credential = epochs::credential_of(plan, passkey.user_id).await?;
    let state: Option<FactorState> = plan.reads().get(&(passkey.factor_id,)).await?;
    let Some((credential, state)) = credential.zip(state) else { return refused(user, "no such passkey") };
    let Some(known) = credential.handle.as_deref().map(decoded_handle).transpose()? else {
        return refused(user, "no such passkey");
    };
    if answer.of.is_none() && handle.is_none() {
        return refused(user, "the passkey does not say whose it is");
    }
    let stored = Stored {
        credential_id: &id,
        public_key: &PublicKey::from_stored(&decoded(&passkey.public_key)?)?,
        counter: state.counter.and_then(|counter| u32::try_from(counter).ok()).unwrap_or_default(),
        is_backup_eligible: passkey.is_backup_eligible,
        handle: &known,
    };
    let verification = if answer.of.is_none() { Requirement::Required } else { Requirement::Preferred };
    match verify_assertion(party, &signed(answer.challenge), verification, &stored, response) {
        Ok(asserted) => Ok(Ok(Verified { passkey, state, credential, asserted })),
        Err(error) => refused(user, &why(&error)),
    }
}

/// Which check failed.
pub(super) fn why(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.message().to_owned(), ToString::to_string)
}
