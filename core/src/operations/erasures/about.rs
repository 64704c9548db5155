//! What entries of the audit log say of a person, pure.

use serde_json::Value as Json;

use crate::{
    audit_chain::{AuditEntry, erased::Part},
    model::{
        erasure::Erasure,
        invitation::Invitation,
        record::{Document, Record},
        registry::Claim,
        user::User,
    },
    operations::plan::gone_with,
};

/// Which parts of entries are personal data of somebody.
pub(in crate::operations) struct Person {
    id: String,
    /// In the form in which addresses are compared.
    emails: Vec<String>,
}

impl Person {
    /// Who is erased.
    pub(super) fn of(erasure: &Erasure) -> Self {
        let mut person = Self { id: erasure.user_id.to_string(), emails: Vec::new() };
        erasure.emails.iter().flat_map(|emails| &emails.0).for_each(|email| person.know(email));
        person
    }

    /// The addresses that are known.
    pub(super) fn emails(&self) -> Vec<String> {
        self.emails.clone()
    }

    /// Whether an address is the person's.
    pub(super) fn has(&self, email: &str) -> bool {
        self.emails.contains(&Claim::canonical(Claim::EMAIL, email))
    }

    /// Learns the addresses that an entry about the account names: another one may name them, too.
    pub(super) fn learn(&mut self, entry: &AuditEntry) {
        if !self.is_account(entry) {
            return;
        }
        let payload = entry.payload.as_ref().map(|payload| &payload.0);
        let fields = ["before", "after"].into_iter().filter_map(|state| payload?.get(state)?.get("email")?.as_str());
        fields.for_each(|email| self.know(email));
    }

    /// Takes from an entry what is about the person; which parts.
    pub(in crate::operations) fn take_from(&self, entry: &mut AuditEntry) -> Vec<Part> {
        let parts = self.parts(entry);
        for part in &parts {
            match part {
                Part::Payload => (entry.payload, entry.salt) = (None, None),
                Part::Origin => (entry.origin, entry.origin_salt) = (None, None),
            }
        }
        entry.version += i64::from(!parts.is_empty());
        parts
    }

    /// Whether an invitation was the person's.
    pub(super) fn was_invited(&self, invitation: &Invitation) -> bool {
        invitation.accepted_by.is_some_and(|user| user.to_string() == self.id) || self.has(&invitation.email)
    }

    /// The parts of an entry that are about the person, and not gone yet.
    fn parts(&self, entry: &AuditEntry) -> Vec<Part> {
        let is_about = self.is_about(entry);
        let is_from = entry.actor == self.id || is_about && entry.actor == "anonymous";
        let says_from_where = |payload: &Json| entry.key_id.is_none() && is_from && has_fields(payload);
        let is_personal = |payload: &Document<Json>| {
            // What is said of another account is that one's, also where both had the same address at some time.
            let is_named = || !is_of_an_account(entry) && self.is_named(&payload.0);
            has_fields(&payload.0) && (is_about || is_named()) || says_from_where(&payload.0)
        };
        let payload = entry.payload.as_ref().filter(|payload| is_personal(payload)).map(|_| Part::Payload);
        let origin = entry.origin.as_ref().filter(|_| is_from).map(|_| Part::Origin);
        payload.into_iter().chain(origin).collect()
    }

    fn know(&mut self, email: &str) {
        let email = Claim::canonical(Claim::EMAIL, email);
        if !self.emails.contains(&email) {
            self.emails.push(email);
        }
    }

    fn is_account(&self, entry: &AuditEntry) -> bool {
        is_of_an_account(entry) && entry.target_id.as_ref() == Some(&self.id)
    }

    /// Whether it tells of the account, or of a row that goes with it. Nothing else has the id of one by chance.
    fn is_about(&self, entry: &AuditEntry) -> bool {
        let kind = entry.target_type.as_deref();
        let goes_along = || gone_with(User::TABLE).any(|table| table.noun.words().map(|words| words.kind) == kind);
        let names = |text: Option<String>| text.is_some_and(|text| text.contains(&self.id));
        let names_it = || names(entry.target_id.clone()) || names(entry.facts.as_ref().map(Document::text));
        self.is_account(entry) || kind.is_some() && goes_along() && names_it()
    }

    /// Whether a text somewhere in it names one of the addresses.
    fn is_named(&self, json: &Json) -> bool {
        match json {
            Json::String(text) => {
                let words = text.split(|end: char| end.is_whitespace() || ",;:()<>\"".contains(end));
                words.filter(|word| word.contains('@')).any(|word| self.has(word))
            }
            Json::Array(items) => items.iter().any(|item| self.is_named(item)),
            Json::Object(fields) => fields.values().any(|field| self.is_named(field)),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }
}

fn is_of_an_account(entry: &AuditEntry) -> bool {
    entry.target_type.as_deref() == Some("user")
}

fn has_fields(payload: &Json) -> bool {
    payload.as_object().is_some_and(|fields| !fields.is_empty())
}
