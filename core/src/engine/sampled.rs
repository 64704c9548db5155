//! Entries of the audit log that are written apart from what they tell of, after the answer: few enough that asking again and again fills
//! no disk. Of the others it is written how many there were.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, Who, WhoKind};
use crate::{
    audit_chain::{AuditDraft, AuditFacts, AuditOrigin, AuditPayload},
    model::id::{ChangeSetId, SessionId, UserId},
    operations::{actor::RequestContext, limits::network},
    storage::ChangeSet,
};

/// What the log calls who is not signed in.
const ANONYMOUS: &str = "anonymous";
/// Of one caller and the same one is written in this time; the others are counted.
const EACH: Duration = Duration::from_secs(60);
/// So many callers, and what they asked for, are told apart.
const TOLD_APART: usize = 10_000;
/// Where so many are, it is looked in this time which of them need not be any more.
const SORTED_EACH: Duration = Duration::from_secs(1);

/// Who asked.
pub(super) struct SampledCaller {
    actor: String,
    /// As whom, where that is another user.
    on_behalf_of: Option<UserId>,
    session: Option<SessionId>,
}

impl SampledCaller {
    /// Who came by no session.
    pub(super) const fn of(actor: String) -> Self {
        Self { actor, on_behalf_of: None, session: None }
    }

    pub(super) fn of_who(who: &Who) -> Self {
        let actor = match &who.kind {
            WhoKind::System => "system".to_owned(),
            WhoKind::Anonymous => ANONYMOUS.to_owned(),
            WhoKind::User { id, .. } => who.kind.acting_user().unwrap_or(*id).to_string(),
        };
        Self { actor, on_behalf_of: who.kind.on_behalf_of(), session: who.kind.session() }
    }

    /// By what it is told apart from others: strangers by where they come from.
    pub(super) fn told_apart(&self, request: &RequestContext) -> String {
        match request.origin.address {
            Some(address) if self.actor == ANONYMOUS => network(address),
            _ => self.actor.clone(),
        }
    }
}

/// What an entry says.
pub(super) struct SampledEntry {
    pub(super) action: &'static str,
    pub(super) caller: SampledCaller,
    /// Its type, and its id where it has one.
    pub(super) target: Option<(String, Option<String>)>,
    pub(super) from: AuditOrigin,
    pub(super) facts: AuditFacts,
    pub(super) detail: String,
}

impl SampledEntry {
    /// Of which nothing else is known.
    pub(super) fn new(action: &'static str, caller: SampledCaller) -> Self {
        let (from, facts, detail) = (AuditOrigin::default(), AuditFacts::default(), String::new());
        Self { action, caller, target: None, from, facts, detail }
    }
}

/// What shares a limit: whoever has no account must crowd out nothing that is told of those who have one.
#[derive(Clone, Copy)]
pub(super) enum Crowd {
    /// What was refused to those who have an account, and to the application.
    Users,
    /// The same of others.
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

/// The entries that are to be written, and how many there were of those that are not.
#[derive(Default)]
pub(super) struct Sampled {
    counts: Mutex<Counts>,
    /// Held by who writes.
    writing: async_lock::Mutex<()>,
}

#[derive(Default)]
struct Counts {
    /// To be written, in this order, and how many each speaks for.
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
    /// When it was last looked which need not be told apart any more.
    sorted_at: Option<Duration>,
    each: HashMap<(String, Cow<'static, str>), Count>,
}

struct Count {
    written_at: Duration,
    unsaid: u64,
}

/// How many more there were: of the same caller and the same, and of others.
pub(super) struct More {
    alike: u64,
    others: u64,
}

impl Sampled {
    /// Counts what an entry would tell; where it is to be written, how many others it speaks for.
    pub(super) fn count(
        &self,
        crowd: Crowd,
        told_apart: String,
        what: impl Into<Cow<'static, str>>,
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
        let key = (told_apart, what.into());
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
        // Seldom, as it looks at all of them.
        let is_due = self.sorted_at.is_none_or(|at| now.saturating_sub(at) >= SORTED_EACH);
        if self.each.len() < TOLD_APART || !is_due {
            return;
        }
        self.sorted_at = Some(now);
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
    /// The store itself, also of one that is joined to a transaction.
    pub(super) fn main(self: &Arc<Self>) -> &Arc<Self> {
        self.main.as_ref().unwrap_or(self)
    }

    /// Has an entry written that speaks for more.
    pub(super) fn write_sampled(self: &Arc<Self>, mut told: SampledEntry, more: &More) {
        let alike = Some(more.alike).filter(|alike| *alike > 0);
        let parts = [
            Some(std::mem::take(&mut told.detail)).filter(|detail| !detail.is_empty()),
            alike.map(|alike| format!("{alike} more of these since the last entry")),
            Some(more.others).filter(|others| *others > 0).map(further),
        ];
        told.detail = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        // Not in a transaction of the application's, where it would go with that.
        let engine = self.main().clone();
        engine.queue_sampled(told, 1 + more.alike + more.others);
        // The answer is on its way, whatever becomes of this.
        self.services.env.spawn(Box::pin(async move { engine.write_queued().await }));
    }

    /// Writes what is left to be told, before the store is closed.
    pub(super) async fn write_rest_of_sampled(self: &Arc<Self>) {
        self.write_queued().await;
        let others = self.sampled.rest();
        if others == 0 {
            return;
        }
        let told = SampledEntry {
            detail: further(others),
            ..SampledEntry::new(super::denials::ACTION, SampledCaller::of("system".to_owned()))
        };
        self.queue_sampled(told, others);
        self.write_queued().await;
    }

    /// Writes the entries that wait, and returns when those that somebody else writes are written, too.
    async fn write_queued(self: &Arc<Self>) {
        let _turn = self.sampled.writing.lock().await;
        let Ok(id) = self.services.env.new_id::<ChangeSetId>() else { return };
        let waiting = std::mem::take(&mut self.sampled.counts().waiting);
        let (audit, counts): (Vec<_>, Vec<u64>) = waiting.into_iter().unzip();
        if audit.is_empty() {
            return;
        }
        let told = ChangeSet {
            id,
            at: self.services.now(),
            checks: Vec::new(),
            writes: Vec::new(),
            audit,
            events: Vec::new(),
        };
        if self.commit(told, None).await.is_err() {
            self.sampled.counts().users.unsaid += counts.iter().sum::<u64>();
        }
    }

    /// Has an entry written with the next ones.
    fn queue_sampled(&self, told: SampledEntry, speaks_for: u64) {
        let SampledEntry {
            action,
            caller: SampledCaller { actor, on_behalf_of, session },
            target,
            from,
            facts,
            detail,
        } = told;
        let draft = self.services.audit_draft(action, actor, self.services.now());
        let mut counts = self.sampled.counts();
        let Ok(draft) = draft else {
            counts.users.unsaid += speaks_for;
            return;
        };
        let (target_type, target_id) = target.unzip();
        let payload = AuditPayload::of_detail(Some(detail).filter(|detail| !detail.is_empty()));
        let (target_id, session_id, origin) = (target_id.flatten(), session, from);
        let entry = AuditDraft { on_behalf_of, session_id, target_type, target_id, facts, payload, origin, ..draft };
        counts.waiting.push((entry, speaks_for));
    }
}
