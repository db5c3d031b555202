//! A work on its way through an engine: it runs, keeps its result, and is answered after the commit.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::counters::Meter;
use super::{StoreError, Tx};

/// A work with its result type taken away.
pub(super) trait Job: Send {
    /// Runs the work and keeps its result. May be called again after a rollback.
    fn run<'t>(&'t mut self, tx: &'t mut Tx, meter: &'t Meter) -> BoxFuture<'t, Result<(), StoreError>>;

    /// Answers the caller: with the kept result, or with the error.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);

    /// Tells whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

/// A work, the place for its result and the caller who waits.
pub(super) struct Waiting<T, W> {
    pub(super) name: &'static str,
    pub(super) work: W,
    pub(super) result: Option<T>,
    pub(super) caller: oneshot::Sender<Result<T, StoreError>>,
    pub(super) span: tracing::Span,
}

impl<T, W> Job for Waiting<T, W>
where
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync,
    T: Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx, meter: &'t Meter) -> BoxFuture<'t, Result<(), StoreError>> {
        let span = self.span.clone();
        let run = async move {
            self.result = Some(run_once(self.name, &self.work, tx, meter).await?);
            Ok(())
        };
        Box::pin(run.instrument(span))
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Waiting { name, result, caller, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or(StoreError::Panicked(name)));
        // A caller that went away gets no answer; the work stays as it is.
        let _ = caller.send(answer);
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }
}

/// A work that only reads, once, and whose caller may leave before it has ended.
pub(super) struct Asking<T, W> {
    pub(super) name: &'static str,
    pub(super) work: Option<W>,
    pub(super) result: Option<T>,
    pub(super) caller: oneshot::Sender<Result<T, StoreError>>,
    pub(super) span: tracing::Span,
}

impl<T, W> Job for Asking<T, W>
where
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send,
    T: Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx, meter: &'t Meter) -> BoxFuture<'t, Result<(), StoreError>> {
        let Asking { name, work, result, caller, span } = self;
        let read = async move {
            let Some(work) = work.take() else { return Err(StoreError::Panicked(name)) };
            tokio::select! {
                biased;
                read = run_once(name, work, tx, meter) => *result = Some(read?),
                () = caller.closed() => {}
            }
            Ok(())
        };
        Box::pin(read.instrument(span.clone()))
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Asking { name, result, caller, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or(StoreError::Panicked(name)));
        // A caller that went away gets no answer.
        let _ = caller.send(answer);
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }
}

/// Runs a work once. A panic is an error like another, and so is a statement whose failure the work did not pass on: on
/// PostgreSQL such a transaction can no longer be committed.
pub(super) async fn run_once<T, W>(name: &'static str, work: W, tx: &mut Tx, meter: &Meter) -> Result<T, StoreError>
where
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>>,
{
    let run = AssertUnwindSafe(async { work(tx).await }).catch_unwind().await;
    let (statements, rows, failed) = tx.take_run();
    meter.count_run(name, statements, rows);
    match (run, failed) {
        (Err(_), _) => Err(StoreError::Panicked(name)),
        (Ok(Ok(_)), Some(error)) => Err(error),
        (Ok(result), _) => result,
    }
}
