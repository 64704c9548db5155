//! Adding a passkey.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rolekeep_macros::{Describe, Input, boxed_async};
use sha2::{Digest, Sha256};

use super::{
    Descriptor, PasskeyOptions, among,
    answer::why,
    ask::{TIMEOUT_MILLIS, require_passkeys, signed},
    decoded_handle,
};
use crate::{
    credentials::passkeys::{Creation, Handle, Requirement, creation_options, verify_registration},
    model::{
        check::wrong,
        credential::{Challenge, ChallengePurpose, Credential},
        decode::FieldCode,
        error::{Error, Result},
        factor::{FactorKind, FactorState, Passkey},
        id::UserId,
        proof::Proved,
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, epochs,
        factors::{
            AddedFactor,
            add::own_challenge,
            adopt::{Enrolled, New, adopt, require_room},
            of, require_offered, valid_name,
        },
        plan::Plan,
        services::Services,
        sessions::{self, own, renew},
        sign_in::{self, Challenges},
        users::existing,
    },
};

/// Begins to add a passkey to the caller's account.
///
/// Have a browser create one with the `options`, then pass its response to `factors.add_passkey` within ten minutes. It needs a sign-in
/// or `sessions.step_up` within the last five minutes.
/// Errors: `CONFLICT` for an account that has twenty, `UNAUTHORIZED` for a caller without a session, `UNAVAILABLE` where the
/// configuration has no `passkey_domain`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct StartPasskey {}

/// Adds a passkey to the caller's account, with the authenticator's response.
///
/// From then on it can be used to sign in (`sign_in.passkey`), and a sign-in by password needs it, or another second factor, too. All
/// sessions end; the caller continues in a new one with the returned tokens. An account's first second factor comes with ten recovery
/// codes.
/// Errors: `VALIDATION_ERROR` for a response that is not accepted, `UNAUTHORIZED` for an invalid or expired challenge,
/// `DUPLICATE_RESOURCE` for a passkey that is known, `CONFLICT` for an account that has twenty by now.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct AddPasskey {
    /// The challenge of `factors.add_passkey_start`.
    pub challenge: Secret,
    /// The browser's response: a `RegistrationResponseJSON`, as text.
    pub response: Secret,
    /// The user's name for it, at most 100 characters: "Laptop".
    pub name: Option<String>,
}

#[boxed_async]
impl Operation for StartPasskey {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<PasskeyOptions> {
        require_offered(plan)?;
        require_passkeys(plan)?;
        let session = own(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        let credential = epochs::credential_of(plan, user.id).await?;
        plan.check(&user);
        let epoch = epochs::epoch_of(credential.as_ref());
        let challenge = sign_in::challenge(plan, &user, epoch, ChallengePurpose::AddPasskey)?;
        let challenge = plan.write_consequence(None, challenge);
        plan.make_room(user.id).await?;
        creation(plan, &challenge, &user, credential.as_ref()).await
    }
}

#[boxed_async]
impl Operation for AddPasskey {
    type Target = ();
    type Valid = Self;

    const ACCESS: Access = Access::SignedIn;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self> {
        let name = valid_name(self.name.as_deref())?;
        Ok(Self { name, ..self })
    }

    async fn plan(added: &Self, (): (), plan: &mut Plan<'_>) -> Result<AddedFactor> {
        let (session, user, challenge) = own_challenge(plan, ChallengePurpose::AddPasskey, &added.challenge).await?;
        let (enrolled, is_verified) = add(plan, &user, &added.challenge, &added.response, added.name.clone()).await?;
        plan.write_consequence(Some(&challenge), Challenge { used_at: Some(plan.now), ..challenge.clone() });
        let before = sessions::proof_of(&session);
        let proved = Proved { by: before.by.with_passkey(is_verified).unwrap_or(before.by), ..before };
        let tokens = renew(plan, user, &session, proved).await?;
        Ok(AddedFactor { factor: enrolled.factor, tokens, recovery_codes: enrolled.recovery_codes })
    }
}

/// What a browser is asked to make a passkey by, for an account and by a challenge that is planned.
pub(in crate::operations) async fn creation(
    plan: &Plan<'_>,
    challenge: &Challenge,
    user: &User,
    credential: Option<&Credential>,
) -> Result<PasskeyOptions> {
    let party = require_passkeys(plan)?;
    let known = of(plan, user.id).await?;
    require_room(&known, FactorKind::Passkey)?;
    let passkeys = among(plan, user.id, &known).await?;
    let descriptors = passkeys.iter().map(Descriptor::of).collect::<Result<Vec<_>>>()?;
    let exclude: Vec<_> = descriptors.iter().map(Descriptor::known).collect();
    let text = challenge.sign(plan.services)?;
    let user_name = user.sign_in_name();
    let options = creation_options(
        party,
        &Creation {
            challenge: &signed(&text),
            handle: &handle(credential, &text)?,
            user_name: &user_name,
            display_name: user.full_name.as_deref().unwrap_or(&user_name),
            exclude: &exclude,
            // One that is found without a name signs in by itself; one that is not is a second factor.
            resident_key: Requirement::Preferred,
            user_verification: Requirement::Preferred,
            timeout_millis: TIMEOUT_MILLIS,
        },
    );
    Ok(PasskeyOptions { challenge: text, options: options.to_string(), expires_at: challenge.expires_at })
}

/// What passkeys call the account. Before the first is added it follows from the challenge, so that the one that is added is told
/// the same as is stored; whichever is added first voids the challenges of the others.
fn handle(credential: Option<&Credential>, challenge: &Secret) -> Result<Handle> {
    match credential.and_then(|credential| credential.handle.as_deref()) {
        Some(handle) => decoded_handle(handle),
        None => Ok(Sha256::new().chain_update("rolekeep handle ").chain_update(challenge.expose()).finalize().into()),
    }
}

/// Plans that the passkey is added that answered a challenge, and says whether it verified who is there.
pub(in crate::operations) async fn add(
    plan: &mut Plan<'_>,
    user: &User,
    challenge: &Secret,
    response: &Secret,
    name: Option<String>,
) -> Result<(Enrolled, bool)> {
    let party = require_passkeys(plan)?;
    let new = verify_registration(party, &signed(challenge), Requirement::Preferred, response.expose());
    let new = new.map_err(|error| not_accepted(&error))?;
    let credential_id = BASE64_URL_SAFE_NO_PAD.encode(&new.credential_id);
    if plan.reads().get::<Passkey>(&(credential_id.clone(),)).await?.is_some() {
        return Err(Error::taken("passkey"));
    }
    let credential = epochs::credential_of(plan, user.id).await?;
    let handle = BASE64_URL_SAFE_NO_PAD.encode(handle(credential.as_ref(), challenge)?);
    let added = New::of(plan, user.id, FactorKind::Passkey, name)?;
    let state = FactorState {
        counter: Some(new.counter.into()),
        is_backed_up: Some(new.is_backed_up),
        has_verified: Some(new.is_user_verified),
        ..added.state
    };
    let passkey = Passkey {
        credential_id: credential_id.clone(),
        factor_id: added.factor.id,
        user_id: user.id,
        public_key: BASE64_URL_SAFE_NO_PAD.encode(new.public_key.to_stored()),
        transports: new.transports.join(" "),
        is_backup_eligible: new.is_backup_eligible,
        version: 0,
    };
    plan.write_consequence(None, passkey);
    let mut enrolled = adopt(plan, user, New { state, handle: Some(handle), ..added }).await?;
    enrolled.factor.credential_id = Some(credential_id);
    Ok((enrolled, new.is_user_verified))
}

/// Whether an answer is the one by which a passkey of this user was added: for who did not get ours.
pub(in crate::operations) async fn was_added(
    plan: &Plan<'_>,
    user: UserId,
    challenge: &Secret,
    response: &Secret,
) -> Result<bool> {
    let party = require_passkeys(plan)?;
    let Ok(added) = verify_registration(party, &signed(challenge), Requirement::Preferred, response.expose()) else {
        return Ok(false);
    };
    let passkey: Option<Passkey> = plan.reads().get(&(BASE64_URL_SAFE_NO_PAD.encode(&added.credential_id),)).await?;
    // Of the same key: nobody signs a registration.
    let public_key = BASE64_URL_SAFE_NO_PAD.encode(added.public_key.to_stored());
    Ok(passkey.is_some_and(|passkey| passkey.user_id == user && passkey.public_key == public_key))
}

/// Who adds a passkey to his own account is told what is wrong with it: in most cases the site is set up wrongly.
fn not_accepted(error: &Error) -> Error {
    wrong("response", FieldCode::Incorrect, format!("is not accepted: {}", why(error)))
}
