//! Cycles: yardstick, product, yardstick again. Absolute figures move with the machine; what was measured side by side is compared.

use super::load::Way;
use super::window::Phase;

/// A cycle whose two yardsticks differ by more than this tells about the machine, not about the product.
const UNREST: f64 = 1.25;

/// One cycle.
#[derive(Clone, Debug)]
pub(super) struct Cycle {
    /// The yardstick before: calls per second, or seconds per commit.
    pub(super) before: f64,
    /// The product.
    pub(super) phase: Phase,
    /// The yardstick after.
    pub(super) after: f64,
}

impl Cycle {
    /// Returns the yardstick of the cycle.
    pub(super) fn yardstick(&self) -> f64 {
        f64::midpoint(self.before, self.after)
    }

    /// Tells whether the machine was as quiet as the method needs.
    pub(super) fn is_quiet(&self) -> bool {
        let (low, high) = (self.before.min(self.after), self.before.max(self.after));
        high <= low * UNREST
    }
}

/// The cycles of one way and number in flight.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// How referrals were handed over.
    pub(super) way: Way,
    /// How many were in flight.
    pub(super) in_flight: u32,
    /// Cycles that count.
    pub(super) cycles: Vec<Cycle>,
    /// Cycles that were dropped.
    pub(super) dropped: u32,
}

impl Series {
    /// Begins a series.
    pub(super) fn new(way: Way, in_flight: u32) -> Series {
        Series { way, in_flight, cycles: Vec::new(), dropped: 0 }
    }

    /// Takes a cycle, or drops it. Commits vary more than calls whatever else the machine does, so no cycle is dropped for them.
    pub(super) fn add(&mut self, cycle: Cycle) {
        if self.in_flight == 1 || cycle.is_quiet() { self.cycles.push(cycle) } else { self.dropped += 1 }
    }

    /// Returns a figure over the cycles that count.
    pub(super) fn spread(&self, figure: impl Fn(&Cycle) -> f64) -> Option<Spread> {
        Spread::of(self.cycles.iter().map(figure).collect())
    }
}

/// A figure over several cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Spread { median, min, max })
    }

    /// Takes a figure that was measured once.
    pub(super) fn once(figure: f64) -> Spread {
        Spread { median: figure, min: figure, max: figure }
    }
}

/// Returns the time that so many of 100 stay below, milliseconds. The times are sorted.
pub(super) fn percentile_ms(phase: &Phase, percent: usize) -> f64 {
    let place = (phase.times.len() * percent).div_ceil(100).saturating_sub(1);
    phase.times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cycle(before: f64, after: f64) -> Cycle {
        Cycle { before, phase: Phase::default(), after }
    }

    #[test]
    fn a_restless_cycle_is_dropped_and_counted() {
        let mut series = Series::new(Way::Stream, 64);
        [cycle(100.0, 125.0), cycle(126.0, 100.0), cycle(90.0, 100.0)].into_iter().for_each(|c| series.add(c));
        assert_eq!((series.cycles.len(), series.dropped), (2, 1));
        let spread = series.spread(Cycle::yardstick).unwrap();
        assert_eq!(spread, Spread { median: 103.75, min: 95.0, max: 112.5 });
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).map(Duration::from_millis).collect();
        let phase = Phase { times, ..Phase::default() };
        assert_eq!((percentile_ms(&phase, 50), percentile_ms(&phase, 99)), (100.0, 198.0));
        assert_eq!(percentile_ms(&Phase::default(), 99), 0.0);
    }
}
