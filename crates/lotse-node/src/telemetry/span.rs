//! A span: told once, when it has ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lotse_core::time::Timestamp;
use opentelemetry::trace::{self as otel, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};

use super::trace::{Place, SpanId};

/// Something that took time. Attributes carry names, codes, counts, agencies, and ids as the exchange log has them: nothing else.
pub struct Span {
    /// What it was.
    pub name: &'static str,
    /// Which side of an exchange it was.
    pub kind: SpanKind,
    /// Its trace and its own id.
    pub place: Place,
    /// The span that it was part of.
    pub parent: Option<SpanId>,
    /// What caused it in another trace.
    pub cause: Option<Place>,
    /// When it began.
    pub begun: Timestamp,
    /// What there is to know of it.
    pub attributes: Vec<KeyValue>,
    /// The code of what went wrong.
    pub failed: Option<&'static str>,
}

impl Span {
    /// Writes it for the collector.
    pub(super) fn data(self, ended: Timestamp, scope: InstrumentationScope) -> SpanData {
        let mut links = SpanLinks::default();
        links.links.extend(self.cause.map(|cause| Link::with_context(context(cause))));
        SpanData {
            span_context: context(self.place),
            parent_span_id: self.parent.map_or(otel::SpanId::INVALID, span_id),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: system_time(self.begun),
            end_time: system_time(ended.max(self.begun)),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links,
            status: self.failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope,
        }
    }
}

fn context(place: Place) -> SpanContext {
    let trace_id = otel::TraceId::from_bytes(*place.trace.as_bytes());
    SpanContext::new(trace_id, span_id(place.span), TraceFlags::SAMPLED, false, TraceState::default())
}

fn span_id(id: SpanId) -> otel::SpanId {
    otel::SpanId::from_bytes(id.as_u64().to_be_bytes())
}

fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default())
}
