//! The two ceremonies: a passkey is registered (7.1), and somebody signs in with it (7.2).

use ciborium::Value;
use sha2::{Digest, Sha256};

use super::{
    Asserted, Challenge, NewPasskey, Refusal, RelyingParty, Requirement, Stored, authenticator_data::AuthenticatorData,
    cbor, response::Response,
};
use crate::model::error::Result;

/// Verifies a registration, the JSON of a `RegistrationResponseJSON`. An attestation statement is not looked at.
///
/// # Errors
/// [`Reason::InvalidCredentials`](crate::Reason::InvalidCredentials), whatever was wrong; its source is a [`Refusal`].
pub fn verify_registration(
    relying_party: &RelyingParty,
    challenge: &Challenge,
    user_verification: Requirement,
    response: &str,
) -> Result<NewPasskey> {
    let response = Response::read(response)?;
    response.check_client_data("webauthn.create", relying_party, challenge)?;
    let bytes = attested_data(&response.bytes("attestationObject")?)?;
    let data = AuthenticatorData::read(&bytes)?;
    check_flags(&data, relying_party, user_verification)?;
    let attested = data.credential.as_ref().ok_or(Refusal::AuthenticatorData)?;
    if attested.id != response.credential_id {
        return Err(Refusal::CredentialId.into());
    }
    Ok(NewPasskey {
        public_key: attested.public_key()?,
        counter: data.counter,
        is_backup_eligible: data.is_backup_eligible(),
        is_backed_up: data.is_backed_up(),
        is_user_verified: data.is_user_verified(),
        transports: response.transports(),
        credential_id: response.credential_id,
    })
}

/// Verifies an assertion, the JSON of an `AuthenticationResponseJSON`, by the passkey that it names.
///
/// # Errors
/// As [`verify_registration`].
pub fn verify_assertion(
    relying_party: &RelyingParty,
    challenge: &Challenge,
    user_verification: Requirement,
    stored: &Stored<'_>,
    response: &str,
) -> Result<Asserted> {
    let response = Response::read(response)?;
    if response.credential_id != stored.credential_id {
        return Err(Refusal::CredentialId.into());
    }
    let handle = response.handle()?;
    if handle.is_some_and(|handle| handle != *stored.handle) {
        return Err(Refusal::Handle.into());
    }
    response.check_client_data("webauthn.get", relying_party, challenge)?;
    let bytes = response.bytes("authenticatorData")?;
    let data = AuthenticatorData::read(&bytes)?;
    check_flags(&data, relying_party, user_verification)?;
    if data.is_backup_eligible() != stored.is_backup_eligible {
        return Err(Refusal::Backup.into());
    }
    let signed = [bytes.as_slice(), &Sha256::digest(&response.client_data)].concat();
    stored.public_key.verify(&signed, &response.bytes("signature")?)?;
    let counts = data.counter != 0 || stored.counter != 0;
    Ok(Asserted {
        counter: data.counter,
        is_counter_stale: counts && data.counter <= stored.counter,
        is_backed_up: data.is_backed_up(),
        is_user_verified: data.is_user_verified(),
        handle,
    })
}

/// The authenticator data of an attestation object (6.5), whose statement may be of any format.
fn attested_data(object: &[u8]) -> Result<Vec<u8>, Refusal> {
    let read = cbor::read_map(object).filter(|(_, rest)| rest.is_empty());
    let (object, _) = read.ok_or(Refusal::AttestationObject)?;
    let has_format = cbor::get(&object, "fmt").is_some_and(Value::is_text) && cbor::get(&object, "attStmt").is_some();
    let data = cbor::get(&object, "authData").and_then(Value::as_bytes).filter(|_| has_format);
    data.cloned().ok_or(Refusal::AttestationObject)
}

/// Steps 14 to 17 of 7.1, 15 to 18 of 7.2.
fn check_flags(data: &AuthenticatorData<'_>, relying_party: &RelyingParty, user: Requirement) -> Result<(), Refusal> {
    if data.id_hash != relying_party.id_hash() {
        return Err(Refusal::RelyingParty);
    }
    if !data.is_user_present() {
        return Err(Refusal::UserPresence);
    }
    if user == Requirement::Required && !data.is_user_verified() {
        return Err(Refusal::UserVerification);
    }
    if data.is_backed_up() && !data.is_backup_eligible() {
        return Err(Refusal::Backup);
    }
    Ok(())
}
