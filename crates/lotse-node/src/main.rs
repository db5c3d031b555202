//! The program `lotse`.
fn main() {}
