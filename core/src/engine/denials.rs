//! Refused operations in the audit log (AUD-1), and refused tries to sign in or to prove something that no entry of their own tells
//! of (V16.3.1): written apart from the operation, so that the answer is never another, and few enough that asking in vain fills no
//! disk.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, Who, WhoKind, steps::Entry};
use crate::{
    audit_chain::{AuditDraft, AuditFacts, AuditOrigin, AuditPayload, AuditSalts},
    config::AuditDenials,
    model::{
        api_key::ApiKey,
        error::{Error, Reason},
        id::{ChangeSetId, SessionId, UserId},
    },
    operations::{actor::RequestContext, api_keys::KeyRefusal, limits::network, plan::Plan, target::TargetRow},
    storage::ChangeSet,
};

/// What the audit log calls a refused operation.
const ACTION: &str = "access.denied";
/// Of one caller and operation one is written in this time; the others are counted.
const EACH: Duration = Duration::from_secs(60);
/// So many callers and operations are told apart.
const TOLD_APART: usize = 10_000;

/// What was to be done something to: its type and id.
type Target = Option<(&'static str, String)>;
/// Who asked.
pub(super) struct Asker {
    actor: String,
    /// As whom, where that is another user.
    on_behalf_of: Option<UserId>,
    session: Option<SessionId>,
}

impl Asker {
    /// Who came by no session.
    pub(super) const fn of(actor: String) -> Self {
        Self { actor, on_behalf_of: None, session: None }
    }

    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    pub(super) fn of_who(actor: String, who: &Who) -> Self {
        Self { actor, on_behalf_of: who.kind.on_behalf_of(), session: who.kind.session() }
    }
}

/// What an entry says.
pub(super) struct Told {
    pub(super) action: &'static str,
    pub(super) asker: Asker,
    /// Its type, and its id where it has one.
    pub(super) target: Option<(String, Option<String>)>,
    pub(super) from: AuditOrigin,
    pub(super) facts: AuditFacts,
    pub(super) detail: String,
}

impl Told {
    /// A refusal of which nothing else is known.
    pub(super) fn by(asker: Asker) -> Self {
        let (from, facts, detail) = (AuditOrigin::default(), AuditFacts::default(), String::new());
        Self { action: ACTION, asker, target: None, from, facts, detail }
    }
}

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

/// Of whom entries crowd out each other's: whoever has no account must crowd out nothing that is told of those who have one.
#[derive(Clone, Copy)]
pub(super) enum Crowd {
    Users,
    Strangers,
    /// What the application asks of the rules, where only what they refuse is told.
    DeniedDecisions,
    /// The same where all is told.
    Decisions,
}

impl Crowd {
    /// So many entries are written at once, and then one for each interval, by an instance.
    const fn limits(self) -> (u32, Duration) {
        match self {
            Crowd::Users | Crowd::Strangers | Crowd::DeniedDecisions => (50, Duration::from_secs(1)),
            Crowd::Decisions => (1_000, Duration::from_millis(10)),
        }
    }
}

impl Refusal {
    /// This is what the operation would be done to.
    pub(super) fn of(&mut self, target: &TargetRow) {
        self.target = Some((target.kind, target.id()));
    }

    /// The caller is known.
    pub(super) fn let_in(&mut self) {
        self.is_let_in = true;
    }

    /// What the plan refuses is committed with what it says of that.
    pub(super) fn told(&mut self) {
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

/// The refusals that are to be written, and how many of them not one by one.
#[derive(Default)]
pub(super) struct Denials {
    counts: Mutex<Counts>,
    /// Held by who writes.
    writing: async_lock::Mutex<()>,
}

#[derive(Default)]
struct Counts {
    /// To be written, in this order, and how many refusals each speaks for.
    waiting: Vec<(AuditDraft, u64)>,
    users: CrowdCounts,
    strangers: CrowdCounts,
    decisions: CrowdCounts,
}

#[derive(Default)]
struct CrowdCounts {
    /// When the next one of the store would come if all were evenly spread.
    arrival: Duration,
    /// Of those that are not told apart.
    unsaid: u64,
    each: HashMap<(String, Cow<'static, str>), Count>,
}

struct Count {
    written_at: Duration,
    unsaid: u64,
}

/// How many more there were: of the same caller and operation, and of others.
pub(super) struct More {
    alike: u64,
    others: u64,
}

impl Denials {
    /// Counts a refusal; where it is to be written, how many others it speaks for.
    pub(super) fn count(
        &self,
        crowd: Crowd,
        asker: String,
        operation: impl Into<Cow<'static, str>>,
        now: Duration,
    ) -> Option<More> {
        let all = &mut *self.counts();
        let counts = match crowd {
            Crowd::Users => &mut all.users,
            Crowd::Strangers => &mut all.strangers,
            Crowd::DeniedDecisions | Crowd::Decisions => &mut all.decisions,
        };
        let (at_once, interval) = crowd.limits();
        counts.make_room(now);
        let has_room = counts.each.len() < TOLD_APART;
        let key = (asker, operation.into());
        let known = counts.each.get(&key);
        let may_come = counts.arrival.saturating_sub(now) <= interval * (at_once - 1);
        let is_written = may_come && has_room && known.is_none_or(|count| now.saturating_sub(count.written_at) >= EACH);
        if is_written {
            counts.arrival = counts.arrival.max(now) + interval;
            let before = counts.each.insert(key, Count { written_at: now, unsaid: 0 });
            let alike = before.map_or(0, |count| count.unsaid);
            return Some(More { alike, others: std::mem::take(&mut counts.unsaid) });
        }
        match counts.each.get_mut(&key) {
            Some(count) => count.unsaid += 1,
            None => counts.unsaid += 1,
        }
        None
    }

    /// How many are only counted yet.
    fn rest(&self) -> u64 {
        let counts = &mut *self.counts();
        [&mut counts.users, &mut counts.strangers, &mut counts.decisions].into_iter().map(CrowdCounts::rest).sum()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CrowdCounts {
    fn rest(&mut self) -> u64 {
        let each: u64 = self.each.drain().map(|(_, count)| count.unsaid).sum();
        each + std::mem::take(&mut self.unsaid)
    }

    /// Lets go of those that would be written again anyway.
    fn make_room(&mut self, now: Duration) {
        if self.each.len() < TOLD_APART {
            return;
        }
        let unsaid = &mut self.unsaid;
        self.each.retain(|_, count| {
            let is_kept = now.saturating_sub(count.written_at) < EACH;
            *unsaid += if is_kept { 0 } else { count.unsaid };
            is_kept
        });
    }
}

fn further(count: u64) -> String {
    format!("further entries, only counted: {count}")
}

impl Engine {
    /// Tells the audit log of a refused operation, if the host wants that.
    pub(super) fn tell_of_denial(self: &Arc<Self>, who: &Who, operation: Entry, refusal: Refusal, error: &Error) {
        let is_wanted = match self.services.config.audit_denials {
            AuditDenials::Off => false,
            AuditDenials::Writes => !operation.is_read,
            AuditDenials::All => true,
        };
        if !is_wanted || !(error.reason() == Reason::Denied || refusal.is_hidden) {
            return;
        }
        self.tell_of_refused(who, operation.name, refusal.target, error);
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
        let is_try = match error.reason() {
            Reason::InvalidCredentials | Reason::InvalidToken | Reason::RateLimited | Reason::HashingQueueFull => true,
            Reason::TokenExpired | Reason::SessionEnded | Reason::AccountInactive => is_stranger,
            _ => false,
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
        let (crowd, actor) = match &who.kind {
            WhoKind::System => (Crowd::Users, "system".to_owned()),
            WhoKind::Anonymous => (Crowd::Strangers, "anonymous".to_owned()),
            WhoKind::User { id, .. } => (Crowd::Users, who.kind.asker().unwrap_or(*id).to_string()),
        };
        // Strangers are told apart by where they come from.
        let told_apart = match (crowd, who.request.origin.address) {
            (Crowd::Strangers, Some(address)) => network(address),
            _ => actor.clone(),
        };
        let Some(more) = self.denials.count(crowd, told_apart, operation, self.services.env.elapsed()) else { return };
        let detail = format!("{operation}: {}", error.reason());
        let target = target.map(|(kind, id)| (kind.to_owned(), Some(id)));
        let told = Told { target, from: who.request.audited(), detail, ..Told::by(Asker::of_who(actor, who)) };
        self.write_denial(told, &more);
    }

    /// Tells the audit log why somebody could not use an API key, as the answer does not: always, like failed sign-ins, and as seldom
    /// as other refusals.
    pub(super) fn tell_of_key(self: &Arc<Self>, key: &ApiKey, request: &RequestContext, why: KeyRefusal) {
        let told_apart = format!("{} {why}", key.id);
        let Some(more) = self.denials.count(Crowd::Users, told_apart, "api_keys", self.services.env.elapsed()) else {
            return;
        };
        let target = Some(("api_key".to_owned(), Some(key.id.to_string())));
        let detail = format!("API key: {why}");
        let told = Told { target, from: request.audited(), detail, ..Told::by(Asker::of(key.user_id.to_string())) };
        self.write_denial(told, &more);
    }

    /// Has an entry written that speaks for more.
    pub(super) fn write_denial(self: &Arc<Self>, mut told: Told, more: &More) {
        let alike = Some(more.alike).filter(|alike| *alike > 0);
        let parts = [
            Some(std::mem::take(&mut told.detail)).filter(|detail| !detail.is_empty()),
            alike.map(|alike| format!("{alike} more of these since the last entry")),
            Some(more.others).filter(|others| *others > 0).map(further),
        ];
        told.detail = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        self.wait_for_denial(told, 1 + more.alike + more.others);
        let engine = self.clone();
        // The answer is on its way, whatever becomes of this.
        self.services.env.spawn(Box::pin(async move { engine.write_denials().await }));
    }

    /// Writes what is left to be told of refusals, before the store is closed.
    pub(super) async fn tell_of_other_denials(self: &Arc<Self>) {
        self.write_denials().await;
        let others = self.denials.rest();
        if others == 0 {
            return;
        }
        let told = Told { detail: further(others), ..Told::by(Asker::of("system".to_owned())) };
        self.wait_for_denial(told, others);
        self.write_denials().await;
    }

    /// Writes the entries that wait, and returns when those that somebody else writes are written, too.
    async fn write_denials(self: &Arc<Self>) {
        let _turn = self.denials.writing.lock().await;
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        let waiting = std::mem::take(&mut self.denials.counts().waiting);
        let (audit, counts): (Vec<_>, Vec<u64>) = waiting.into_iter().unzip();
        if audit.is_empty() {
            return;
        }
        let told = ChangeSet { id, at: self.services.now(), checks: Vec::new(), writes: Vec::new(), audit };
        if self.commit(told, None).await.is_err() {
            self.denials.counts().users.unsaid += counts.iter().sum::<u64>();
        }
    }

    /// Has an entry written with the next ones.
    fn wait_for_denial(&self, told: Told, speaks_for: u64) {
        let Told { action, asker: Asker { actor, on_behalf_of, session }, target, from, facts, detail } = told;
        let (env, now) = (&self.services.env, self.services.now());
        let (target_type, target_id) = target.unzip();
        let target_id = target_id.flatten();
        let mut counts = self.denials.counts();
        match (env.new_id(), env.random(), env.random()) {
            (Ok(id), Ok(payload), Ok(origin)) => {
                let entry = AuditDraft {
                    id,
                    at: now,
                    action: action.to_owned(),
                    actor,
                    on_behalf_of,
                    session_id: session,
                    target_type,
                    target_id,
                    facts,
                    payload: AuditPayload::of_detail(Some(detail).filter(|detail| !detail.is_empty())),
                    origin: from,
                    salts: AuditSalts { payload, origin },
                    keys: self.services.audit_keys.clone(),
                };
                counts.waiting.push((entry, speaks_for));
            }
            _ => counts.users.unsaid += speaks_for,
        }
    }
}
