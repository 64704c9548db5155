//! What a store mails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Error, Reason, Result,
    notices::{Delivery, Notice, Notifier},
};

/// Keeps notices until somebody takes them.
#[derive(Clone, Default)]
pub struct Mails {
    kept: Arc<Mutex<Vec<Notice>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// What a notifier does with a notice.
pub enum Answer {
    Says(Delivery),
    Fails,
    Panics,
    Hangs,
}

#[async_trait]
impl Notifier for Mails {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        self.kept.lock().unwrap().push(notice.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            None => Ok(Delivery::Sent),
            Some(Answer::Says(delivery)) => Ok(delivery),
            Some(Answer::Fails) => Err(Error::new(Reason::StorageUnavailable, "there is no mail server")),
            Some(Answer::Panics) => panic!("the notifier panics"),
            Some(Answer::Hangs) => std::future::pending().await,
        }
    }
}

impl Mails {
    /// The next notice of a kind to an address; waits for it.
    pub async fn take(&self, kind: &str, to: &str) -> Notice {
        for _ in 0..2_000 {
            if let Some(notice) = self.taken(|notice| notice.kind.as_str() == kind && notice.address == to) {
                return notice;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {kind} was mailed to {to}; there are {:?}", self.kept.lock().unwrap());
    }

    fn taken(&self, is_wanted: impl Fn(&Notice) -> bool) -> Option<Notice> {
        let mut kept = self.kept.lock().unwrap();
        let at = kept.iter().position(is_wanted)?;
        Some(kept.remove(at))
    }

    /// Whether there is one of a kind that nobody took.
    pub fn has(&self, kind: &str) -> bool {
        self.kept.lock().unwrap().iter().any(|notice| notice.kind.as_str() == kind)
    }

    /// How many notices nobody took.
    pub fn left(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    /// What comes of the next notices.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }
}
