//! The highest numbers of a node: by them a node that was put back from a backup or a snapshot is noticed by its peers.

use crate::id::Sequence;

/// The highest numbers that a node has given towards a peer, or that a peer says it has seen of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HighestNumbers {
    /// Generation of the node.
    pub generation: u32,
    /// Epoch of a consent.
    pub epoch: Sequence,
    /// Revision of a record.
    pub revision: Sequence,
    /// Number of a receipt.
    pub receipt: Sequence,
}

impl HighestNumbers {
    /// Tells whether one of them is above what is known: whoever knows only that knows too little.
    pub fn exceed(&self, known: &HighestNumbers) -> bool {
        self.generation > known.generation
            || self.epoch > known.epoch
            || self.revision > known.revision
            || self.receipt > known.receipt
    }

    /// Returns the higher one of each.
    #[must_use]
    pub fn max(&self, other: &HighestNumbers) -> HighestNumbers {
        HighestNumbers {
            generation: self.generation.max(other.generation),
            epoch: self.epoch.max(other.epoch),
            revision: self.revision.max(other.revision),
            receipt: self.receipt.max(other.receipt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: HighestNumbers = HighestNumbers {
        generation: 2,
        epoch: Sequence::new(2, 5),
        revision: Sequence::new(2, 5),
        receipt: Sequence::new(2, 5),
    };

    #[test]
    fn each_number_that_is_higher_exceeds_and_no_lower_one_makes_up_for_it() {
        assert!(!KNOWN.exceed(&KNOWN) && !HighestNumbers::default().exceed(&KNOWN));
        let higher = Sequence::new(2, 6);
        let none = HighestNumbers::default();
        for one in [
            HighestNumbers { generation: 3, ..none },
            HighestNumbers { epoch: higher, ..none },
            HighestNumbers { revision: higher, ..none },
            HighestNumbers { receipt: higher, ..none },
        ] {
            assert!(one.exceed(&KNOWN), "{one:?}");
            assert!(!one.exceed(&KNOWN.max(&one)), "{one:?}");
        }
        let restored = HighestNumbers { revision: Sequence::new(1, 900), ..none };
        assert!(!restored.exceed(&KNOWN), "a new generation is above all that was");
    }
}
