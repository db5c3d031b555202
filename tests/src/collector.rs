//! A collector of OpenTelemetry that keeps what it is told (OTLP over gRPC, on loopback).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A running collector; it ends when dropped.
pub struct Collector {
    endpoint: String,
    told: Arc<Told>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    traces: Mutex<Vec<ExportTraceServiceRequest>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
}

/// A span, and the agency whose node told it.
#[derive(Clone, Debug)]
pub struct ToldSpan {
    /// The agency.
    pub agency: String,
    /// The span.
    pub span: Span,
}

impl ToldSpan {
    /// Returns the text of an attribute; empty if there is none.
    pub fn attribute(&self, key: &str) -> String {
        text(&self.span.attributes, key)
    }
}

impl Collector {
    /// Starts a collector on a free port.
    pub async fn start() -> Result<Collector> {
        Collector::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts a collector at an address.
    pub async fn start_at(address: SocketAddr) -> Result<Collector> {
        Collector::serve(address, Server::builder(), "http").await
    }

    /// Starts a collector on a free port that is reached over TLS only.
    pub async fn start_with_tls(identity: Identity) -> Result<Collector> {
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity))?;
        Collector::serve((Ipv4Addr::LOCALHOST, 0).into(), server, "https").await
    }

    async fn serve(address: SocketAddr, mut server: Server, scheme: &'static str) -> Result<Collector> {
        let listener = TcpListener::bind(address).await?;
        let (address, told) = (listener.local_addr()?, Arc::new(Told::default()));
        let server = server
            .add_service(TraceServiceServer::from_arc(told.clone()))
            .add_service(MetricsServiceServer::from_arc(told.clone()));
        let task = tokio::spawn(async move {
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Collector { endpoint: format!("{scheme}://{address}"), told, task })
    }

    /// Returns where it listens, as a node's configuration names it.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Returns all spans so far.
    pub fn spans(&self) -> Vec<ToldSpan> {
        let traces = self.told.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        for resource in traces.iter().flat_map(|request| &request.resource_spans) {
            let agency = agency(resource.resource.as_ref());
            let told = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(told.map(|span| ToldSpan { agency: agency.clone(), span: span.clone() }));
        }
        spans
    }

    /// Returns the names of all metrics that an agency's node has told so far.
    pub fn metrics(&self, id: &str) -> BTreeSet<String> {
        self.metrics_of(id).into_iter().map(|metric| metric.name).collect()
    }

    /// Returns the highest number that a metric of an agency's node has had with these labels; for a duration how many there were.
    pub fn highest(&self, id: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |attributes: &[KeyValue]| labels.iter().all(|(key, value)| text(attributes, key) == *value);
        let mut highest = 0.0_f64;
        for metric in self.metrics_of(id).into_iter().filter(|metric| metric.name == name) {
            let numbers: Vec<f64> = match metric.data {
                Some(metric::Data::Sum(sum)) => {
                    sum.data_points.iter().filter(|p| fits(&p.attributes)).map(number).collect()
                }
                Some(metric::Data::Gauge(gauge)) => {
                    gauge.data_points.iter().filter(|p| fits(&p.attributes)).map(number).collect()
                }
                Some(metric::Data::Histogram(all)) => {
                    all.data_points.iter().filter(|p| fits(&p.attributes)).map(|p| p.count as f64).collect()
                }
                _ => Vec::new(),
            };
            highest = numbers.into_iter().fold(highest, f64::max);
        }
        highest
    }

    /// Returns everything that was told, as bytes.
    pub fn everything(&self) -> Vec<Vec<u8>> {
        let traces = self.told.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = self.told.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = traces.iter().map(Message::encode_to_vec);
        bytes.chain(metrics.iter().map(Message::encode_to_vec)).collect()
    }

    fn metrics_of(&self, id: &str) -> Vec<Metric> {
        let metrics = self.told.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = metrics.iter().flat_map(|request| &request.resource_metrics);
        let own = resources.filter(|resource| agency(resource.resource.as_ref()) == id);
        own.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| scope.metrics.clone()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn agency(resource: Option<&Resource>) -> String {
    resource.map(|resource| text(&resource.attributes, "service.instance.id")).unwrap_or_default()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

fn number(point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(number)) => number,
        Some(number_data_point::Value::AsInt(number)) => number as f64,
        None => 0.0,
    }
}

#[tonic::async_trait]
impl TraceService for Told {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Told {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
