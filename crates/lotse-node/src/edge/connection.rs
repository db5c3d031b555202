//! One connection: a TLS stream that ends when its certificate stops counting or it has become too old.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;

use super::line::Tie;
use crate::tls::Standing;

/// Who is at the other end. It travels with each request of the connection.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    /// The other end's address.
    pub remote: SocketAddr,
    /// The certificate; `None` only at the pages' port.
    pub standing: Option<Arc<Standing>>,
}

/// A stream whose every read and write first asks whether the other end's certificate still counts. So no service can
/// forget to: a revoked, expired or no longer trusted caller neither sends nor gets another byte.
pub struct Connection<S> {
    stream: S,
    info: ConnectInfo,
    too_old: Pin<Box<Sleep>>,
    greeting: Option<Greeting>,
    /// Behind the stream: whoever waits for the line to be cut waits until that is closed.
    tie: Option<Tie>,
    closed: CancellationToken,
    _on_drop: (DropGuard, Box<dyn Send>),
}

/// What the other end still has to say, and by when.
struct Greeting {
    missing: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    /// Takes a stream after its handshake. `held` is kept as long as the connection lives.
    pub(super) fn new(stream: S, info: ConnectInfo, max_age: Duration, held: Box<dyn Send>) -> Connection<S> {
        let closed = CancellationToken::new();
        let on_drop = (closed.clone().drop_guard(), held);
        let too_old = Box::pin(tokio::time::sleep(max_age));
        Connection { stream, info, too_old, greeting: None, tie: None, closed, _on_drop: on_drop }
    }

    /// Ends the connection when its line is cut.
    pub(super) fn tied(mut self, tie: Tie) -> Connection<S> {
        self.tie = Some(tie);
        self
    }

    /// Ends the connection unless so many bytes have arrived by then: signs of life are asked for only once HTTP/2 is spoken.
    pub(super) fn expecting(mut self, bytes: usize, within: Duration) -> Connection<S> {
        self.greeting = Some(Greeting { missing: bytes, until: Box::pin(tokio::time::sleep(within)) });
        self
    }

    /// Returns who is at the other end.
    pub fn info(&self) -> &ConnectInfo {
        &self.info
    }

    /// Returns what is cancelled when the connection is dropped.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    fn poll_tie(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.tie.as_mut().map_or(Ok(()), |tie| tie.poll(cx))
    }

    fn check(&self) -> io::Result<()> {
        if self.too_old.is_elapsed() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection has reached its greatest age"));
        }
        let Some(standing) = &self.info.standing else { return Ok(()) };
        standing.check().map_err(|refusal| {
            tracing::info!(identity = %standing.identity(), %refusal, "connection closed: its certificate stopped counting");
            io::Error::new(io::ErrorKind::PermissionDenied, refusal)
        })
    }
}

impl Greeting {
    /// Counts what was read; fails once the time is over and something is missing.
    fn poll(greeting: &mut Option<Greeting>, read: usize, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(Greeting { missing, until }) = greeting else { return Ok(()) };
        *missing = missing.saturating_sub(read);
        if *missing == 0 {
            *greeting = None;
        } else if until.as_mut().poll(cx).is_ready() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the caller did not begin to speak in time"));
        }
        Ok(())
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> ConnectInfo {
        self.info.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_tie(cx)?;
        let _ = this.too_old.as_mut().poll(cx);
        let filled = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        // Asked after reading, so that bytes which arrive later than the change are not handed on.
        let said = buf.filled().len() - filled;
        if let Err(error) = this.check().and_then(|()| Greeting::poll(&mut this.greeting, said, cx)) {
            buf.set_filled(filled);
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_tie(cx)?;
        this.check()?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_tie(cx)?;
        this.check()?;
        Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_tie(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_tie(cx)?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
