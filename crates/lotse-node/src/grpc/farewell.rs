//! How a stream ends on which a caller still sends when the node stops.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tonic::{Status, Streaming};

use crate::failure::Failure;

/// How long the node reads what a caller still sends. Whoever has read the status sends no more.
const LINGER: Duration = Duration::from_secs(2);

/// Says that the node stops, and reads on for a moment without acting on it: a connection that is closed with unread bytes is
/// reset, and the caller would never see why.
pub(super) async fn farewell<A, Q>(out: &Sender<Result<A, Status>>, mut inbound: Streaming<Q>) {
    // The caller may have gone already.
    let _ = out.send(Err(Failure::stopping().into())).await;
    let _ = tokio::time::timeout(LINGER, async { while let Ok(Some(_)) = inbound.message().await {} }).await;
}
