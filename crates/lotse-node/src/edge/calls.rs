//! How many calls of one connection are worked on at the same time, and what a caller's calls may keep in memory. One more is refused
//! at once, with a reason, and does not wait: what waits takes memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use super::allowance::{Allowance, overloaded};
use super::status::explain;
use super::unfinished::{Counted, Unanswered};
use super::unread::{self, Unread};

/// The services of a port as one connection sees them.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    free: Arc<Semaphore>,
    unfinished: Arc<Allowance>,
    unread: Arc<Allowance>,
}

impl Calls {
    /// Lets so many calls through at the same time; each counts until its answer begins. Of messages that are not answered, and of
    /// answers that are not read, they take what the caller is allowed.
    pub(super) fn new(routes: Routes, limit: usize, unfinished: Arc<Allowance>, unread: Arc<Allowance>) -> Calls {
        Calls { routes, free: Arc::new(Semaphore::new(limit)), unfinished, unread }
    }
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Ok(place) = self.free.clone().try_acquire_owned() else {
            return Box::pin(async { Ok(too_many().into_http()) });
        };
        let waiting = match unread::place(&self.unread) {
            Ok(waiting) => waiting,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        let unanswered = Unanswered::begin(&self.unfinished);
        let counted = |sent| Body::new(Counted::new(sent, unanswered.clone()));
        let answer = self.routes.call(request.map(counted));
        Box::pin(async move {
            let mut answer = answer.await?;
            drop(place);
            explain(answer.headers_mut());
            Ok(answer.map(|answer| Body::new(Unread::new(answer, waiting, unanswered))))
        })
    }
}

fn too_many() -> Status {
    overloaded("too many calls at the same time on this connection: wait for answers, or send the rest in one stream")
}
