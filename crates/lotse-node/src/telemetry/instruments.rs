//! What is counted and measured. Labels come from closed lists or from the node's own configuration and peers: nobody who calls the
//! node can make it keep more of them.

use std::time::Duration;

use lotse_core::delivery::Outcome;
use lotse_core::reason::Reason;
use lotse_store::EndedWork;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

/// Bounds of durations, seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a peer to this node.
    In,
    /// From this node to a peer.
    Out,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// All instruments of a node.
pub struct Instruments {
    submissions: Counter<u64>,
    refusals: Counter<u64>,
    releases: Counter<u64>,
    envelopes: Counter<u64>,
    receipts: Counter<u64>,
    calls: Histogram<f64>,
    works: Histogram<f64>,
    pub(super) commits: Counter<u64>,
    pub(super) connections_refused: Counter<u64>,
    pub(super) due: Gauge<u64>,
    pub(super) in_doubt: Gauge<u64>,
    pub(super) oldest: Gauge<f64>,
    pub(super) clock_difference: Gauge<f64>,
    pub(super) log_size: Gauge<u64>,
    pub(super) log_signed_size: Gauge<u64>,
    pub(super) holds: Gauge<u64>,
    pub(super) alarms: Gauge<u64>,
    pub(super) days_left: Gauge<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Instruments {
        let counter = |name, about| meter.u64_counter(name).with_description(about).build();
        let gauge = |name, about| meter.u64_gauge(name).with_description(about).build();
        let exact = |name, about, unit| meter.f64_gauge(name).with_description(about).with_unit(unit).build();
        let seconds = |name, about| {
            let histogram = meter.f64_histogram(name).with_description(about).with_unit("s");
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        Instruments {
            submissions: counter("lotse.submissions", "what systems handed over, by what became of it at once"),
            refusals: counter("lotse.refusals", "refusals, by where they were made and by reason"),
            releases: counter("lotse.releases", "records released to peers"),
            envelopes: counter("lotse.envelopes", "envelopes answered for, by direction and outcome"),
            receipts: counter("lotse.receipts", "receipts, by direction"),
            calls: seconds("rpc.server.call.duration", "calls at the node's ports, to the end of the answer"),
            works: seconds("lotse.store.work.duration", "works of the store from hand-over to durable, by name"),
            commits: counter("lotse.store.commits", "commits of the store that had something to write"),
            connections_refused: counter(
                "lotse.connections.refused",
                "connections refused by a limit, by port and limit",
            ),
            due: gauge("lotse.outbox.due", "items that wait to be released, by peer"),
            in_doubt: gauge("lotse.outbox.in_doubt", "items released and not yet answered for, by peer"),
            oldest: exact("lotse.outbox.oldest_age", "age of what has been due or in doubt longest, by peer", "s"),
            clock_difference: exact(
                "lotse.peer.clock_difference",
                "the peer's clock less this node's, as it last said hello, by peer",
                "s",
            ),
            log_size: gauge("lotse.log.size", "entries of the exchange log"),
            log_signed_size: gauge("lotse.log.signed_size", "entries that the newest checkpoint covers"),
            holds: gauge("lotse.hold", "1 if releases are on hold, by cause"),
            alarms: gauge("lotse.alarms", "alarms that need a human"),
            days_left: exact("lotse.days_left", "days until certificate, authority, revocation list or card ends", "d"),
        }
    }

    /// Counts items that were handed over: accepted now, or accepted before under the same key.
    pub fn accepted(&self, fresh: usize, repeated: usize) {
        for (count, outcome) in [(fresh, "accepted"), (repeated, "repeated")] {
            add(&self.submissions, count, &[KeyValue::new("outcome", outcome)]);
        }
    }

    /// Counts an item that was handed over and refused.
    pub fn submission_refused(&self, reason: Reason) {
        self.submissions.add(1, &[KeyValue::new("outcome", "refused")]);
        self.refused("submission", reason);
    }

    /// Counts items that were released.
    pub fn released(&self, count: usize) {
        add(&self.releases, count, &[]);
    }

    /// Counts an item whose release was refused for good.
    pub fn release_refused(&self, reason: Reason) {
        self.refused("release", reason);
    }

    /// Counts what a receipt says of each envelope, and the receipt: one that this node gives for envelopes that came in, or gets
    /// for those that went out.
    pub fn answered(&self, direction: Direction, outcomes: impl Iterator<Item = Outcome>) {
        let (mut taken, mut again, mut refused) = (0, 0, 0);
        let stage = if direction == Direction::In { "custody" } else { "delivery" };
        for outcome in outcomes {
            match outcome {
                Outcome::Taken => taken += 1,
                Outcome::Again(_) => again += 1,
                Outcome::Refused(reason) => {
                    refused += 1;
                    self.refused(stage, reason);
                }
            }
        }
        for (count, outcome) in [(taken, "taken"), (again, "again"), (refused, "refused")] {
            let labels = [KeyValue::new("direction", direction.name()), KeyValue::new("outcome", outcome)];
            add(&self.envelopes, count, &labels);
        }
        let receipt = if direction == Direction::In { Direction::Out } else { Direction::In };
        self.receipts.add(1, &[KeyValue::new("direction", receipt.name())]);
    }

    /// Measures a call. Its name is one of the table of RPCs.
    pub fn called(&self, method: &'static str, code: &'static str, duration: Duration) {
        let labels = [KeyValue::new("rpc.method", method), KeyValue::new("rpc.response.status_code", code)];
        self.calls.record(duration.as_secs_f64(), &labels);
    }

    pub(super) fn worked(&self, work: &EndedWork) {
        let outcome = if work.succeeded { "ok" } else { "failed" };
        let labels = [KeyValue::new("work", work.name), KeyValue::new("outcome", outcome)];
        self.works.record(work.duration.as_secs_f64(), &labels);
    }

    fn refused(&self, stage: &'static str, reason: Reason) {
        self.refusals.add(1, &[KeyValue::new("stage", stage), KeyValue::new("reason", reason.code())]);
    }
}

fn add(counter: &Counter<u64>, count: usize, labels: &[KeyValue]) {
    if count > 0 {
        counter.add(count as u64, labels);
    }
}
