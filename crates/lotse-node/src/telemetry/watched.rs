//! Whether the collector takes what it is told: said when it does not, and when it does again, and not each time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::{Clock, Timestamp};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// How long after a warning there is no other: a collector that comes and goes fills no log.
const QUIET: Duration = Duration::from_secs(600);

/// An exporter whose success is watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    watch: Watch,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, what: &'static str, clock: &Arc<dyn Clock>) -> Watched<E> {
        Watched { exporter, watch: Watch { what, clock: clock.clone(), seen: Mutex::default() } }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.watch.told(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.watch.told(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// What was seen of one kind of what is told.
struct Watch {
    what: &'static str,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Watch {
    fn told(&self, result: &OTelSdkResult) {
        let what = self.what;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).next(result, self.clock.now());
        match (seen, result) {
            (Some(News::Lost), Err(error)) => tracing::warn!(
                what,
                %error,
                "the collector does not take what it is told, and what it does not take is lost: see [telemetry] in lotse.toml"
            ),
            (Some(News::Back), _) => tracing::info!(what, "the collector takes what it is told again"),
            _ => {}
        }
    }
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Lost,
    Back,
}

#[derive(Default)]
struct Seen {
    /// Whether the last thing that was said is that it is lost.
    is_said: bool,
    warned_at: Option<Timestamp>,
}

impl Seen {
    /// Takes the next result and returns what is to be said of it.
    fn next(&mut self, result: &OTelSdkResult, now: Timestamp) -> Option<News> {
        match result {
            // The node stops; that is told elsewhere.
            Err(OTelSdkError::AlreadyShutdown) => None,
            Err(_) if self.is_said || self.warned_at.is_some_and(|at| now < at.plus(QUIET)) => None,
            Err(_) => {
                *self = Seen { is_said: true, warned_at: Some(now) };
                Some(News::Lost)
            }
            Ok(()) => std::mem::take(&mut self.is_said).then_some(News::Back),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure("refused".into()))
    }

    #[test]
    fn a_lost_collector_is_said_once_and_once_when_it_is_back() {
        let (mut seen, now) = (Seen::default(), Timestamp::from_micros(0));
        assert_eq!(seen.next(&Ok(()), now), None);
        assert_eq!(seen.next(&lost(), now), Some(News::Lost));
        for second in 0..7200 {
            assert_eq!(seen.next(&lost(), now.plus(Duration::from_secs(second))), None);
        }
        assert_eq!(seen.next(&Ok(()), now), Some(News::Back));
        assert_eq!(seen.next(&Ok(()), now), None);
        assert_eq!(seen.next(&Err(OTelSdkError::AlreadyShutdown), now.plus(QUIET)), None);
    }

    #[test]
    fn a_collector_that_comes_and_goes_is_said_every_ten_minutes_and_one_that_stays_away_is_never_kept_quiet() {
        let (mut seen, start) = (Seen::default(), Timestamp::from_micros(0));
        let mut said = 0;
        for second in 0..1800 {
            let now = start.plus(Duration::from_secs(second));
            let result = if second % 2 == 0 { lost() } else { Ok(()) };
            said += usize::from(seen.next(&result, now).is_some());
        }
        assert_eq!(said, 6, "lost and back, three times in half an hour");
        let later = start.plus(Duration::from_secs(1800));
        assert_eq!(seen.next(&lost(), later), Some(News::Lost), "it stays away from now on");
    }
}
