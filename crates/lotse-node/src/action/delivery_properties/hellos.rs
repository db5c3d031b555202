//! Hellos: whatever has crashed or was lost, no node knows less than its peer has seen of it.

use super::Side;
use super::world::World;
use crate::action::exchange_hellos::{compare_hello, hello};

impl World {
    /// Says hello in both directions, as each stream begins.
    pub(super) async fn hellos(&self) {
        for side in Side::BOTH {
            let (from, to) = (self.node(side), self.node(side.other()));
            let said = hello(from, &to.agency).await.unwrap();
            compare_hello(&to.node, &from.agency, &said).await.unwrap();
        }
    }
}
