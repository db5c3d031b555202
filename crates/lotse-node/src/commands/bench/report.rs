//! What a run says: the table against the targets, or one JSON object.

use serde::Serialize;

use super::counts::Counts;
use super::cycle::{Cycle, Series, Spread, percentile_ms};
use super::load::Way;
use super::referral::ECHO_IN_FLIGHT;
use super::site::Site;
use crate::commands::Context;

/// An echo slower than this, calls per second, says that the machine is too slow or too busy for ratios.
const SUSPECT_ECHO: f64 = 10_000.0;

/// Commits that one referral in flight is to take: must and aim.
const ONE_IN_FLIGHT: [f64; 2] = [6.0, 4.0];

/// Cycles without which a figure is only a look.
const ENOUGH_CYCLES: usize = 5;

/// Memory of the node that has more of it, MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct UseOfMemory {
    /// Now.
    pub(super) resident_mb: f64,
    /// At most so far.
    pub(super) peak_mb: f64,
}

impl UseOfMemory {
    /// Reads it of two running nodes.
    pub(super) fn of(one: &Site, other: &Site) -> anyhow::Result<UseOfMemory> {
        let (one, other) = (one.process()?.memory()?, other.process()?.memory()?);
        let mb = |one: u64, other: u64| one.max(other) as f64 / 1024.0;
        Ok(UseOfMemory {
            resident_mb: mb(one.resident_kib, other.resident_kib),
            peak_mb: mb(one.peak_kib, other.peak_kib),
        })
    }
}

/// What was measured.
pub(super) struct Outcome {
    pub(super) series: Vec<Series>,
    pub(super) counts: Counts,
    pub(super) idle: UseOfMemory,
    pub(super) load: UseOfMemory,
    pub(super) echo_at_64: f64,
    /// The echo's calls per second with one in flight.
    pub(super) echo_alone: f64,
    /// Bytes of one submission.
    pub(super) payload: usize,
}

/// One line of the table.
struct Line {
    name: &'static str,
    what: String,
    figure: Option<Spread>,
    digits: usize,
    must: f64,
    aim: f64,
    /// Whether more is better.
    rising: bool,
    /// Whether its yardstick is a doubtful one on this machine: a target that is missed says so.
    suspect: bool,
}

/// The JSON object; a figure that could not be measured is null.
#[derive(Serialize)]
struct Figures {
    ratio_to_echo: Option<f64>,
    ratio_unary: Option<f64>,
    referrals_per_s: Option<f64>,
    echo_per_s: Option<f64>,
    cpu_us_per_referral: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    one_in_flight_commits: Option<f64>,
    one_in_flight_least_commits: Option<f64>,
    memory_mb: f64,
    bytes_per_referral: f64,
    rows_per_referral: f64,
    rows_per_fsync: f64,
    sent: u64,
    taken: u64,
    inbox: u64,
    receipts: u64,
    leaves_sender: u64,
    leaves_receiver: u64,
    roots_recomputed: bool,
    sqlite_synchronous: &'static str,
}

impl Outcome {
    /// Prints it.
    pub(super) fn print(&self, context: &Context, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return context.terminal.json(&self.figures());
        }
        let rows: Vec<Vec<String>> = self.lines().iter().map(Line::cells).collect();
        context.terminal.line("")?;
        context.terminal.table(&["", "what", "median", "min", "max", "must", "aim", ""], &rows)?;
        context.terminal.line("")?;
        for remark in self.remarks() {
            context.terminal.line(remark)?;
        }
        Ok(())
    }

    /// The series with most in flight. One in flight is measured in commits, not against the echo: it is none of these.
    fn most(&self, way: Way) -> Option<&Series> {
        self.series.iter().find(|series| series.way == way && series.in_flight > 1)
    }

    /// A figure of the series with most in flight.
    fn figure(&self, way: Way, figure: impl Fn(&Cycle) -> f64) -> Option<Spread> {
        self.most(way)?.spread(figure)
    }

    fn is_suspect(&self) -> bool {
        self.echo_at_64 < SUSPECT_ECHO
    }

    fn ratio(&self, way: Way) -> Option<Spread> {
        if self.is_suspect() {
            return None;
        }
        self.figure(way, |cycle| cycle.phase.rate() / cycle.yardstick())
    }

    fn one_in_flight(&self) -> Option<Spread> {
        let series = self.series.iter().find(|series| series.in_flight == 1)?;
        series.spread(|cycle| cycle.phase.mean_seconds() / cycle.yardstick())
    }

    /// None if one in flight was not measured.
    fn least(&self) -> Option<Least> {
        let alone = self.series.iter().find(|series| series.in_flight == 1)?;
        Some(Least { commit: alone.spread(Cycle::yardstick)?.median, echo: self.echo_alone.recip() })
    }

    fn figures(&self) -> Figures {
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        Figures {
            ratio_to_echo: median(self.ratio(Way::Stream)),
            ratio_unary: median(self.ratio(Way::Unary)),
            referrals_per_s: median(self.figure(Way::Stream, |cycle| cycle.phase.rate())),
            echo_per_s: median(self.figure(Way::Stream, Cycle::yardstick)),
            cpu_us_per_referral: median(self.figure(Way::Stream, |cycle| cycle.phase.cpu_us())),
            p50_ms: median(self.figure(Way::Stream, |cycle| percentile_ms(&cycle.phase, 50))),
            p99_ms: median(self.figure(Way::Stream, |cycle| percentile_ms(&cycle.phase, 99))),
            one_in_flight_commits: median(self.one_in_flight()),
            one_in_flight_least_commits: self.least().map(|least| least.commits()),
            memory_mb: self.load.peak_mb,
            bytes_per_referral: self.counts.bytes_per_referral(),
            rows_per_referral: self.counts.rows_per_referral(),
            rows_per_fsync: self.counts.rows_per_fsync(),
            sent: self.counts.sent,
            taken: self.counts.taken,
            inbox: self.counts.inbox,
            receipts: self.counts.receipts(),
            leaves_sender: self.counts.leaves_sender(),
            leaves_receiver: self.counts.leaves_receiver(),
            // A run whose logs do not verify, or that commits otherwise, never comes here.
            roots_recomputed: true,
            sqlite_synchronous: "FULL",
        }
    }

    /// The lines of the table, with the targets of the project.
    fn lines(&self) -> Vec<Line> {
        let in_flight = self.most(Way::Stream).map_or("many".into(), |series| series.in_flight.to_string());
        let line = |name, what: String, figure, digits, [must, aim]: [f64; 2], rising| Line {
            name,
            what,
            figure,
            digits,
            must,
            aim,
            rising,
            suspect: false,
        };
        let one = line("P3", "one in flight, in commits".into(), self.one_in_flight(), 2, ONE_IN_FLIGHT, false);
        let one = Line { suspect: self.least().is_some_and(|least| least.is_suspect()), ..one };
        let cpu = self.figure(Way::Stream, |cycle| cycle.phase.cpu_us());
        let p99 = self.figure(Way::Stream, |cycle| percentile_ms(&cycle.phase, 99));
        let memory = |mb| Some(Spread::once(mb));
        vec![
            line("P1", format!("stream, {in_flight} in flight, of R"), self.ratio(Way::Stream), 3, [0.30, 0.42], true),
            line("P1u", format!("unary, {in_flight} in flight, of R"), self.ratio(Way::Unary), 3, [0.15, 0.22], true),
            line("P2", "CPU of both nodes per referral, µs".into(), cpu, 0, [160.0, 115.0], false),
            one,
            line("P4", format!("p99 at {in_flight} in flight, ms"), p99, 1, [150.0, 60.0], false),
            line("P11", "memory idle, MiB".into(), memory(self.idle.resident_mb), 0, [80.0, 40.0], false),
            line("P11", "memory under load, MiB".into(), memory(self.load.peak_mb), 0, [250.0, 150.0], false),
        ]
    }

    fn remarks(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut remarks: Vec<String> = self.series.iter().map(series_remark).collect();
        remarks.push(format!(
            "{} referrals of {} bytes: sent = accepted = taken = in the holder's inbox = released leaves = taken leaves;\n\
             {} receipts verified, every root recomputed, SQLite synchronous = FULL",
            counts.sent,
            self.payload,
            counts.receipts()
        ));
        remarks.push(format!(
            "{:.2} rows per referral, {:.0} rows per fsync, {:.0} bytes per referral, both nodes together",
            counts.rows_per_referral(),
            counts.rows_per_fsync(),
            counts.bytes_per_referral()
        ));
        remarks.extend(self.least().map(|least| least.remark()));
        if self.is_suspect() {
            let echo = self.echo_at_64;
            remarks
                .push(format!("yardstick suspect: the echo made {echo:.0}/s at {ECHO_IN_FLIGHT} in flight; no ratio"));
        }
        if self.series.iter().any(|series| series.cycles.len() < ENOUGH_CYCLES) {
            remarks.push(format!("fewer than {ENOUGH_CYCLES} cycles count: this is a look, not a figure"));
        }
        remarks
    }
}

fn series_remark(series: &Series) -> String {
    let show = |figure: fn(&Cycle) -> f64, digits: usize| {
        series.spread(figure).map_or("-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let yardstick = match series.in_flight {
        1 => format!("a commit {} ms", show(|cycle| cycle.yardstick() * 1e3, 2)),
        _ => format!("R {}/s", show(Cycle::yardstick, 0)),
    };
    format!(
        "{} in flight, {}: {}/s, {yardstick}, p50 {} ms, p99 {} ms, CPU {} µs; {} cycles, {} dropped",
        series.in_flight,
        if series.way == Way::Stream { "stream" } else { "unary" },
        show(|cycle| cycle.phase.rate(), 0),
        show(|cycle| percentile_ms(&cycle.phase, 50), 1),
        show(|cycle| percentile_ms(&cycle.phase, 99), 1),
        show(|cycle| cycle.phase.cpu_us(), 0),
        series.cycles.len(),
        series.dropped
    )
}

/// About what one referral in flight takes at the least, seconds: it goes to the node, to the other one, and back by both.
struct Least {
    /// One commit.
    commit: f64,
    /// One call of the echo, with one in flight.
    echo: f64,
}

impl Least {
    fn commits(&self) -> f64 {
        (2.0 * self.echo + 3.0 * self.commit) / self.commit
    }

    /// Where even this is more than the aim, commits are no measure of a referral: the figure tells of calls and of the nodes' work.
    fn is_suspect(&self) -> bool {
        self.commits() > ONE_IN_FLIGHT[1]
    }

    fn remark(&self) -> String {
        let (echo, commit, commits) = (self.echo * 1e3, self.commit * 1e3, self.commits());
        let least = format!(
            "one in flight: two calls of the echo, {echo:.2} ms each, and three commits are {commits:.1} commits, about the least"
        );
        if !self.is_suspect() {
            return least;
        }
        format!(
            "{least}\nyardstick suspect: that is above the aim of P3, a commit of {commit:.2} ms is short beside the calls and the work;\n\
             give --folder on a slower disk, or slow the flushes (ARCHITECTURE.md, \"What an exchange costs\")"
        )
    }
}

impl Line {
    fn cells(&self) -> Vec<String> {
        let digits = self.digits;
        let show = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"));
        let figure = self.figure;
        vec![
            self.name.to_owned(),
            self.what.clone(),
            show(figure.map(|spread| spread.median)),
            show(figure.map(|spread| spread.min)),
            show(figure.map(|spread| spread.max)),
            show(Some(self.must)),
            show(Some(self.aim)),
            self.verdict().to_owned(),
        ]
    }

    fn verdict(&self) -> &'static str {
        let Some(spread) = self.figure else { return "not measured" };
        let reaches = |target: f64| if self.rising { spread.median >= target } else { spread.median <= target };
        match (reaches(self.aim), reaches(self.must)) {
            (true, _) => "aim met",
            (false, true) => "must met",
            (false, false) if self.suspect => "MISSED, yardstick suspect",
            (false, false) => "MISSED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_measures_a_referral_only_where_the_least_is_within_the_aim() {
        let fast = Least { commit: 0.000_15, echo: 0.000_15 };
        assert!((fast.commits() - 5.0).abs() < 1e-9 && fast.is_suspect());
        assert!(fast.remark().contains("yardstick suspect"));
        let slow = Least { commit: 0.002, echo: 0.000_15 };
        assert!(!slow.is_suspect() && !slow.remark().contains("suspect"));
    }

    #[test]
    fn a_suspect_yardstick_hides_no_target_that_is_reached() {
        let verdict = |commits, suspect| {
            let [must, aim] = ONE_IN_FLIGHT;
            let (name, what, figure) = ("P3", String::new(), Some(Spread::once(commits)));
            Line { name, what, figure, digits: 2, must, aim, rising: false, suspect }.verdict()
        };
        assert_eq!([3.9, 5.9, 6.1].map(|commits| verdict(commits, false)), ["aim met", "must met", "MISSED"]);
        assert_eq!(
            [3.9, 5.9, 6.1].map(|commits| verdict(commits, true)),
            ["aim met", "must met", "MISSED, yardstick suspect"]
        );
    }
}
