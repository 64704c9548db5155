//! Notices and links: what was committed to be told is told, by a notifier that is slow, fails and hangs, and a link is
//! good once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rolekeep::{
    Error, NoticeId, Reason, Result, Secret, UserId,
    internals::{notice::PendingNotice, record::Record},
    notices::{Delivery, Notice, NoticeKind, Notifier},
    passwords::{ForgotPassword, ResetPassword},
    storage::ChangeSet,
};

use crate::{deeds::Stage, world::World};

/// One notifier of all instances.
pub struct Post {
    pub world: Arc<World>,
    pub sent: Arc<Sent>,
}

/// What it sent.
#[derive(Default)]
pub struct Sent {
    ids: Mutex<BTreeSet<NoticeId>>,
    tokens: Mutex<Vec<(UserId, Secret)>>,
    used: Mutex<BTreeSet<String>>,
}

impl Sent {
    fn has(&self, id: NoticeId) -> bool {
        self.ids.lock().unwrap().contains(&id)
    }
}

#[async_trait]
impl Notifier for Post {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        self.world.dawdle().await;
        if self.world.breaks() {
            self.world.tell(|| format!("{} is not sent", notice.kind));
            match self.world.below(4) {
                0 => self.world.pause(40_000_000).await,
                1 => panic!("the notifier panics"),
                2 => return Ok(Delivery::RetryAfter(std::time::Duration::from_secs(3))),
                _ => return Err(Error::new(Reason::StorageUnavailable, "there is no mail server")),
            }
        }
        self.world.tell(|| format!("{} is sent", notice.kind));
        self.sent.ids.lock().unwrap().insert(notice.id);
        if let (NoticeKind::PasswordReset, Some(user), Some(token)) = (notice.kind, notice.user_id, &notice.token) {
            self.sent.tokens.lock().unwrap().push((user, token.clone()));
        }
        Ok(Delivery::Sent)
    }
}

/// The notices of a history.
#[derive(Default)]
pub struct Told {
    waiting: BTreeMap<NoticeId, bool>,
}

impl Told {
    /// Which notice goes with this commit that nobody was told of.
    pub fn record(&mut self, change_set: &ChangeSet, sent: &Sent) -> Option<String> {
        let is_told = change_set.audit.iter().any(|entry| entry.action == "notices.failed");
        for write in change_set.writes.iter().filter(|write| write.table.name == PendingNotice::TABLE.name) {
            let id = NoticeId(write.key.0[0].as_id().unwrap());
            if let Some(row) = &write.row {
                self.waiting.insert(id, PendingNotice::from_row(row.clone()).unwrap().user_id.is_some());
            } else if self.waiting.remove(&id) == Some(true) && !is_told && !sent.has(id) {
                return Some(format!("the notice {id} went, and was never sent"));
            }
        }
        None
    }
}

impl Stage {
    /// Somebody asks for a link, or uses one.
    pub async fn use_links(&self, at: usize, password: &'static str) {
        let (world, instance) = (&self.world, &self.instances[at]);
        let (task, begin) = (world.current(), self.newest());
        let anonymous = instance.um.anonymous(Default::default());
        let tokens = self.sent.tokens.lock().unwrap().clone();
        if tokens.is_empty() || world.chance(40) {
            let number = world.below(self.users.len());
            world.tell(|| format!("instance {at}: {} forgot its password", self.users[number]));
            let forgot = ForgotPassword::new(format!("user{number}@example.org"));
            if let Err(error) = anonymous.passwords().forgot(forgot).await {
                self.require_known("forgot", &error);
            }
            return;
        }
        let (user, token) = world.pick(&tokens[..]).clone();
        world.tell(|| format!("instance {at}: {user} resets its password to {password}"));
        let reset = anonymous.passwords().reset(ResetPassword::new(token.clone(), password)).await;
        if reset.is_ok() && !self.sent.used.lock().unwrap().insert(token.expose().to_owned()) {
            self.break_law(format!("a link of {user} was good twice"));
        }
        self.require_changed("reset", task, begin, user, password, 0, reset.map(drop));
    }

    /// What is due is sent once all is quiet.
    pub async fn require_sent(&self) {
        for _ in 0..40 {
            if self.history.lock().unwrap().due(self.world.now()) == 0 {
                return;
            }
            self.world.pause(5_000_000).await;
        }
        self.break_law("a notice that is due is not sent".to_owned());
    }
}
