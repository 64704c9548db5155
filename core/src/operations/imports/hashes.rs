//! Hashes of passwords as exports have them, in parts, put together to the texts that `credentials::hashing` reads.

use serde_json::{Map, Value as Json};

use super::fields::{into_object, into_text};

/// A hash of a form that cannot be put together: read as one of no known form, and never as none.
pub(super) const UNKNOWN: &str = "unknown";

/// What all hashes of a Firebase project are made with, as a part of their text: `ln=14,r=8,p=1`, separator and key.
pub(super) struct Project<'p>(pub(super) &'p str);

/// The hash of an export of Firebase.
pub(super) fn of_firebase(hash: &str, salt: Option<&str>, project: Option<&Project<'_>>) -> Option<String> {
    // In the alphabet for URLs.
    let plain = |text: &str| text.replace('-', "+").replace('_', "/");
    let Project(parameters) = project?;
    let (cost, keys) = parameters.split_once('$')?;
    Some(format!("$firebase-scrypt${cost}${}${keys}${}", plain(salt.unwrap_or_default()), plain(hash)))
}

/// What Keycloak keeps of a password.
pub(super) enum Password {
    None,
    /// As it is typed.
    Plain,
    Hash(String),
}

/// The password among Keycloak's credentials, as it exports them since version 8.
pub(super) fn of_keycloak(credentials: Vec<Json>) -> Password {
    let is_password = |one: &Map<String, Json>| one.get("type").and_then(Json::as_str) == Some("password");
    let mut all = credentials.into_iter().map(into_object);
    match all.find(is_password) {
        None => Password::None,
        Some(password) if password.get("value").is_some_and(|value| !value.is_null()) => Password::Plain,
        Some(password) => Password::Hash(hash_of_keycloak(password).unwrap_or_else(|| UNKNOWN.to_owned())),
    }
}

fn hash_of_keycloak(mut password: Map<String, Json>) -> Option<String> {
    let mut part = |name: &str| password.remove(name).map(into_object).unwrap_or_default();
    let (mut secret, mut data) = (part("secretData"), part("credentialData"));
    let text = |from: &mut Map<String, Json>, name: &str| from.remove(name).and_then(into_text);
    let (hash, salt) = (text(&mut secret, "value")?, text(&mut secret, "salt")?);
    let (algorithm, rounds) = (text(&mut data, "algorithm")?, text(&mut data, "hashIterations")?);
    if let Some(digest) = algorithm.strip_prefix("pbkdf2") {
        return Some(format!("$pbkdf2{digest}${rounds}${salt}${hash}"));
    }
    let mut more = data.remove("additionalParameters").map(into_object).unwrap_or_default();
    // Each is a list of one.
    let mut parameter = |name: &str| match more.remove(name)? {
        Json::Array(mut one) if one.len() == 1 => one.pop().and_then(into_text),
        one => into_text(one),
    };
    let (kind, memory, lanes) = (parameter("type")?, parameter("memory")?, parameter("parallelism")?);
    let bare = |text: &str| text.trim_end_matches('=').to_owned();
    let is_known = algorithm == "argon2" && parameter("version").is_none_or(|version| version == "1.3");
    is_known.then(|| format!("$argon2{kind}$v=19$m={memory},t={rounds},p={lanes}${}${}", bare(&salt), bare(&hash)))
}

/// A hash of another algorithm than Auth0's own: those that are whole in one text.
pub(super) fn of_auth0(custom: Json) -> String {
    let hash = into_object(custom).remove("hash").map(into_object);
    hash.and_then(|mut hash| hash.remove("value")).map_or_else(|| UNKNOWN.to_owned(), of_text)
}

/// A hash that is a text.
pub(super) fn of_text(hash: Json) -> String {
    into_text(hash).unwrap_or_else(|| UNKNOWN.to_owned())
}
