//! The way to the collector: OTLP over gRPC, batched, with a limit on what waits. What does not fit is dropped.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lotse_core::id::AgencyId;
use lotse_core::time::Clock;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor as _};
use tonic::transport::{Certificate, ClientTlsConfig};

use super::trace::TraceId;
use super::watched::Watched;
use crate::config::{Endpoint, TelemetrySection};
use crate::folder::Folder;
use crate::pem_file::{self, PEM_BYTES};
use crate::plain_file;

/// How long the collector may take to answer. What it has not answered then is lost.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Spans that wait for the collector. More are dropped.
const WAITING_SPANS: usize = 8192;

/// How long a span waits for others that go in the same message.
const GATHERING: Duration = Duration::from_secs(1);

/// Under which name the node tells.
const SCOPE: &str = "lotse";

/// Open ways to the collector.
pub(super) struct Export {
    pub(super) spans: BatchSpanProcessor,
    meters: SdkMeterProvider,
    scope: InstrumentationScope,
    /// Traces whose number is lower are told; none means all.
    below: Option<u64>,
}

impl Export {
    pub(super) fn open(
        section: &TelemetrySection,
        endpoint: &Endpoint,
        folder: &Folder,
        agency: &AgencyId,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Export> {
        let tls = tls(section, endpoint, folder)?;
        let spans = configured(SpanExporter::builder().with_tonic(), endpoint, tls.clone()).build();
        let metrics = configured(MetricExporter::builder().with_tonic(), endpoint, tls).build();
        let unusable = || format!("[telemetry] endpoint {endpoint} cannot be used");
        let spans = Watched::new(spans.with_context(unusable)?, "traces", clock);
        let metrics = Watched::new(metrics.with_context(unusable)?, "metrics", clock);
        let batch = BatchConfigBuilder::default().with_max_queue_size(WAITING_SPANS).with_scheduled_delay(GATHERING);
        let mut spans = BatchSpanProcessor::builder(spans).with_batch_config(batch.build()).build();
        let resource = resource(agency);
        spans.set_resource(&resource);
        let interval = Duration::from_secs(section.interval_seconds.get().into());
        let reader = PeriodicReader::builder(metrics).with_interval(interval).build();
        let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Export { spans, meters, scope, below: section.trace_share.below() })
    }

    pub(super) fn meter(&self) -> Meter {
        self.meters.meter_with_scope(self.scope.clone())
    }

    pub(super) fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }

    /// Tells whether a trace is among those that are told. It goes by the trace id alone, so that agencies with the same share tell
    /// the same traces.
    pub(super) fn tells(&self, trace: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g, h] = *trace.as_bytes();
        self.below.is_none_or(|below| u64::from_be_bytes([a, b, c, d, e, f, g, h]) < below)
    }

    /// Tells what waits, once, and ends.
    pub(super) fn close(&self) {
        // An error means that the collector does not answer, which was said: what waited is lost, and nothing else.
        let _ = self.spans.shutdown_with_timeout(TIMEOUT);
        let _ = self.meters.shutdown_with_timeout(TIMEOUT);
    }
}

fn configured<B>(builder: B, endpoint: &Endpoint, tls: Option<ClientTlsConfig>) -> B
where
    B: WithExportConfig + WithTonicConfig,
{
    let builder = builder.with_endpoint(endpoint.to_string()).with_timeout(TIMEOUT);
    let builder = builder.with_retry_policy(RetryPolicy::disabled());
    match tls {
        Some(tls) => builder.with_tls_config(tls),
        None => builder,
    }
}

fn tls(section: &TelemetrySection, endpoint: &Endpoint, folder: &Folder) -> anyhow::Result<Option<ClientTlsConfig>> {
    if !endpoint.is_encrypted() {
        return Ok(None);
    }
    let bundle = section.bundle.as_ref().context("[telemetry] bundle: name the authorities of the collector (PEM)")?;
    let path = folder.path().join(bundle);
    let name = || format!("[telemetry] bundle: cannot read {}", path.display());
    let pem = plain_file::read(&path, PEM_BYTES).with_context(name)?;
    let found = pem_file::certificates(&pem).with_context(name)?;
    if found.is_empty() {
        bail!("[telemetry] bundle: {} holds no certificate", path.display());
    }
    // Written anew: the parser behind the exporter skips what it does not recognise.
    let authorities: String = found.iter().map(|der| pem_file::armoured("CERTIFICATE", der)).collect();
    Ok(Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities))))
}

fn resource(agency: &AgencyId) -> Resource {
    Resource::builder_empty()
        .with_service_name("lotse")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", agency.to_string()),
        ])
        .build()
}
