//! A line: what the connections of one channel hang on, so that they can be cut at once. Whoever lets go of a stream only says
//! that it wants no more: what was queued on it by then is still sent, by HTTP/2 and then by the kernel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The connections of one channel.
#[derive(Clone, Default)]
pub struct Line {
    cut: CancellationToken,
    connections: TaskTracker,
}

impl Line {
    /// Closes the connections without sending anything more, and returns when they are closed. What they had not sent is thrown
    /// away, also what the kernel had taken and could not send yet; one that would be opened later sends nothing.
    pub async fn cut(&self) {
        self.cut.cancel();
        self.connections.close();
        self.connections.wait().await;
    }

    /// Ties a connection to the line. `abort` makes its stream throw away what it has not sent when it is closed.
    pub(super) fn tie<S>(&self, abort: fn(&S) -> io::Result<()>) -> Tie<S> {
        Tie { cut: Box::pin(self.cut.clone().cancelled_owned()), abort, _connection: self.connections.token() }
    }
}

/// Ties a connection to its line, until it is dropped.
pub(super) struct Tie<S> {
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    abort: fn(&S) -> io::Result<()>,
    _connection: TaskTrackerToken,
}

impl<S> Tie<S> {
    /// Fails once the line is cut, and wakes whoever asks when that happens.
    pub(super) fn poll(&mut self, stream: &S, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                (self.abort)(stream)?;
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut by its own side"))
            }
        }
    }
}
