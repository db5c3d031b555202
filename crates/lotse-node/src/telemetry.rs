//! What the node tells its operators: messages on standard error, and, where a collector is configured, traces and metrics over
//! OTLP. Never personal data: a span or a metric carries only what the code here names, and nothing of it is free text.

mod delivery;
mod export;
pub mod gauges;
mod instruments;
mod messages;
mod span;
pub mod trace;
mod watched;

use std::sync::Arc;

use lotse_core::id::AgencyId;
use lotse_core::random::Random;
use lotse_core::time::{Clock, Timestamp};
use lotse_store::{EndedWork, WorkObserver};
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanProcessor as _;

use crate::config::TelemetrySection;
use crate::folder::Folder;
use export::Export;

pub use delivery::{HandedOver, TakenEnvelope};
pub use instruments::{Direction, Instruments};
pub use messages::install;
pub use opentelemetry::trace::SpanKind;
pub use span::Span;
use trace::{Place, SpanId};

/// Where a node's traces and metrics go. Without a collector it does nothing and costs nothing.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Sink>>);

struct Sink {
    export: Export,
    instruments: Instruments,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Telemetry {
    /// Prepares the way to the collector of the configuration, if it names one. A collector that cannot be reached is no error: the
    /// node says so and runs on, and what could not be told is lost. Needs a tokio runtime.
    pub fn open(
        section: &TelemetrySection,
        folder: &Folder,
        agency: &AgencyId,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> anyhow::Result<Telemetry> {
        let Some(endpoint) = &section.endpoint else { return Ok(Telemetry::default()) };
        let export = Export::open(section, endpoint, folder, agency, clock)?;
        let instruments = Instruments::new(&export.meter());
        let sink = Sink { export, instruments, clock: clock.clone(), random: random.clone() };
        Ok(Telemetry(Some(Arc::new(sink))))
    }

    /// Tells whether there is a collector.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Returns when a span begins, if spans are told at all.
    pub fn begin(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|sink| sink.clock.now())
    }

    /// Returns the instruments, if metrics are told at all.
    pub fn instruments(&self) -> Option<&Instruments> {
        self.0.as_ref().map(|sink| &sink.instruments)
    }

    /// Tells a span that ends now, if its trace is among those that are told.
    pub fn tell(&self, span: Span) {
        let Some(sink) = &self.0 else { return };
        if sink.export.tells(span.place.trace) {
            let data = span.data(sink.clock.now(), sink.export.scope());
            sink.export.spans.on_end(data);
        }
    }

    /// Draws the id of a span.
    pub fn span_id(&self) -> SpanId {
        self.0.as_ref().map_or_else(SpanId::default, |sink| SpanId::random(&*sink.random))
    }

    /// Returns what the store is to tell of each work: its duration, and its span inside the call or delivery that caused it.
    pub fn work_observer(&self) -> Option<WorkObserver> {
        let telemetry = self.clone();
        self.is_on().then(|| -> WorkObserver { Arc::new(move |work| telemetry.worked(work)) })
    }

    fn worked(&self, work: EndedWork) {
        let Some(sink) = &self.0 else { return };
        sink.instruments.worked(&work);
        if let Some(cause) = trace::current() {
            self.tell(Span {
                name: "store",
                kind: SpanKind::Internal,
                place: Place { trace: cause.trace, span: self.span_id() },
                parent: Some(cause.span),
                cause: None,
                begun: sink.clock.now().minus(work.duration),
                attributes: vec![KeyValue::new("lotse.work", work.name)],
                failed: (!work.succeeded).then_some("STORE"),
            });
        }
    }

    /// Tells what is still to be told, for a few seconds at most, and ends.
    pub async fn close(&self) {
        let Some(sink) = self.0.clone() else { return };
        // The exporters work on threads of their own; who waits for these must be allowed to block.
        if tokio::task::spawn_blocking(move || sink.export.close()).await.is_err() {
            tracing::warn!("the last traces and metrics could not be told");
        }
    }
}
