//! Stories: what whole nodes do to each other, and the tidy test of the tree itself.

mod catalogue;
mod json_schema;
mod tidy;
