//! The edge to gRPC: who is calling, may they, and how an answer or a failure is written.

pub mod access;
pub mod admin;
pub mod audit;
pub mod call;
pub mod consent;
pub mod exchange;
mod farewell;
pub mod health;
pub mod inbox;
pub mod peer;
pub mod referral;
pub mod status;

#[cfg(test)]
mod tests;
