//! What entries of the audit log say of a person, pure.

use serde_json::Value as Json;

use crate::{
    audit_chain::{AuditEntry, AuditKeys, erased::EntryPart, verify::is_as_written},
    model::{
        erasure::{Erasure, FormerEmail, Known},
        invitation::Invitation,
        record::{Document, Record},
        registry::Claim,
        time::Time,
        user::User,
    },
    operations::plan::gone_with,
};

/// What may have been somebody's beside the rows that go with an account.
const KINDS: [&str; 2] = ["invitation", "registration"];

/// Which parts of entries are personal data of somebody.
pub(in crate::operations) struct Person {
    id: String,
    begun_at: Time,
    known: Known,
}

impl Person {
    /// Who is erased.
    pub(super) fn of(erasure: &Erasure) -> Self {
        let known = erasure.known.clone().map(|known| known.0).unwrap_or_default();
        Self { id: erasure.user_id.to_string(), begun_at: erasure.begun_at, known }
    }

    /// What is known.
    pub(super) fn known(&self) -> Known {
        self.known.clone()
    }

    /// Whether an address that was named then is one of the person's.
    pub(super) fn has(&self, email: &str, at: Time) -> bool {
        let email = Claim::canonical(Claim::EMAIL, email);
        self.known.emails.iter().any(|former| former.is_named(&email, at))
    }

    /// Whether an invitation was for the person: one that it accepted, or that nobody did.
    pub(super) fn was_invited(&self, invitation: &Invitation) -> bool {
        match invitation.accepted_by {
            Some(user) => user.to_string() == self.id,
            None => self.has(&invitation.email, invitation.created_at),
        }
    }

    /// Learns from an entry that is what was written by what others may name the person.
    pub(super) fn learn(&mut self, entry: &AuditEntry, keys: &AuditKeys) {
        let is_thing = self.is_of_kind(entry) && self.is_owner(entry);
        if !(is_thing || self.is_account(entry)) || !is_as_written(entry, keys) {
            return;
        }
        if let Some(id) = entry.target_id.clone().filter(|id| is_thing && !self.known.ids.contains(id)) {
            self.known.ids.push(id);
        }
        if self.is_account(entry) {
            self.learn_addresses(entry);
        }
    }

    /// An address that a stranger gave the account, which it made for itself, is the person's once that was proved: anybody may register
    /// with the address of somebody else.
    fn learn_addresses(&mut self, entry: &AuditEntry) {
        let parts = || [&entry.payload, &entry.facts].into_iter().flatten();
        let said = |state: &str, field: &str| parts().find_map(|part| part.0.get(state)?.get(field));
        let email =
            |state| said(state, "email").and_then(Json::as_str).map(|email| Claim::canonical(Claim::EMAIL, email));
        let is_proved = said("after", "email_verified") == Some(&Json::Bool(true));
        // The application vouches for what it gives; others could name somebody else's, to have what names that gone.
        let is_of_host = entry.actor == "system";
        let is_made = parts().all(|part| part.0.get("before").is_none_or(Json::is_null));
        if let Some(former) = email("before").filter(|former| !self.known.claimed.contains(former)) {
            let was_proved = said("before", "email_verified") == Some(&Json::Bool(true));
            self.know(former, entry.at, Some(entry.at).filter(|_| !(was_proved || is_of_host)));
        }
        match email("after") {
            Some(email) if is_made && !is_proved && entry.actor == "anonymous" => self.known.claimed.push(email),
            Some(email) => {
                self.known.claimed.clear();
                self.know(email, self.begun_at, Some(entry.at).filter(|_| !(is_proved || is_of_host)));
            }
            None if is_proved => {
                for email in std::mem::take(&mut self.known.claimed) {
                    self.know(email, self.begun_at, None);
                }
                // The one that it has now.
                let now = self.known.emails.iter_mut().filter(|former| former.until == self.begun_at);
                now.for_each(|former| former.since = None);
            }
            None => {}
        }
    }

    fn know(&mut self, email: String, until: Time, since: Option<Time>) {
        match self.known.emails.iter_mut().find(|former| former.email == email) {
            Some(former) => {
                former.until = until;
                former.since = former.since.filter(|_| since.is_some());
            }
            None => self.known.emails.push(FormerEmail { email, until, since }),
        }
    }

    /// Takes from an entry that is what was written what is about the person; which parts. Any other stays as it is, for whoever verifies
    /// the log.
    pub(in crate::operations) fn take_from(&self, entry: &mut AuditEntry, keys: &AuditKeys) -> Vec<EntryPart> {
        let parts = self.parts(entry);
        if parts.is_empty() || !is_as_written(entry, keys) {
            return Vec::new();
        }
        for part in &parts {
            match part {
                EntryPart::Payload => (entry.payload, entry.salt) = (None, None),
                EntryPart::Origin => (entry.origin, entry.origin_salt) = (None, None),
            }
        }
        entry.version += 1;
        parts
    }

    /// The parts of an entry that are about the person, and not gone yet.
    fn parts(&self, entry: &AuditEntry) -> Vec<EntryPart> {
        let is_about = self.is_about(entry);
        let is_from = entry.actor == self.id || is_about && entry.actor == "anonymous";
        // The first format had all in the payload.
        let says_from_where = entry.key_id.is_none() && is_from;
        let is_personal = |payload: &Json| {
            // What is said of another account is that one's, also where both had the same address at some time.
            let is_named = || !is_of_an_account(entry) && self.is_named(payload, entry.at);
            has_fields(payload) && (is_about || says_from_where || is_named())
        };
        let payload = entry.payload.as_ref().filter(|payload| is_personal(&payload.0)).map(|_| EntryPart::Payload);
        let origin = entry.origin.as_ref().filter(|_| is_from).map(|_| EntryPart::Origin);
        payload.into_iter().chain(origin).collect()
    }

    /// Whether it tells of the account, or of something that was its own.
    fn is_about(&self, entry: &AuditEntry) -> bool {
        let is_known = |id: &String| self.known.ids.contains(id) || id.split('/').any(|part| part == self.id);
        let is_its_own = || entry.target_id.as_ref().is_some_and(is_known) || self.is_owner(entry);
        self.is_account(entry) || self.is_of_kind(entry) && is_its_own()
    }

    fn is_account(&self, entry: &AuditEntry) -> bool {
        is_of_an_account(entry) && entry.target_id.as_ref() == Some(&self.id)
    }

    /// Whether its target is of a kind that belongs to accounts.
    fn is_of_kind(&self, entry: &AuditEntry) -> bool {
        let Some(kind) = entry.target_type.as_deref() else { return false };
        let goes_along =
            || gone_with(User::TABLE).any(|(table, _)| table.noun.words().is_some_and(|words| words.kind == kind));
        KINDS.contains(&kind) || goes_along()
    }

    /// Whether its fields say that the target is the person's.
    fn is_owner(&self, entry: &AuditEntry) -> bool {
        let of_first_format = entry.payload.as_ref().filter(|_| entry.key_id.is_none());
        let mut states = states(entry.facts.as_ref()).chain(states(of_first_format));
        states.any(|state| {
            let is_its = |column: &str| state.get(column).and_then(Json::as_str) == Some(&self.id);
            let mut columns = gone_with(User::TABLE).map(|(table, column)| table.columns[column].name);
            columns.any(is_its)
        })
    }

    /// Whether a text somewhere in it names one of the addresses.
    fn is_named(&self, json: &Json, at: Time) -> bool {
        match json {
            Json::String(text) => self.is_in(text, at),
            Json::Array(items) => items.iter().any(|item| self.is_named(item, at)),
            Json::Object(fields) => fields.iter().any(|(name, field)| self.is_in(name, at) || self.is_named(field, at)),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }

    fn is_in(&self, text: &str, at: Time) -> bool {
        let words = text.split(|end: char| end.is_whitespace() || ",;:()<>\"".contains(end));
        let words = words.filter(|word| word.contains('@'));
        words.map(|word| word.trim_matches(|end: char| !end.is_alphanumeric())).any(|word| self.has(word, at))
    }
}

/// The fields before and after.
fn states(part: Option<&Document<Json>>) -> impl Iterator<Item = &Json> {
    ["before", "after"].into_iter().filter_map(move |state| part?.0.get(state))
}

fn is_of_an_account(entry: &AuditEntry) -> bool {
    entry.target_type.as_deref() == Some("user")
}

fn has_fields(payload: &Json) -> bool {
    payload.as_object().is_some_and(|fields| !fields.is_empty())
}
