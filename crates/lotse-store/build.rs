//! Tells cargo that a new migration changes this crate.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
