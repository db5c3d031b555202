//! A line: what the connections of one channel hang on, so that they can be cut at once. Whoever lets go of a stream only says
//! that it wants no more: what was queued on it by then is still sent, by HTTP/2 and then by the kernel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The connections of one channel. However one of them ends, what it has not sent by then is thrown away.
#[derive(Clone, Default)]
pub struct Line {
    cut: CancellationToken,
    connections: TaskTracker,
}

impl Line {
    /// Closes the connections without sending anything more, and returns when they are closed; one that would be opened later sends
    /// nothing.
    pub async fn cut(&self) {
        self.cut.cancel();
        self.connections.close();
        self.connections.wait().await;
    }

    /// Ties a connection over a socket to the line. The kernel forgets what it had taken and could not send when the socket is
    /// closed, whoever closes it: a connection that ended by itself can no longer be cut.
    pub(super) fn tie(&self, socket: &TcpStream) -> io::Result<Tie> {
        socket.set_zero_linger()?;
        Ok(Tie { cut: Box::pin(self.cut.clone().cancelled_owned()), _connection: self.connections.token() })
    }
}

/// Ties a connection to its line, until it is dropped.
pub(super) struct Tie {
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _connection: TaskTrackerToken,
}

impl Tie {
    /// Fails once the line is cut, and wakes whoever asks when that happens.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut by its own side"))
            }
        }
    }
}
