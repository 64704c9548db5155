//! `_open.py`: config as keyword arguments.

use rolekeep::describe::{Catalogue, FieldShape, Shape, TypeRef};

use super::text::{docstring, given, parameters};

const HEAD: &str = r#""""How a store is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

from ._breached import BreachedPasswords
from ._codec import EMPTY
from ._notifier import Notifier
from ._persister import Persister
from ._store import Opening, UserManagement, start
from .backup import Restore
"#;

/// The words and records that config is of.
fn words(config: &[FieldShape]) -> String {
    let mut names: Vec<&str> = config.iter().filter_map(|setting| named(&setting.ty)).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { String::new() } else { format!("from .records import {}\n", names.join(", ")) }
}

fn named(ty: &TypeRef) -> Option<&str> {
    match ty {
        TypeRef::Named(name) => Some(name),
        TypeRef::Optional(inner) | TypeRef::List(inner) => named(inner),
        _ => None,
    }
}

const ERRORS: &str = "Errors: `VALIDATION_ERROR` naming every bad setting or every problem of the policy, `UNAVAILABLE` \
                      where the storage cannot be used.";

pub(super) fn open(catalogue: &Catalogue) -> String {
    let config = match catalogue.types.0.get("Config").map(|config| &config.shape) {
        Some(Shape::Record(fields)) => fields.as_slice(),
        _ => &[],
    };
    let blocking = function(
        "open",
        "UserManagement",
        "Opens a store for blocking code; use it with `with`, or `close` it.",
        "UserManagement(start(config, persister, notifier, breached_passwords, from_env, config_file, restore).wait())",
        config,
    );
    let asynchronous = function(
        "open_async",
        "Opening",
        "Opens a store for asyncio: `um = await open_async()`, or `async with open_async() as um:`.",
        "Opening(start(config, persister, notifier, breached_passwords, from_env, config_file, restore))",
        config,
    );
    format!("{HEAD}{}{blocking}{asynchronous}", words(config))
}

fn function(name: &str, answer: &str, about: &str, body: &str, config: &[FieldShape]) -> String {
    let persister = object(
        "persister",
        "Persister",
        "A storage of the host's own, instead of SQLite or PostgreSQL; see `Persister`.",
    );
    let notifier = object(
        "notifier",
        "Notifier",
        "Sends notices to people; see `Notifier`. Without one nobody is notified of anything, and what needs mail, such \
         as `passwords.forgot`, answers `UNAVAILABLE`.",
    );
    let breached = object(
        "breached_passwords",
        "BreachedPasswords",
        "Whether a password is known from a breach; see `BreachedPasswords`. Without it common ones are refused, and those \
         built from the account's names.",
    );
    let optional =
        |name, about, ty| FieldShape { name, about, ty: TypeRef::Optional(Box::new(ty)), is_positional: false };
    let from_env = optional(
        "from_env",
        "Whether settings that are not given are taken from variables: `ROLEKEEP_SESSION_SECONDS=43200`, a part by two underscores \
         (`ROLEKEEP_ROLES__EDITOR`), lists in JSON. With `_FILE` at its end a variable names a file that has the value. One that \
         is no setting is an error.",
        TypeRef::Bool,
    );
    let config_file = optional(
        "config_file",
        "A file in TOML (where its name ends so) or JSON with settings that neither the call nor a variable gives.",
        TypeRef::Text,
    );
    let restore = object(
        "restore",
        "Restore",
        "A backup for the store, which is empty; see `rolekeep.backup`. If it cannot be restored, nothing is left behind.",
    );
    let objects = [persister, notifier, breached, from_env, config_file, restore];
    let shown: Vec<FieldShape> = config.iter().cloned().chain(objects).collect();
    let about = docstring(&format!("{about}\n\n{ERRORS}"), &shown, "    ");
    let parameters = parameters(&shown, "    ")
        .replace("sqlite: str |", "sqlite: str | PathLike[str] |")
        .replace("config_file: str |", "config_file: str | PathLike[str] |");
    let given = given(config, "    ");
    format!(
        "\n\ndef {name}(\n{parameters}) -> {answer}:\n{about}    config: dict[str, object] = {given}\n    return {body}\n"
    )
}

/// An object of the host's.
fn object(name: &'static str, protocol: &str, about: &'static str) -> FieldShape {
    let ty = TypeRef::Optional(Box::new(TypeRef::Named(protocol.to_owned())));
    FieldShape { name, about, ty, is_positional: false }
}
