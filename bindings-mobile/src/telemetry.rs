//! Log records and metrics.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rolekeep::ffi::logs;

use crate::{Result, error::RolekeepError, runtime::apart, types::Timestamp};

/// How much a record matters, from the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing is recorded.
    Off,
    /// A fault of the library, or of the application that embeds it.
    Error,
    /// Something that is needed does not work, or is slow.
    Warn,
    /// What the application may want to know.
    Info,
    /// Every operation.
    Debug,
}

impl From<LogLevel> for logs::LogLevel {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

impl From<logs::LogLevel> for LogLevel {
    fn from(level: logs::LogLevel) -> Self {
        match level {
            logs::LogLevel::Off => Self::Off,
            logs::LogLevel::Error => Self::Error,
            logs::LogLevel::Warn => Self::Warn,
            logs::LogLevel::Info => Self::Info,
            logs::LogLevel::Debug => Self::Debug,
        }
    }
}

/// What the library has to tell. No secret is in it, no name and no address.
#[derive(Clone, Debug, uniffi::Record)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// The logger: `rolekeep`, or `rolekeep.storage` for calls of the storage.
    pub logger: String,
    /// What happened, in words; may change between versions.
    pub message: String,
    /// When.
    pub time: Timestamp,
    /// The `operation`, the `request_id`, the id of the `user`, the `reason` of a failure, the `millis` that it took, and the like.
    pub fields: HashMap<String, String>,
}

impl From<logs::LogRecord> for LogRecord {
    fn from(record: logs::LogRecord) -> Self {
        let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self {
            level: record.level.into(),
            logger: record.logger,
            message: record.message,
            time: record.time,
            fields: record.fields.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect(),
        }
    }
}

/// What a log may throw; nobody is told of it.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum LogSinkError {
    /// The record could not be logged.
    #[error("{detail}")]
    Failed {
        /// In words.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for LogSinkError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { detail: error.reason }
    }
}

/// Where log records go: the application's own log.
#[uniffi::export(with_foreign)]
pub trait LogSink: Send + Sync + fmt::Debug {
    /// Logs a record. It is called on a thread of the library, a moment after what it tells of, one record after another, and may block. What
    /// it throws is ignored.
    fn log(&self, record: LogRecord) -> std::result::Result<(), LogSinkError>;
}

static SINK: Mutex<Option<Arc<dyn LogSink>>> = Mutex::new(None);
/// Held by who tells, so that records come one after another.
static TELLING: Mutex<()> = Mutex::new(());

/// Gives the records of all stores of this process, of this level or of more weight, to a sink, instead of to the one before. Without one
/// nothing is recorded, as at the beginning. Of records that come faster than the sink takes them the first thousand wait, and it is told how many
/// others there were.
#[uniffi::export]
pub fn log_to(level: LogLevel, sink: Option<Arc<dyn LogSink>>) -> Result<()> {
    logs::listen(wake).map_err(RolekeepError::from)?;
    logs::set_level(if sink.is_some() { level.into() } else { logs::LogLevel::Off });
    *SINK.lock().unwrap_or_else(PoisonError::into_inner) = sink;
    Ok(())
}

/// All metrics of this process, of every store in it, in the text format of Prometheus: serve it at `/metrics`, with the content type
/// `text/plain; version=0.0.4`, to whoever may know how much happens. No label is an id.
///
/// Nothing is measured before the first call, so that whoever never asks pays nothing; ask once at the start, where the first minutes are to
/// count. Synchronous checks (`can`) are not counted.
#[uniffi::export]
pub fn metrics() -> Result<String> {
    Ok(rolekeep::ffi::metrics()?)
}

fn wake() {
    apart(|| {
        let _alone = TELLING.lock().unwrap_or_else(PoisonError::into_inner);
        logs::drain(|record| {
            let sink = SINK.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Of a log that fails nobody can be told.
            let _ = sink.map(|sink| sink.log(record.into()));
        });
    });
}
