//! What follows from a second factor that is added, wherever it is.

use super::{FactorView, of, recovery};
use crate::{
    model::{
        credential::Credential,
        error::{Error, Reason, Result},
        factor::{Factor, FactorKind, FactorState},
        id::UserId,
        notice::NoticeKind,
        secret::Secret,
        session::SessionEnd,
        user::User,
    },
    operations::{
        epochs::{self, ApiKeyFate, Password},
        notices,
        plan::Plan,
    },
};

/// A second factor that has shown that it works, not planned yet.
pub(super) struct New {
    pub(super) factor: Factor,
    pub(super) state: FactorState,
    /// What a passkey calls the account.
    pub(super) handle: Option<String>,
}

impl New {
    /// One of a kind that was just used.
    pub(super) fn of(plan: &Plan<'_>, user: UserId, kind: FactorKind, name: Option<String>) -> Result<Self> {
        let (id, now) = (plan.services.env.new_id()?, plan.now);
        let factor = Factor { id, user_id: user, kind, name, seed: None, epoch: 0, added_at: now, version: 0 };
        let state = FactorState {
            factor_id: id,
            last_step: 0,
            counter: None,
            is_backed_up: None,
            has_verified: None,
            last_used_at: now,
            failures: 0,
            version: 0,
        };
        Ok(Self { factor, state, handle: None })
    }
}

/// A second factor that is added, and what comes with it.
pub(in crate::operations) struct Enrolled {
    pub(in crate::operations) factor: FactorView,
    pub(in crate::operations) credential: Credential,
    pub(in crate::operations) recovery_codes: Vec<Secret>,
}

/// Plans that a second factor is added: nothing counts that was proved before.
pub(super) async fn adopt(plan: &mut Plan<'_>, user: &User, new: New) -> Result<Enrolled> {
    let (known, kind) = (of(plan, user.id).await?, new.factor.kind);
    require_room(&known, kind)?;
    plan.check(user);
    let epoch = epochs::credential_or_empty(plan, user.id).await?.epoch;
    let factor = plan.write_consequence(None, Factor { epoch: epoch + 1, ..new.factor });
    let state = plan.write_consequence(None, new.state);
    let advanced = epochs::advance(plan, user, SessionEnd::CredentialChanged, Password::Kept, ApiKeyFate::Kept).await?;
    let since = Some(advanced.second_factor_since.unwrap_or(plan.now));
    let handle = advanced.handle.clone().or(new.handle);
    let credential =
        plan.write_consequence(Some(&advanced), Credential { second_factor_since: since, handle, ..advanced.clone() });
    let is_first = known.is_empty();
    let recovery_codes = if is_first { recovery::replace(plan, user.id, epoch + 1).await? } else { Vec::new() };
    // Whoever has the password alone may be the one that adds the first, and a passkey signs in by itself: the account's owner
    // can undo it.
    if is_first || kind == FactorKind::Passkey {
        notices::tell_with_undo(plan, NoticeKind::FactorAdded, user, epoch)?;
    } else {
        notices::tell(plan, NoticeKind::FactorAdded, user)?;
    }
    plan.audit("factors.add", Some(("user", user.id.to_string())), Some(kind.to_string()));
    Ok(Enrolled { factor: FactorView::of(&factor, &state), credential, recovery_codes })
}

/// Refuses one more of a kind where there are as many as there may be. Any app is as good as the others to who guesses, and
/// a browser is told of all passkeys.
pub(super) fn require_room(known: &[(Factor, FactorState)], kind: FactorKind) -> Result<()> {
    let (most, name) = match kind {
        FactorKind::Totp => (3, "authenticator apps"),
        FactorKind::Passkey => (20, "passkeys"),
    };
    if known.iter().filter(|(factor, _)| factor.kind == kind).count() < most {
        return Ok(());
    }
    Err(Error::new(Reason::LimitReached, format!("an account has at most {most} {name}; remove one first")))
}
