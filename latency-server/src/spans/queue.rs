//! What becomes of spans: they wait, and are exported, or lost. The SDK's own queue and exporter, counted.

use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prometheus::IntCounterVec;

pub(super) const EXPORTED: &str = "exported";
pub(super) const FAILED: &str = "failed";
pub(super) const DROPPED: &str = "dropped";

/// Lost spans are spoken of no more often than this.
const EVERY: Duration = Duration::from_mins(1);

/// How many spans went which way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// In the queue, or under way.
    waiting: AtomicUsize,
    /// Dropped since the log spoke of it.
    dropped: AtomicU64,
    lost: Mutex<Lost>,
    counter: OnceLock<IntCounterVec>,
}

#[derive(Debug, Default)]
struct Lost {
    /// Not taken by the collector since the log spoke of it.
    failed: u64,
    /// What was wrong with the last try.
    trouble: Option<String>,
    said: Option<Instant>,
}

impl Tally {
    pub fn count_in(&self, counter: IntCounterVec) {
        // The first one stays.
        let _ = self.counter.set(counter);
    }

    /// Why the collector could not be asked.
    pub fn trouble(&self, error: &impl ToString) {
        self.lost().trouble = Some(error.to_string());
    }

    /// The last spans were sent, or there was no more time.
    pub fn stopped(&self) {
        let waiting = self.waiting.swap(0, Ordering::Relaxed);
        self.count(FAILED, waiting);
        let mut lost = self.lost();
        lost.failed += waiting as u64;
        lost.said = None;
        self.say(lost, "the server stopped before the collector took them");
    }

    fn delivered(&self, spans: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let mut lost = self.lost();
        match result {
            Ok(()) => {
                self.count(EXPORTED, spans);
                lost.trouble = None;
                self.say(lost, "they came faster than the collector took them");
            }
            Err(error) => {
                self.count(FAILED, spans);
                lost.failed += spans as u64;
                let why = lost.trouble.take().unwrap_or_else(|| error.to_string());
                self.say(lost, &why);
            }
        }
    }

    /// Speaks of what is lost, unless that was just done.
    fn say(&self, mut lost: MutexGuard<'_, Lost>, why: &str) {
        if lost.said.is_some_and(|said| said.elapsed() < EVERY) {
            return;
        }
        let (failed, dropped) = (mem::take(&mut lost.failed), self.dropped.swap(0, Ordering::Relaxed));
        if failed + dropped > 0 {
            lost.said = Some(Instant::now());
            drop(lost);
            log::warn!("traces: spans are lost, {failed} not sent, {dropped} not fitting into the queue: {why}");
        }
    }

    fn count(&self, fate: &str, spans: usize) {
        if let Some(counter) = self.counter.get() {
            counter.with_label_values(&[fate]).inc_by(spans as u64);
        }
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SDK's queue. It drops what does not fit in without a word, so this one, which is never larger, does that first.
#[derive(Debug)]
pub(super) struct Queue {
    inner: BatchSpanProcessor,
    most: usize,
    tally: Arc<Tally>,
}

impl Queue {
    pub fn new(inner: BatchSpanProcessor, most: usize, tally: Arc<Tally>) -> Self {
        Self { inner, most, tally }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.tally.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            self.inner.on_end(span);
        } else {
            self.tally.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
            self.tally.count(DROPPED, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The SDK's exporter.
#[derive(Debug)]
pub(super) struct Delivery {
    inner: opentelemetry_otlp::SpanExporter,
    tally: Arc<Tally>,
}

impl Delivery {
    pub fn new(inner: opentelemetry_otlp::SpanExporter, tally: Arc<Tally>) -> Self {
        Self { inner, tally }
    }
}

impl SpanExporter for Delivery {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.tally.delivered(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
