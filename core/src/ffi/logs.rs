//! Records for the loggers of other languages: the events of this library that go through `tracing`, each with the fields of the spans
//! around it. They are queued, and told by a binding when no lock is held and no operation waits: whoever is told may take its time, fail,
//! or call the library.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Debug,
    sync::{
        LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use rolekeep_macros::Word;
use serde::Serialize;
use serde_json::Value as Json;
use tracing::{
    Event, Level as TracingLevel, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record as Recorded},
    subscriber::{Interest, NoSubscriber},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
};

/// So many records wait to be told; of further ones only the number is.
const MAX_WAITING: usize = 1_000;

/// How much a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word)]
pub enum LogLevel {
    /// Nothing is recorded.
    Off,
    /// A fault of the library, or of the application that embeds it.
    Error,
    /// Something that is needed does not work, or not well.
    Warn,
    /// What the application may want to know.
    Info,
    /// Every operation.
    Debug,
}

/// A record.
#[derive(Clone, Debug, Serialize)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// The name of the logger: `rolekeep`, `rolekeep.storage`.
    pub logger: String,
    /// What happened, in words.
    pub message: String,
    /// When.
    pub time: Time,
    /// The operation, the request and the like, by name: texts and numbers.
    pub fields: BTreeMap<&'static str, Json>,
}

#[derive(Default)]
struct Queue {
    records: VecDeque<LogRecord>,
    /// How many had no place since one was told.
    lost: u64,
}

impl Queue {
    fn counted(&self) {
        WAITING.store(self.records.len() + usize::from(self.lost > 0), Ordering::SeqCst);
    }
}

/// Those that wait. A child that was forked has one of its own, as another thread may have held this one.
static QUEUE: LazyLock<ArcSwap<Mutex<Queue>>> = LazyLock::new(ArcSwap::default);
/// How many wait, for who asks often.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// The binding was told that some do, and has not come for them yet.
static IS_AWAKE: AtomicBool = AtomicBool::new(false);
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Off as u8);

/// From now on calls `wake` when records wait and [`drain`] was not called since it was, on a thread that must go on at once. Records nothing
/// until [`set_level`] says what.
///
/// # Errors
/// Where something else receives what goes through `tracing` in this process.
pub fn listen(wake: fn()) -> Result<()> {
    static LISTENS: OnceLock<bool> = OnceLock::new();
    let listens = || tracing::subscriber::set_global_default(Registry::default().with(Listener(wake))).is_ok();
    if *LISTENS.get_or_init(listens) {
        return Ok(());
    }
    Err(Error::new(Reason::Internal, "this process receives what goes through `tracing` already"))
}

/// Records what matters as much as this, or more.
pub fn set_level(level: LogLevel) {
    if LEVEL.swap(level as u8, Ordering::Relaxed) != level as u8 {
        // Each place in the code knows whether it is heard.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Whether records wait.
pub fn is_waiting() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// Tells the records that wait now. Behind them one says how many were lost. Of what is done meanwhile in the same thread nothing is recorded:
/// whoever is told, and calls the library, would be told of that without an end.
pub fn drain(tell: impl FnMut(LogRecord)) {
    IS_AWAKE.store(false, Ordering::SeqCst);
    let waiting = WAITING.load(Ordering::SeqCst);
    let nobody = tracing::Dispatch::new(NoSubscriber::default());
    tracing::dispatcher::with_default(&nobody, || std::iter::from_fn(next).take(waiting).for_each(tell));
}

fn next() -> Option<LogRecord> {
    let queue = QUEUE.load();
    let mut queue = locked(&queue);
    let record = queue.records.pop_front().or_else(|| {
        let lost = Some(std::mem::take(&mut queue.lost)).filter(|lost| *lost > 0)?;
        let message = format!("{lost} log records were lost, as they came faster than they were told");
        let (logger, fields) = (NAME.to_owned(), BTreeMap::new());
        Some(LogRecord { level: LogLevel::Warn, logger, message, time: now(), fields })
    });
    queue.counted();
    record
}

/// To be called in a child: what waits is told by its parent.
#[cfg(feature = "sqlite")]
pub fn after_fork_in_child() {
    // Left where it is: its lock may be held by a thread that is not here.
    std::mem::forget(QUEUE.swap(std::sync::Arc::default()));
    WAITING.store(0, Ordering::SeqCst);
    IS_AWAKE.store(false, Ordering::SeqCst);
}

/// What is ours begins so, and so does the name of each span of an operation.
const NAME: &str = "rolekeep";

/// Whether a place in the code is heard: events of this library, and the spans whose fields they are to have.
fn is_heard(metadata: &Metadata<'_>) -> bool {
    let level = LEVEL.load(Ordering::Relaxed);
    let is_ours = metadata.target() == NAME || metadata.target().starts_with("rolekeep::");
    let is_wanted =
        if metadata.is_span() { metadata.name() == NAME } else { of_tracing(*metadata.level()) as u8 <= level };
    level != LogLevel::Off as u8 && is_ours && is_wanted
}

const fn of_tracing(level: TracingLevel) -> LogLevel {
    match level {
        TracingLevel::ERROR => LogLevel::Error,
        TracingLevel::WARN => LogLevel::Warn,
        TracingLevel::INFO => LogLevel::Info,
        TracingLevel::DEBUG | TracingLevel::TRACE => LogLevel::Debug,
    }
}

struct Listener(fn());

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_heard(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_heard(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans are of the level info, also those of warnings.
        Some(match LEVEL.load(Ordering::Relaxed) {
            level if level == LogLevel::Off as u8 => LevelFilter::OFF,
            level if level == LogLevel::Debug as u8 => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        })
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Recorded<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            fields.0.extend(span.extensions().get::<Fields>().map(|of_span| of_span.0.clone()).unwrap_or_default());
        }
        event.record(&mut fields);
        let message = match fields.0.remove("message") {
            Some(Json::String(message)) => message,
            other => other.unwrap_or_default().to_string(),
        };
        let (level, logger) = (of_tracing(*event.metadata().level()), event.metadata().target().replace("::", "."));
        push(LogRecord { level, logger, message, time: now(), fields: fields.0 });
        if !IS_AWAKE.swap(true, Ordering::SeqCst) {
            (self.0)();
        }
    }
}

fn push(record: LogRecord) {
    let queue = QUEUE.load();
    let mut queue = locked(&queue);
    if queue.records.len() >= MAX_WAITING {
        queue.lost = queue.lost.saturating_add(1);
    } else {
        queue.records.push_back(record);
    }
    queue.counted();
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::disallowed_methods, reason = "a log tells the machine's time, whatever that of a store is")]
fn now() -> Time {
    Time::now()
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, Json>);

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").into());
    }
}
