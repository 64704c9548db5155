//! What a scenario's store mails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Result,
    notices::{Delivery, Notice, Notifier},
};
use serde_json::Value as Json;

/// Keeps notices until a step takes them.
#[derive(Clone, Default)]
pub struct Mails(Arc<Mutex<Vec<Json>>>);

#[async_trait]
impl Notifier for Mails {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        self.0.lock().unwrap().push(serde_json::to_value(notice).unwrap());
        Ok(Delivery::Sent)
    }
}

impl Mails {
    /// The next notice of a kind to an address; waits for it.
    pub async fn take(&self, kind: &str, to: &str) -> Json {
        for _ in 0..2_000 {
            let found = {
                let mut kept = self.0.lock().unwrap();
                let at = kept.iter().position(|notice| notice["kind"] == kind && notice["address"] == to);
                at.map(|at| kept.remove(at))
            };
            if let Some(notice) = found {
                return notice;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {kind} was mailed to {to}; there are {:?}", self.0.lock().unwrap());
    }
}
