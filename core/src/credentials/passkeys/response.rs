//! What a browser answers, as `PublicKeyCredential.toJSON()` writes it (5.1.7), and what it says itself of where and for what
//! (5.8.1). Only what is needed is read: browsers may add what they like.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Challenge, Handle, MAX_ID_BYTES, Refusal, RelyingParty};
use crate::model::{error::Result, input};

/// A longer response is none. Ids and statements of certificates are long, and some of it stands there twice.
const MAX_BYTES: usize = 16 * 1024;
/// So many transports are kept, of so many letters; there are seven.
const MAX_TRANSPORTS: usize = 8;
const MAX_TRANSPORT_BYTES: usize = 32;

/// The answer of either ceremony.
pub(super) struct Response {
    pub(super) credential_id: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    fields: Map<String, Value>,
}

/// The credential id of an assertion and, if it says so, whose it is: to look the passkey up. Proves nothing.
///
/// # Errors
/// [`Reason::InvalidCredentials`](crate::Reason::InvalidCredentials).
pub fn credential_id_and_handle(response: &str) -> Result<(Vec<u8>, Option<Handle>)> {
    let response = Response::read(response)?;
    let handle = response.handle()?;
    Ok((response.credential_id, handle))
}

impl Response {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let mut whole = input::read_object(text, MAX_BYTES).ok_or(Refusal::Json)?;
        let Some(Value::Object(fields)) = whole.remove("response") else { return Err(Refusal::Json) };
        let is_one = text_of(&whole, "type")? == "public-key" && text_of(&whole, "id")? == text_of(&whole, "rawId")?;
        if !is_one {
            return Err(Refusal::Credential);
        }
        let credential_id = bytes_of(&whole, "rawId")?;
        if !(1..=MAX_ID_BYTES).contains(&credential_id.len()) {
            return Err(Refusal::CredentialId);
        }
        let client_data = bytes_of(&fields, "clientDataJSON")?;
        Ok(Self { credential_id, client_data, fields })
    }

    /// A part that is bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        bytes_of(&self.fields, name)
    }

    pub(super) fn handle(&self) -> Result<Option<Handle>, Refusal> {
        match self.fields.get("userHandle") {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.bytes("userHandle")?.try_into().map(Some).map_err(|_| Refusal::Handle),
        }
    }

    /// Hints of how the authenticator is reached. What is none is left out, as nothing depends on them.
    pub(super) fn transports(&self) -> Vec<String> {
        let Some(Value::Array(given)) = self.fields.get("transports") else { return Vec::new() };
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_one = |text: &&str| (1..=MAX_TRANSPORT_BYTES).contains(&text.len()) && text.bytes().all(is_letter);
        let mut transports: Vec<String> =
            given.iter().filter_map(Value::as_str).filter(is_one).map(str::to_owned).collect();
        transports.sort_unstable();
        transports.dedup();
        transports.truncate(MAX_TRANSPORTS);
        transports
    }

    /// Checks the client data: steps 7 to 11 of 7.1, 10 to 14 of 7.2. Its `tokenBinding` is reserved, and not looked at.
    pub(super) fn check_client_data(
        &self,
        ceremony: &str,
        relying_party: &RelyingParty,
        challenge: &Challenge,
    ) -> Result<(), Refusal> {
        let text = std::str::from_utf8(&self.client_data).map_err(|_| Refusal::ClientData)?;
        // The Encoding Standard's "UTF-8 decode" leaves it out.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let claimed = input::read_object(text, MAX_BYTES).ok_or(Refusal::ClientData)?;
        let text = |name| text_of(&claimed, name).map_err(|_| Refusal::ClientData);
        if text("type")? != ceremony {
            return Err(Refusal::Type);
        }
        if text("challenge")? != BASE64_URL_SAFE_NO_PAD.encode(challenge) {
            return Err(Refusal::Challenge);
        }
        if !relying_party.has_origin(text("origin")?) {
            return Err(Refusal::Origin);
        }
        match claimed.get("crossOrigin") {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => return Err(Refusal::CrossOrigin),
            Some(_) => return Err(Refusal::ClientData),
        }
        // Browsers name the page around a frame only where it is of another origin.
        if claimed.contains_key("topOrigin") { Err(Refusal::CrossOrigin) } else { Ok(()) }
    }
}

fn text_of<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, Refusal> {
    fields.get(name).and_then(Value::as_str).ok_or(Refusal::Json)
}

fn bytes_of(fields: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD.decode(text_of(fields, name)?).map_err(|_| Refusal::Base64)
}
