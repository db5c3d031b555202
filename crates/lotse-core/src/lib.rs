//! The rules of Lotse: what may be released, held, sealed and logged.
//!
//! Everything here is pure. Time, randomness and identifiers come in as arguments; nothing reads a file, a socket or a
//! database. The node decides by calling these functions inside its transactions and writes down what they return.

pub mod agency;
pub mod agreement;
pub mod answer;
pub mod card;
pub mod category;
pub mod consent;
pub mod custody;
pub mod delivery;
pub mod feedback;
pub mod id;
pub mod key;
pub mod keyed;
pub mod log;
pub mod numbers;
pub mod purpose;
pub mod random;
pub mod reason;
pub mod referral;
pub mod release;
pub mod seal;
pub mod set;
pub mod time;
