//! Refused operations in the audit log (AUD-1), and refused tries to sign in or to prove something that no entry of their own tells
//! of (V16.3.1): written apart from the operation, so that the answer is never another, and few enough that asking in vain fills no
//! disk.

use std::sync::Arc;

use super::{
    Engine, Who, WhoKind,
    sampled::{Crowd, SampledCaller, SampledEntry},
    steps::Entry,
};
use crate::{
    config::AuditDenials,
    model::{
        api_key::ApiKey,
        error::{Code, Error, Reason},
    },
    operations::{actor::RequestContext, api_keys::KeyRefusal, plan::Plan, target::TargetRow},
};

/// What the audit log calls a refused operation.
pub(super) use crate::operations::audit::DENIED as ACTION;

/// What was to be done something to: its type and id.
type Target = Option<(String, String)>;

/// A refusal that is being found out.
#[derive(Default)]
pub(super) struct Refusal {
    /// What the operation was to be done to.
    target: Target,
    /// The caller hears that it is not there, as it may not know that it is.
    is_hidden: bool,
    /// The caller is who it says, and may ask.
    is_let_in: bool,
    /// The operation tells of it in its own commit.
    is_told: bool,
}

impl Refusal {
    /// This is what the operation would be done to.
    pub(super) fn of(&mut self, target: &TargetRow) {
        self.target = Some((target.kind.to_string(), target.id()));
    }

    /// The caller is known.
    pub(super) fn let_in(&mut self) {
        self.is_let_in = true;
    }

    /// What the plan refuses is committed with what it says of that.
    pub(super) fn mark_logged(&mut self) {
        self.is_told = true;
    }

    /// The plan found out that the caller may not see something.
    pub(super) fn of_plan(&mut self, plan: &Plan<'_>) {
        self.is_hidden |= plan.has_hidden();
    }

    /// The rules refused what was asked of the target.
    pub(super) fn hidden(&mut self, error: Error) -> Error {
        self.is_hidden = error.reason() == Reason::NotFound;
        error
    }
}

impl Engine {
    /// Tells the audit log of a refused operation, if the host wants that.
    pub(super) fn tell_of_denial(self: &Arc<Self>, who: &Who, operation: Entry, refusal: Refusal, error: &Error) {
        let is_wanted = match self.services.config.audit_denials {
            AuditDenials::Off => false,
            AuditDenials::Writes => !operation.is_read,
            AuditDenials::All => true,
        };
        if !is_wanted || !(error.code() == Code::Forbidden || refusal.is_hidden) {
            return;
        }
        self.tell_of_refused(who, operation.name, refusal.target, error);
    }

    /// Tells the audit log of a caller with a good token that is refused before it asks for anything, as from a network that is not
    /// answered: if all refusals are told, as it may only have wanted to read.
    pub(crate) fn tell_of_refused_caller(self: &Arc<Self>, who: &Who, error: &Error) {
        let is_wanted = match self.services.config.audit_denials {
            AuditDenials::Off | AuditDenials::Writes => false,
            AuditDenials::All => true,
        };
        if is_wanted && error.code() == Code::Forbidden {
            self.tell_of_refused(who, "authenticate", None, error);
        }
    }

    /// The same of what was refused of many things, the others of which were done.
    pub(super) fn tell_of_refused_ones(
        self: &Arc<Self>,
        who: &Who,
        operation: Entry,
        refused: Vec<(TargetRow, Error)>,
    ) {
        for (target, error) in refused {
            let mut refusal = Refusal::default();
            refusal.of(&target);
            let error = refusal.hidden(error);
            self.tell_of_denial(who, operation, refusal, &error);
        }
    }

    /// Tells the audit log of a try to sign in or to prove something that was not so much as looked at: a limit refused it, or what was
    /// given is not good any more, or never was. What an operation finds wrong it tells itself, always; so this is told always, too.
    pub(super) fn tell_of_try(self: &Arc<Self>, who: &Who, operation: Entry, refusal: &Refusal, error: &Error) {
        let is_stranger = matches!(who.kind, WhoKind::Anonymous);
        // Of a user it is what the operation was given, not what the user came by.
        let is_of_input = if is_stranger { !operation.is_read } else { refusal.is_let_in };
        let is_try = match (error.code(), error.reason()) {
            (Code::Unauthorized, Reason::NotSignedIn | Reason::StepNeeded | Reason::StepUpRequired) => false,
            (Code::Unauthorized, Reason::TokenExpired | Reason::SessionEnded | Reason::AccountInactive) => is_stranger,
            (Code::Unauthorized | Code::RateLimited, _) => true,
            (
                Code::Validation
                | Code::Forbidden
                | Code::NotFound
                | Code::Duplicate
                | Code::Conflict
                | Code::Unavailable
                | Code::Internal,
                _,
            ) => false,
        };
        if is_try && is_of_input && !refusal.is_told && !matches!(who.kind, WhoKind::System) {
            self.tell_of_refused(who, operation.name, None, error);
        }
    }

    /// Tells the audit log of an access token or a key that is none of ours.
    pub(crate) fn tell_of_token(self: &Arc<Self>, request: &Arc<RequestContext>, error: &Error) {
        if error.reason() == Reason::InvalidToken {
            let who = Who { kind: WhoKind::Anonymous, request: request.clone() };
            self.tell_of_refused(&who, "authenticate", None, error);
        }
    }

    /// Has an entry written of a refusal, or counts it.
    fn tell_of_refused(self: &Arc<Self>, who: &Who, operation: &'static str, target: Target, error: &Error) {
        let crowd = match who.kind {
            WhoKind::System | WhoKind::User { .. } => Crowd::Users,
            WhoKind::Anonymous => Crowd::Strangers,
        };
        let (caller, elapsed) = (SampledCaller::of_who(who), self.services.env.elapsed());
        let Some(more) = self.main().sampled.count(crowd, caller.told_apart(&who.request), operation, elapsed) else {
            return;
        };
        let detail = format!("{operation}: {}", error.reason());
        let target = target.map(|(kind, id)| (kind, Some(id)));
        let told = SampledEntry { target, from: who.request.audited(), detail, ..SampledEntry::new(ACTION, caller) };
        self.write_sampled(told, &more);
    }

    /// Tells the audit log why somebody could not use an API key, as the answer does not: always, like failed sign-ins, and as seldom
    /// as other refusals.
    pub(super) fn tell_of_key(self: &Arc<Self>, key: &ApiKey, request: &RequestContext, why: KeyRefusal) {
        let told_apart = format!("{} {why}", key.id);
        let Some(more) = self.main().sampled.count(Crowd::Users, told_apart, "api_keys", self.services.env.elapsed())
        else {
            return;
        };
        let target = Some(("api_key".to_owned(), Some(key.id.to_string())));
        let detail = format!("API key: {why}");
        let told = SampledEntry {
            target,
            from: request.audited(),
            detail,
            ..SampledEntry::new(ACTION, SampledCaller::of(key.user_id.to_string()))
        };
        self.write_sampled(told, &more);
    }
}
