//! The watch over the clock: when doubt begins, and what ends it.

use super::*;

/// A machine: its clock, and how long it has been up.
struct Machine {
    wall_s: i64,
    uptime_s: u64,
    watch: ClockWatch,
}

impl Machine {
    fn new() -> Machine {
        let mut machine = Machine { wall_s: 1_000_000, uptime_s: 50, watch: ClockWatch::default() };
        machine.observe();
        machine
    }

    /// A machine whose node was stopped for so long.
    fn after_a_stop(seconds: i64) -> Machine {
        let mut machine = Machine { wall_s: 1_000_000, uptime_s: 50, watch: ClockWatch::default() };
        let now = machine.now();
        machine.watch.begin(None, Some(Timestamp::from_micros((machine.wall_s - seconds) * 1_000_000)), now);
        machine
    }

    fn now(&self) -> Reading {
        Reading { wall: Timestamp::from_micros(self.wall_s * 1_000_000), uptime: Duration::from_secs(self.uptime_s) }
    }

    fn observe(&mut self) {
        let now = self.now();
        self.watch.observe(now);
    }

    fn pass(&mut self, seconds: u64) {
        self.uptime_s += seconds;
        self.jump(seconds as i64);
    }

    fn jump(&mut self, seconds: i64) {
        self.wall_s += seconds;
        self.observe();
    }

    fn compare(&mut self, peer: &str, its: PeerClock) {
        let now = self.now();
        self.watch.compare(&peer.parse().unwrap(), its, now);
    }

    fn is_proven(&self) -> bool {
        let proven = self.watch.prove(self.now());
        assert!(proven.is_none_or(|proven| proven.at() == self.now().wall));
        proven.is_some()
    }
}

#[test]
fn a_clock_that_steps_back_stops_releases_until_it_is_confirmed() {
    let mut machine = Machine::new();
    machine.jump(-120);
    assert_eq!(machine.watch.objection(), None, "120 seconds are tolerated");
    machine.jump(-1);
    assert_eq!(machine.watch.objection(), Some(Reason::ClockSteppedBack));
    machine.jump(241);
    assert_eq!(machine.watch.objection(), Some(Reason::ClockSteppedBack));
    machine.jump(-200);
    machine.watch.confirm(machine.now());
    machine.observe();
    assert_eq!(machine.watch.doubt(), None);
}

#[test]
fn a_clock_that_jumps_ahead_proves_no_time_until_it_is_right_again() {
    let mut machine = Machine::new();
    machine.jump(120);
    assert!(machine.is_proven(), "120 seconds are tolerated");
    machine.jump(1);
    assert_eq!(machine.watch.objection(), Some(Reason::ClockJumpedAhead));
    assert!(!machine.is_proven());
    machine.jump(40 * 86_400);
    machine.pass(80);
    assert!(!machine.is_proven());
    machine.jump(-40 * 86_400 - 121);
    assert_eq!(machine.watch.doubt(), None, "the right time is no step back");
    assert!(machine.is_proven() && machine.watch.take_ended_doubt());
    assert!(!machine.watch.take_ended_doubt(), "it is told once");
}

#[test]
fn time_that_passes_is_no_jump_however_long_nobody_looked() {
    let mut machine = Machine::new();
    for seconds in [1, 3_599, 40 * 86_400, 5] {
        machine.pass(seconds);
        assert!(machine.is_proven(), "{seconds}");
    }
}

#[test]
fn many_small_jumps_are_one_and_slow_drift_is_none() {
    let mut machine = Machine::new();
    for _ in 0..12 {
        machine.pass(60);
        machine.jump(10);
    }
    assert!(machine.is_proven());
    machine.jump(1);
    assert!(!machine.is_proven());
    let mut drifting = Machine::new();
    for _ in 0..1_000 {
        drifting.pass(3_600);
        drifting.jump(10);
    }
    assert!(drifting.is_proven());
}

#[test]
fn two_peers_that_agree_end_the_doubt_after_a_jump() {
    let mut machine = Machine::new();
    for peer in ["a.example", "b.example", "c.example"] {
        machine.compare(peer, PeerClock::Agrees);
    }
    machine.jump(86_400);
    assert!(!machine.is_proven(), "what was compared before the jump says nothing about the time after it");
    machine.compare("a.example", PeerClock::Agrees);
    machine.compare("a.example", PeerClock::Agrees);
    machine.compare("b.example", PeerClock::InDoubt);
    assert!(!machine.is_proven(), "one peer twice is one");
    machine.compare("c.example", PeerClock::Agrees);
    assert!(machine.is_proven());
    machine.pass(10);
    assert_eq!(machine.watch.doubt(), None, "the new time is the yardstick");
    machine.jump(-86_400);
    assert_eq!(machine.watch.doubt(), Some(ClockDoubt::SteppedBack));
}

#[test]
fn the_only_peer_that_agrees_ends_the_doubt_and_one_that_differs_does_not() {
    let mut machine = Machine::new();
    machine.compare("a.example", PeerClock::Agrees);
    machine.jump(86_400);
    machine.compare("a.example", PeerClock::Differs);
    assert!(!machine.is_proven());
    machine.compare("a.example", PeerClock::Agrees);
    assert!(machine.is_proven());
}

#[test]
fn as_many_peers_that_differ_outweigh_those_that_agree() {
    let mut machine = Machine::after_a_stop(7_200);
    machine.compare("a.example", PeerClock::Differs);
    machine.compare("b.example", PeerClock::Agrees);
    assert!(!machine.is_proven());
    machine.compare("c.example", PeerClock::Agrees);
    assert!(machine.is_proven());
}

#[test]
fn after_a_long_stop_only_what_cannot_be_undone_waits_for_a_peer() {
    let mut machine = Machine::after_a_stop(3_600);
    assert!(machine.is_proven(), "an hour is tolerated");
    machine = Machine::after_a_stop(3_601);
    assert_eq!((machine.watch.objection(), machine.is_proven()), (None, false));
    machine.compare("a.example", PeerClock::InDoubt);
    assert!(!machine.is_proven());
    machine.compare("a.example", PeerClock::Agrees);
    assert_eq!((machine.watch.doubt(), machine.is_proven()), (None, true));
}

#[test]
fn after_a_long_stop_without_a_peer_the_clock_is_trusted_after_a_day_and_contradicted_never() {
    let mut machine = Machine::after_a_stop(14 * 86_400);
    machine.pass(86_399);
    assert!(!machine.is_proven());
    machine.pass(1);
    assert!(machine.is_proven());
    let mut contradicted = Machine::after_a_stop(40 * 86_400);
    contradicted.compare("a.example", PeerClock::Differs);
    contradicted.pass(30 * 86_400);
    assert_eq!(contradicted.watch.doubt(), Some(ClockDoubt::Uncompared));
    contradicted.watch.confirm(contradicted.now());
    assert!(contradicted.is_proven());
}

#[test]
fn the_last_trusted_time_is_compared_at_a_start_and_not_what_a_wrong_clock_wrote() {
    let at = |seconds: i64| Some(Timestamp::from_micros(seconds * 1_000_000));
    let now = Reading { wall: Timestamp::from_micros(5_000_000 * 1_000_000), uptime: Duration::ZERO };
    let doubt = |newest_entry, trusted| {
        let mut watch = ClockWatch::default();
        watch.begin(newest_entry, trusted, now);
        watch.doubt()
    };
    assert_eq!(doubt(at(4_999_999), at(1_000_000)), Some(ClockDoubt::Uncompared));
    assert_eq!(doubt(at(1_000_000), at(4_999_999)), None, "a log in which nothing happened for long");
    assert_eq!(doubt(at(1_000_000), None), Some(ClockDoubt::Uncompared));
    assert_eq!(doubt(None, None), None, "the first start");
    assert_eq!(doubt(at(5_000_121), None), Some(ClockDoubt::SteppedBack));
}
