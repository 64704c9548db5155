//! Passwords of the seed's accounts: given by the host, or made here and shown once; never shipped.

use std::collections::BTreeMap;

use rolekeep::{Error, Reason, Result, environment::os_random};
use serde::{Deserialize, Serialize};

/// Letters and digits that cannot be taken for one another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A password for each e-mail address.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// Reads `{"main@flyos.mil": "…"}`.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|problem| {
            Error::new(Reason::ConfigInvalid, format!("passwords, as {{\"address\": \"password\"}}: {problem}"))
        })
    }

    /// Makes a password of 100 bits for each user of a seed.
    pub fn generate(seed: &str) -> Result<Self> {
        let seed: serde_json::Value = serde_json::from_str(seed)
            .map_err(|problem| Error::new(Reason::InvalidJson, format!("the seed is not valid JSON: {problem}")))?;
        let users = seed["users"].as_array().into_iter().flatten();
        let emails = users.filter_map(|user| user["email"].as_str());
        emails.map(|email| Ok((email.to_owned(), one()?))).collect::<Result<_>>().map(Self)
    }

    pub fn to_json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    pub fn get(&self, email: &str) -> &str {
        self.0.get(email).map_or("", String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(email, password)| (email.as_str(), password.as_str()))
    }
}

fn one() -> Result<String> {
    let mut bytes = [0; 20];
    os_random(&mut bytes)?;
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let text: String = letters.collect();
    Ok([&text[..5], &text[5..10], &text[10..15], &text[15..]].join("-"))
}
