//! Chance from a seed that is told, so that a run can be repeated.

use lotse_core::random::Random;
use lotse_node::ambient::SystemRandom;

use crate::setting;

/// The variable that repeats a run.
const SEED: &str = "LOTSE_SEED";

/// Draws numbers (SplitMix64).
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Draws from the seed of `LOTSE_SEED`, else from a new one.
    pub fn from_environment() -> anyhow::Result<Dice> {
        let mut bytes = [0; 4];
        SystemRandom.fill(&mut bytes);
        let seed = setting::number(SEED, u32::from_le_bytes(bytes).into())?;
        Ok(Dice { seed, state: seed })
    }

    /// The seed, to be told.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.state;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % end.max(1)
    }

    /// Puts things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
