//! Delivery under everything that can happen at once: a seeded list of ops over two nodes with real databases. What the stream
//! carries is lost, doubled, delayed and reordered; nodes restart; consents are withdrawn while their batches are on their way.
//! After every op the properties of `oracle` must hold, at the end everything that still may go must have arrived.
//!
//! `LOTSE_SEED` begins at another seed, `LOTSE_RUNS` does more of them. A run that breaks a property is shrunk to a short list of
//! ops, which is then pinned below as a story.

mod entries;
mod forgeries;
mod hellos;
mod levels;
mod oracle;
mod people;
mod world;

use lotse_core::feedback::FeedbackLevel;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use world::World;

/// Runs in the gate.
const RUNS: u64 = 10;
/// Ops of a run.
const OPS: usize = 90;
/// Times that a broken run is tried shorter.
const SHRINKS: usize = 200;

/// Bits of every feedback level.
const ALL_LEVELS: u8 = 0x0f;

/// Which of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Owner,
    Holder,
}

/// What can be suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    Peer,
    Agreement,
}

/// One thing that happens. Numbers name things by their place in what there is, round and round; with nothing there, nothing
/// happens.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A person consents to these categories (bits) for so many days, and to being reported back so much.
    Consent { person: u8, categories: u16, days: u8, feedback: FeedbackLevel },
    /// A system hands a referral over, maybe under a key that was used before.
    Submit { key: u8, person: u8, categories: u16, at_once: bool, leave_out: bool },
    /// The courier claims what is due.
    Claim(Side),
    /// The courier claims what is in doubt.
    ClaimAgain(Side),
    /// A batch arrives: for the first time, or again, or long after its lease has ended.
    Deliver(u8),
    /// A receipt arrives, maybe again, maybe late.
    Receipt(u8),
    /// A lease ends without a receipt: the stream is reset.
    Lapse(u8),
    /// A consent is withdrawn: these categories, or all of it.
    Withdraw { consent: u8, categories: u16 },
    /// A node suspends the other or the agreement.
    Suspend(Side, Bond),
    /// And lifts that.
    Resume(Side, Bond),
    /// A node crashes and starts again.
    Restart(Side),
    /// Time passes, in minutes.
    Turn(u16),
    /// Housekeeping at both nodes.
    Jobs,
    /// The holder answers a referral, maybe with an outcome, or a note, which no clause allows.
    Answer { referral: u8, completes: bool, tells_more: bool },
    /// The next version of the agreement is sealed, with these feedback levels (bits); it is in force two days later.
    NextVersion { levels: u8 },
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![2 => Just(Side::Owner), 1 => Just(Side::Holder)]
}

fn bond() -> impl Strategy<Value = Bond> {
    prop_oneof![Just(Bond::Peer), Just(Bond::Agreement)]
}

/// Categories of a consent: mostly all that the clause allows but a few.
fn consented() -> impl Strategy<Value = u16> {
    prop_oneof![5 => any::<(u16, u16)>().prop_map(|(a, b)| 0x03ff & !(a & b & 0x037e)), 2 => any::<u16>()]
}

/// Categories of a referral: mostly such as a consent covers.
fn written() -> impl Strategy<Value = u16> {
    prop_oneof![6 => any::<(u16, u16)>().prop_map(|(a, b)| 0x03ff & a & b), 2 => any::<u16>().prop_map(|a| a & 0x0fff), 1 => any::<u16>()]
}

fn op() -> impl Strategy<Value = Op> {
    let consent = (0..4u8, consented(), 5..180u8, prop::sample::select(FeedbackLevel::ALL.to_vec()));
    let submit = (0..40u8, 0..4u8, written(), any::<bool>(), any::<bool>());
    let withdraw = (any::<u8>(), prop_oneof![1 => Just(0), 2 => any::<u16>()]);
    prop_oneof![
        6 => consent.prop_map(|(person, categories, days, feedback)| Op::Consent { person, categories, days, feedback }),
        16 => submit.prop_map(|(key, person, categories, at_once, leave_out)| Op::Submit { key, person, categories, at_once, leave_out }),
        9 => side().prop_map(Op::Claim),
        8 => side().prop_map(Op::ClaimAgain),
        16 => any::<u8>().prop_map(Op::Deliver),
        14 => any::<u8>().prop_map(Op::Receipt),
        8 => any::<u8>().prop_map(Op::Lapse),
        5 => withdraw.prop_map(|(consent, categories)| Op::Withdraw { consent, categories }),
        2 => (side(), bond()).prop_map(|(side, bond)| Op::Suspend(side, bond)),
        4 => (side(), bond()).prop_map(|(side, bond)| Op::Resume(side, bond)),
        3 => side().prop_map(Op::Restart),
        5 => prop_oneof![6 => 1..40u16, 1 => 600..30_000u16].prop_map(Op::Turn),
        2 => Just(Op::Jobs),
        5 => (any::<u8>(), any::<bool>(), prop::bool::weighted(0.4))
            .prop_map(|(referral, completes, tells_more)| Op::Answer { referral, completes, tells_more }),
        1 => levels().prop_map(|levels| Op::NextVersion { levels }),
    ]
}

/// Feedback levels of a clause, by bits, at least one.
fn levels() -> impl Strategy<Value = u8> {
    1..1u8 << FeedbackLevel::ALL.len()
}

/// The feedback levels of the agreement's first version, and what happens.
type SeededStory = (u8, Vec<Op>);

/// Plays a story; returns what broke, and after which op.
fn play((levels, ops): &SeededStory) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::with_levels(*levels).await;
        for (place, op) in ops.iter().enumerate() {
            world.happen(op).await;
            world.check().await.map_err(|broken| format!("after op {place}, {op:?}: {broken}"))?;
        }
        world.come_to_rest().await;
        world.check().await.map_err(|broken| format!("at rest: {broken}"))?;
        world.check_rest().await.map_err(|broken| format!("at rest: {broken}"))
    })
}

fn number_of(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

/// The story of a seed.
fn story(seed: u64) -> impl ValueTree<Value = SeededStory> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (levels(), proptest::collection::vec(op(), OPS)).new_tree(&mut runner).unwrap()
}

/// Finds a short story that breaks too.
fn shrink(mut tree: impl ValueTree<Value = SeededStory>, mut broken: String) -> (SeededStory, String) {
    let mut shortest = tree.current();
    let mut goes_on = tree.simplify();
    for _ in 0..SHRINKS {
        if !goes_on {
            break;
        }
        let tried = tree.current();
        goes_on = match play(&tried) {
            Err(why) => {
                (shortest, broken) = (tried, why);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    (shortest, broken)
}

#[test]
fn whatever_happens_only_what_is_covered_leaves_and_everything_has_one_effect() -> Result<(), TestCaseError> {
    let first = number_of("LOTSE_SEED", 1);
    for seed in first..first + number_of("LOTSE_RUNS", RUNS) {
        let tree = story(seed);
        if let Err(broken) = play(&tree.current()) {
            let (shortest, broken) = shrink(tree, broken);
            return Err(TestCaseError::fail(format!("LOTSE_SEED={seed}: {broken}\n{shortest:#?}")));
        }
    }
    Ok(())
}

/// What a recipient says twice of one envelope, in two batches, says nothing of the next envelope of the same record.
#[test]
fn a_late_again_for_an_old_envelope_leaves_the_new_one_in_doubt() {
    let ops = vec![
        Op::Consent { person: 0, categories: 0x03ff, days: 90, feedback: FeedbackLevel::Status },
        Op::Suspend(Side::Holder, Bond::Peer),
        Op::Submit { key: 0, person: 0, categories: 0, at_once: true, leave_out: false },
        Op::Deliver(0),
        Op::Lapse(0),
        Op::ClaimAgain(Side::Owner),
        Op::Deliver(1),
        Op::Receipt(0),
        Op::Resume(Side::Holder, Bond::Peer),
        Op::Turn(20),
        Op::Claim(Side::Owner),
        Op::Receipt(1),
        Op::Turn(20),
        Op::Claim(Side::Owner),
        Op::Deliver(2),
        Op::Deliver(3),
    ];
    play(&(ALL_LEVELS, ops)).unwrap();
}

/// The frozen bytes name a category that was withdrawn since, though they contain nothing of it: they are of an old epoch.
#[test]
fn bytes_of_an_old_epoch_are_not_sent_again_even_if_they_contain_nothing_that_was_withdrawn() {
    let skills = 1 << 8;
    let ops = vec![
        Op::Consent { person: 0, categories: 0x03ff, days: 90, feedback: FeedbackLevel::Status },
        Op::Submit { key: 0, person: 0, categories: 0, at_once: true, leave_out: false },
        Op::Lapse(0),
        Op::Withdraw { consent: 0, categories: skills },
        Op::ClaimAgain(Side::Owner),
    ];
    play(&(ALL_LEVELS, ops)).unwrap();
}
