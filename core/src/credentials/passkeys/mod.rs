//! Passkeys: what a browser is asked for, and what it answers (Web Authentication, Level 3; the numbers of sections are its own).
//!
//! Nothing is read but what is given: the challenge is the caller's, which sees to its age and that it is used once, and so is
//! what was stored of a passkey. Attestation is neither asked for nor believed: who registers a passkey says what it is.

#[cfg(feature = "passkeys")]
mod authenticator_data;
#[cfg(feature = "passkeys")]
mod cbor;
#[cfg(not(feature = "passkeys"))]
mod off;
mod options;
#[cfg(feature = "passkeys")]
mod public_key;
#[cfg(feature = "passkeys")]
mod relying_party;
#[cfg(feature = "passkeys")]
mod response;
#[cfg(feature = "passkeys")]
mod verify;

#[cfg(test)]
#[cfg(feature = "passkeys")]
mod tests;

pub use super::signatures::Algorithm;
#[cfg(not(feature = "passkeys"))]
pub use off::{PublicKey, RelyingParty, credential_id_and_handle, verify_assertion, verify_registration};
pub use options::{Creation, Known, Request, Requirement, creation_options, request_options};
#[cfg(feature = "passkeys")]
pub use public_key::PublicKey;
#[cfg(feature = "passkeys")]
pub use relying_party::RelyingParty;
#[cfg(feature = "passkeys")]
pub use response::credential_id_and_handle;
#[cfg(feature = "passkeys")]
pub use verify::{verify_assertion, verify_registration};

use crate::model::error::{Error, Reason};

/// A user handle: random, so that it names the account to nobody else (14.6.1).
pub type Handle = [u8; 32];
/// What the authenticator signs, so that an answer is good for one question.
pub type Challenge = [u8; 32];

/// Authenticators cut longer names of a relying party, in bytes (5.4.1).
pub const MAX_NAME_BYTES: usize = 64;
/// A credential id is no longer, in bytes (7.1, step 25).
const MAX_ID_BYTES: usize = 1023;

/// A passkey that was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its credential id, by which it is found. The caller sees to it that nobody has it yet (7.1, step 26).
    pub credential_id: Vec<u8>,
    /// Its key.
    pub public_key: PublicKey,
    /// How often it has signed; 0 for ever, where it does not count.
    pub counter: u32,
    /// Whether it can be on several devices; never changes.
    pub is_backup_eligible: bool,
    /// Whether it is on several now.
    pub is_backed_up: bool,
    /// Whether it was verified who registered it.
    pub is_user_verified: bool,
    /// How its authenticator is reached, to be handed out with it. Not proved.
    pub transports: Vec<String>,
}

/// What was stored of a passkey.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its credential id.
    pub credential_id: &'a [u8],
    /// Its key.
    pub public_key: &'a PublicKey,
    /// Its counter when it was last used.
    pub counter: u32,
    /// As at its registration.
    pub is_backup_eligible: bool,
    /// Of the account that it is of.
    pub handle: &'a Handle,
}

/// What an assertion proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// The counter, to be stored.
    pub counter: u32,
    /// Whether the counter did not rise although it counts: there may be a copy of the passkey, or two sign-ins overtook each
    /// other (6.1.1). The caller decides what that means.
    pub is_counter_stale: bool,
    /// Whether it is on several devices now, to be stored.
    pub is_backed_up: bool,
    /// Whether it was verified who is there.
    pub is_user_verified: bool,
    /// The handle that came with it, which is the stored one. Whoever was not named before must have one (7.2, step 6).
    pub handle: Option<Handle>,
}

/// Why an answer is refused: for the host's log, as the source of the error. Whoever sent it is told that it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is too long, no JSON, or one of its objects has a key twice.
    #[error("the response is not the JSON that a browser makes of a credential")]
    Json,
    /// A part of it is not base64url, or padded.
    #[error("a part of the response is not base64url without padding")]
    Base64,
    /// It is of another type of credential, or its two ids differ.
    #[error("the response is of no public key credential")]
    Credential,
    /// The id is empty or longer than 1,023 bytes, or not the one that was registered or looked up.
    #[error("the credential id is not one, or of another passkey")]
    CredentialId,
    /// The user handle is of another account, or not of 32 bytes.
    #[error("the user handle is of another account")]
    Handle,
    /// The client data cannot be read.
    #[error("the client data is not JSON, or lacks something")]
    ClientData,
    /// A registration was sent for an assertion, or the other way around.
    #[error("the client data is of the other ceremony")]
    Type,
    /// It answers another challenge.
    #[error("the challenge is another one")]
    Challenge,
    /// It was made on another site or in another application.
    #[error("the origin is none of the relying party's")]
    Origin,
    /// It was made in a frame on a page of another origin.
    #[error("it was made in a frame of another origin")]
    CrossOrigin,
    /// The attestation object cannot be read.
    #[error("the attestation object cannot be read")]
    AttestationObject,
    /// The authenticator data cannot be read, or lacks the key.
    #[error("the authenticator data cannot be read")]
    AuthenticatorData,
    /// The authenticator signed for another relying party.
    #[error("it is of another relying party")]
    RelyingParty,
    /// Nobody was there.
    #[error("the user was not present")]
    UserPresence,
    /// It had to be verified who was there.
    #[error("the user was not verified")]
    UserVerification,
    /// It is backed up although it cannot be, or says otherwise than at its registration whether it can be (6.1.3).
    #[error("the backup flags contradict each other or the registration")]
    Backup,
    /// The key is of an algorithm that was not asked for.
    #[error("the key is of an algorithm that was not asked for")]
    Algorithm,
    /// The key is malformed, no point of its curve, or too weak.
    #[error("the public key is malformed or too weak")]
    PublicKey,
    /// The signature is not by the passkey.
    #[error("the signature is wrong")]
    Signature,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::new(Reason::InvalidCredentials, "the passkey was not accepted").with_source(refusal)
    }
}
