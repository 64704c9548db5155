//! A storage written in Python, below the memory storage.

use std::sync::Arc;

use async_trait::async_trait;
use pyo3::prelude::*;
use rolekeep::{
    Error, Reason, Result,
    storage::{Batch, Loaded, Persisted, Persister},
};
use tokio::sync::Mutex;

use crate::{errors, host, process};

/// Speaks with `rolekeep._persister.Host`, which takes and gives JSON text.
pub struct Host {
    host: Arc<Py<PyAny>>,
    is_shared: bool,
    /// Held by a call until it ends: who waits for it may go away before.
    turn: Arc<Mutex<()>>,
}

impl Host {
    pub fn new(py: Python<'_>, host: &Py<PyAny>) -> Result<Self> {
        let is_shared = host.call_method0(py, "is_shared").and_then(|answer| answer.extract(py));
        let is_shared = is_shared.map_err(|exception| errors::of_host(py, &exception))?;
        Ok(Self { host: Arc::new(host.clone_ref(py)), is_shared, turn: Arc::default() })
    }

    async fn ask(&self, method: &'static str, argument: String) -> Result<String> {
        let turn = self.turn.clone().lock_owned().await;
        match host::ask(&self.host, method, argument, turn).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(exception)) => {
                Err(process::attach(|py| errors::of_host(py, &exception)).unwrap_or_else(errors::ended))
            }
            None => Err(errors::ended()),
        }
    }
}

#[async_trait]
impl Persister for Host {
    async fn load(&self, since: u64) -> Result<Loaded> {
        let answer = self.ask("load", since.to_string()).await?;
        serde_json::from_str(&answer).map_err(|problem| {
            Error::new(Reason::Corrupt, format!("the persister's load answered otherwise: {problem}"))
        })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let batch = serde_json::to_string(batch)
            .map_err(|_| Error::new(Reason::Internal, "a batch cannot be written as JSON"))?;
        let answer = self.ask("persist", batch).await?;
        serde_json::from_str(&answer).map_err(|_| {
            Error::new(Reason::StorageUnavailable, "the persister's persist answers \"done\" or \"stale\"")
        })
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        let ids =
            serde_json::to_string(ids).map_err(|_| Error::new(Reason::Internal, "ids cannot be written as JSON"))?;
        self.ask("forget", ids).await.map(drop)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn close(&self) -> Result<()> {
        self.ask("close", String::new()).await.map(drop)
    }
}
