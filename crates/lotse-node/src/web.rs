//! The officers' pages: the exchange log, peers and agreements in a browser, in German and English.
//!
//! Rendered here, without any script. Nothing is shown before it is known who looks and the look is logged; everything shown
//! comes from the same actions that the audit service and the commands use. What other agencies wrote is shown as text.

mod agreement;
mod agreements;
mod assets;
mod entrance;
mod entry;
mod filter;
mod foreign;
mod frame;
mod headers;
mod language;
mod log;
mod moment;
mod overview;
mod peers;
mod problem;
mod proof;
mod reader;
mod router;
mod seen;
mod visit;

#[cfg(test)]
mod tests;

pub use router::router;
