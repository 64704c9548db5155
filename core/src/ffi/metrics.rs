//! The metrics as text, for languages that have no recorder of their own.

use std::sync::{
    Arc, LazyLock, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{
    metrics::describe,
    model::error::{Error, Reason, Result},
};

/// In seconds, from a call that memory answers to one that somebody gives up.
const BUCKETS: [f64; 15] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// After so many times they are put into buckets, where nobody has asked for the text until then: until that they are kept one by one.
const TIMES_KEPT: u64 = 10_000;

/// What counts, and writes it down.
struct Counting {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    times: AtomicU64,
}

impl Counting {
    fn start() -> Result<Arc<Self>> {
        let buckets = PrometheusBuilder::new().set_buckets(&BUCKETS);
        let buckets = buckets.map_err(|problem| Error::new(Reason::Internal, format!("the metrics: {problem}")))?;
        let recorder = buckets.build_recorder();
        Ok(Arc::new(Self { handle: recorder.handle(), recorder, times: AtomicU64::new(0) }))
    }
}

/// That of this process. A child that was forked counts for itself.
static COUNTING: LazyLock<ArcSwap<Option<Arc<Counting>>>> = LazyLock::new(ArcSwap::default);

/// All metrics of this process, in the text format of Prometheus (version 0.0.4). Nothing is counted before this is called first.
///
/// # Errors
/// Where this process has another recorder.
pub fn metrics() -> Result<String> {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    if !*IS_OURS.get_or_init(|| metrics::set_global_recorder(Current).is_ok()) {
        return Err(Error::new(Reason::Internal, "this process has another recorder of metrics"));
    }
    if let Some(counting) = &**COUNTING.load() {
        return Ok(counting.handle.render());
    }
    let counting = Counting::start()?;
    // Of two who are first at once, one counts.
    COUNTING.rcu(|current| Arc::new(Some((**current).as_ref().unwrap_or(&counting).clone())));
    describe();
    Ok((**COUNTING.load()).as_ref().unwrap_or(&counting).handle.render())
}

/// To be called in a child.
#[cfg(feature = "sqlite")]
pub fn after_fork_in_child() {
    if COUNTING.load().is_none() {
        return;
    }
    // That of the parent is left where it is: its locks may be held by threads that are not here.
    std::mem::forget(COUNTING.swap(Arc::new(Counting::start().ok())));
    describe();
}

/// Whatever counts in this process now.
struct Current;

impl Current {
    fn with<T>(&self, nobody: T, ask: impl FnOnce(&Counting) -> T) -> T {
        (**COUNTING.load()).as_ref().map_or(nobody, |counting| ask(counting))
    }
}

impl Recorder for Current {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.with((), |counting| counting.recorder.describe_counter(name, unit, about));
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.with((), |counting| counting.recorder.describe_gauge(name, unit, about));
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, about: SharedString) {
        self.with((), |counting| counting.recorder.describe_histogram(name, unit, about));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.with(Counter::noop(), |counting| counting.recorder.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.with(Gauge::noop(), |counting| counting.recorder.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.with(Histogram::noop(), |counting| {
            // One time is told by each.
            if counting.times.fetch_add(1, Ordering::Relaxed) % TIMES_KEPT == TIMES_KEPT - 1 {
                counting.handle.run_upkeep();
            }
            counting.recorder.register_histogram(key, metadata)
        })
    }
}
