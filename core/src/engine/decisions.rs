//! What the application asked of the rules, and what they answered, in the audit log (AUD-3): written apart, after the answer, and
//! few enough that asking fills no disk.

use std::sync::Arc;

use serde_json::json;

use super::{
    Engine, Who, WhoKind,
    denials::{Asker, Crowd, Told},
};
use crate::{
    audit_chain::{AuditFacts, AuditOrigin},
    config::AuditDecisions,
    model::{deferred::IS_PAGE, id::UserId},
    operations::limits::network,
    rules::Resource,
};

/// A longer id of a resource is left out, in bytes.
const LONGEST_ID: usize = 255;

/// About whom the rules were asked.
pub(crate) enum Subject<'w> {
    /// The caller.
    Caller(&'w Who),
    /// Any user.
    User(UserId),
}

impl Engine {
    /// Whether the audit log is told of such answers; in a page, whose user has the storage, never.
    #[inline]
    pub(crate) fn tells_of_decisions(&self) -> bool {
        !IS_PAGE && self.services.config.audit_decisions != AuditDecisions::Off
    }

    /// Tells the audit log of an answer, if the host wants that. The application itself may do everything, so the rules are not asked.
    #[cold]
    pub(crate) fn tell_of_decision(
        self: &Arc<Self>,
        subject: &Subject<'_>,
        permission: &str,
        resource: Option<&Resource<'_>>,
        is_allowed: bool,
    ) {
        let crowd = match (self.services.config.audit_decisions, is_allowed) {
            (AuditDecisions::Off, _) | (AuditDecisions::Denials, true) => return,
            (AuditDecisions::Denials, false) => Crowd::DeniedDecisions,
            (AuditDecisions::All, _) => Crowd::Decisions,
        };
        let (asker, from) = match subject {
            Subject::User(id) => (Asker::of(id.to_string()), AuditOrigin::default()),
            Subject::Caller(who) => match &who.kind {
                WhoKind::System => return,
                WhoKind::Anonymous => (Asker::of("anonymous".to_owned()), who.request.audited()),
                WhoKind::User { id, .. } => {
                    let actor = who.kind.asker().unwrap_or(*id).to_string();
                    (Asker::of_who(actor, who), who.request.audited())
                }
            },
        };
        let target = resource.map(|resource| {
            let id = resource.id_text().filter(|id| id.len() <= LONGEST_ID);
            (resource.type_name().to_owned(), id)
        });
        // Strangers are told apart by where they come from.
        let told_apart = match subject {
            Subject::Caller(who) => {
                who.request.origin.address.filter(|_| matches!(who.kind, WhoKind::Anonymous)).map(network)
            }
            Subject::User(_) => None,
        };
        let told_apart = told_apart.unwrap_or_else(|| asker.actor().to_owned());
        let (kind, id) = target.as_ref().map_or(("", None), |(kind, id)| (kind, id.as_deref()));
        let question = format!("{is_allowed} {permission} {kind} {}", id.unwrap_or_default());
        let Some(more) = self.denials.count(crowd, told_apart, question, self.services.env.elapsed()) else { return };
        let action = if is_allowed { "decisions.allowed" } else { "decisions.denied" };
        let facts = AuditFacts { before: None, after: Some(json!({ "permission": permission })) };
        self.write_denial(Told { action, target, from, facts, ..Told::by(asker) }, &more);
    }
}
