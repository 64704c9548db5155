//! What the application asked of the rules, and what they answered, in the audit log (AUD-3): written apart, after the answer, and
//! few enough that asking fills no disk.

use std::sync::Arc;

use serde_json::json;

use super::{
    Engine, Who, WhoKind,
    sampled::{Crowd, SampledCaller, SampledEntry},
};
use crate::{
    audit_chain::{AuditFacts, AuditOrigin},
    config::AuditDecisions,
    model::{deferred::IS_PAGE, id::UserId},
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
        let (caller, told_apart, from) = match subject {
            Subject::User(id) => (SampledCaller::of(id.to_string()), id.to_string(), AuditOrigin::default()),
            Subject::Caller(Who { kind: WhoKind::System, .. }) => return,
            Subject::Caller(who) => {
                let caller = SampledCaller::of_who(who);
                let told_apart = caller.told_apart(&who.request);
                (caller, told_apart, who.request.audited())
            }
        };
        let target = resource.map(|resource| {
            let id = resource.id_text().filter(|id| id.len() <= LONGEST_ID);
            (resource.type_name().to_owned(), id)
        });
        let (kind, id) = target.as_ref().map_or(("", None), |(kind, id)| (kind, id.as_deref()));
        let question = format!("{is_allowed} {permission} {kind} {}", id.unwrap_or_default());
        let Some(more) = self.main().sampled.count(crowd, told_apart, question, self.services.env.elapsed()) else {
            return;
        };
        let action = if is_allowed { "decisions.allowed" } else { "decisions.denied" };
        let facts = AuditFacts { before: None, after: Some(json!({ "permission": permission })) };
        self.write_sampled(SampledEntry { target, from, facts, ..SampledEntry::new(action, caller) }, &more);
    }
}
