//! Refused operations in the audit log (AUD-1): written apart from the operation, so that the answer is never another,
//! and few enough that asking in vain fills no disk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, Who, WhoKind, steps::Entry};
use crate::{
    audit_chain::{AuditDraft, AuditPayload},
    config::AuditDenials,
    model::{
        api_key::ApiKey,
        error::{Error, Reason},
        id::{ChangeSetId, UserId},
    },
    operations::{actor::RequestContext, api_keys::Refused, plan::Plan, target::TargetRow},
    storage::ChangeSet,
};

/// What the audit log calls a refused operation.
const ACTION: &str = "access.denied";
/// Of one caller and operation one is written in this time; the others are counted.
const EACH: Duration = Duration::from_secs(60);
/// Of a whole instance so many are written at once, and then one for each interval.
const AT_ONCE: u32 = 50;
const INTERVAL: Duration = Duration::from_secs(1);
/// So many callers and operations are told apart.
const TOLD_APART: usize = 10_000;

/// What was to be done something to: its type and id.
type Target = Option<(&'static str, String)>;
/// Who asked, and as whom, where that is another user.
type Asked = (String, Option<UserId>);
/// The address and program of who asked.
type Origin = (Option<String>, Option<String>);

/// A refusal that is being found out.
#[derive(Default)]
pub(super) struct Refusal {
    /// What the operation was to be done to.
    target: Target,
    /// The caller hears that it is not there, as it may not know that it is.
    is_hidden: bool,
}

impl Refusal {
    /// This is what the operation would be done to.
    pub(super) fn of(&mut self, target: &TargetRow) {
        self.target = Some((target.kind, target.id()));
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
    /// When the next one of the store would come if all were evenly spread.
    arrival: Duration,
    /// Of those that are not told apart.
    unsaid: u64,
    each: HashMap<(String, &'static str), Count>,
}

struct Count {
    written_at: Duration,
    unsaid: u64,
}

/// How many more there were: of the same caller and operation, and of others.
struct More {
    alike: u64,
    others: u64,
}

impl Denials {
    /// Counts a refusal; where it is to be written, how many others it speaks for.
    fn count(&self, asker: String, operation: &'static str, now: Duration) -> Option<More> {
        let counts = &mut *self.counts();
        counts.make_room(now);
        let has_room = counts.each.len() < TOLD_APART;
        let key = (asker, operation);
        let known = counts.each.get(&key);
        let may_come = counts.arrival.saturating_sub(now) <= INTERVAL * (AT_ONCE - 1);
        let is_written = may_come && has_room && known.is_none_or(|count| now.saturating_sub(count.written_at) >= EACH);
        if is_written {
            counts.arrival = counts.arrival.max(now) + INTERVAL;
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
        let each: u64 = counts.each.drain().map(|(_, count)| count.unsaid).sum();
        each + std::mem::take(&mut counts.unsaid)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
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
    format!("further denials, only counted: {count}")
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
        let asker = match &who.kind {
            WhoKind::System => "system".to_owned(),
            WhoKind::Anonymous => "anonymous".to_owned(),
            WhoKind::User { id, .. } => who.kind.asker().unwrap_or(*id).to_string(),
        };
        let Some(more) = self.denials.count(asker.clone(), operation.name, self.services.env.elapsed()) else { return };
        let detail = format!("{}: {}", operation.name, error.reason());
        let origin = (who.request.ip.clone(), who.request.user_agent.clone());
        self.write_denial((asker, who.kind.on_behalf_of()), (refusal.target, origin), detail, &more);
    }

    /// Tells the audit log why somebody could not use an API key, as the answer does not: always, like failed sign-ins, and as seldom
    /// as other refusals.
    pub(super) fn tell_of_key(self: &Arc<Self>, key: &ApiKey, request: &RequestContext, why: Refused) {
        let told_apart = format!("{} {why}", key.id);
        let Some(more) = self.denials.count(told_apart, "api_keys", self.services.env.elapsed()) else { return };
        let (target, origin) = (("api_key", key.id.to_string()), (request.ip.clone(), request.user_agent.clone()));
        let asker = (key.user_id.to_string(), None);
        self.write_denial(asker, (Some(target), origin), format!("API key: {why}"), &more);
    }

    fn write_denial(self: &Arc<Self>, actor: Asked, about: (Target, Origin), mut detail: String, more: &More) {
        if more.alike > 0 {
            detail += &format!("; {} more of these since the last entry", more.alike);
        }
        if more.others > 0 {
            detail += &format!("; {}", further(more.others));
        }
        self.wait_for_denial(actor, about, detail, 1 + more.alike + more.others);
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
        self.wait_for_denial(("system".to_owned(), None), (None, (None, None)), further(others), others);
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
            self.denials.counts().unsaid += counts.iter().sum::<u64>();
        }
    }

    /// Has an entry written with the next ones.
    fn wait_for_denial(
        &self,
        (actor, on_behalf_of): Asked,
        (target, from): (Target, Origin),
        detail: String,
        speaks_for: u64,
    ) {
        let (env, now) = (&self.services.env, self.services.now());
        let (target_type, target_id) = target.map(|(kind, id)| (kind.to_owned(), id)).unzip();
        let payload = AuditPayload {
            detail: Some(detail),
            ip: from.0,
            user_agent: from.1,
            on_behalf_of,
            ..AuditPayload::default()
        };
        let action = ACTION.to_owned();
        let mut counts = self.denials.counts();
        match (env.new_id(), env.random()) {
            (Ok(id), Ok(salt)) => {
                let entry = AuditDraft { id, at: now, action, actor, target_type, target_id, payload, salt };
                counts.waiting.push((entry, speaks_for));
            }
            _ => counts.unsaid += speaks_for,
        }
    }
}
