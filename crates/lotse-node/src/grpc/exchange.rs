//! The exchange stream as the recipient serves it: batches in, receipts out.

use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::peer::v1::{ExchangeRequest, ExchangeResponse, exchange_request, exchange_response};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::action::exchange_hellos::{compare_hello, hello, observe_again, observe_hello};
use crate::action::take_batch::take_batch;
use crate::edge::{Caller, Share, Shares};
use crate::failure::{ErrorKind, Failure};
use crate::instance::InstanceId;
use crate::node::Node;
use crate::wire::batch::fits;

/// Batches of one stream that are taken at once.
const BATCHES_AT_ONCE: usize = 4;

/// Exchange streams of one agency at the same time: its own, the next one while connections change, and those whose end nobody has
/// noticed yet.
pub const STREAMS_OF_ONE_PEER: usize = 4;

/// How long the sender may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// The answer to an exchange call.
pub type Receipts = ReceiverStream<Result<ExchangeResponse, Status>>;

/// Serves one stream.
pub async fn exchange(
    node: Arc<Node>,
    caller: Caller,
    streams: &Arc<Shares<AgencyId>>,
    request: Request<Streaming<ExchangeRequest>>,
) -> Result<Response<Receipts>, Status> {
    let mut inbound = request.into_inner();
    let peer = caller.identity().agency().clone();
    let share = streams.take(peer.clone()).ok_or_else(too_many_streams)?;
    let first = tokio::time::timeout(HELLO_DEADLINE, inbound.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("say hello first"))??;
    let its = match first.and_then(|message| message.frame) {
        Some(exchange_request::Frame::Hello(hello)) if observe_hello(&node, &peer, &hello) => hello,
        _ => return Err(invalid("the first frame must be a hello of the calling agency").into()),
    };
    compare_hello(&node, &peer, &its).await?;
    let (out, receipts) = mpsc::channel(BATCHES_AT_ONCE);
    let answer = exchange_response::Frame::Hello(hello(&node, &peer).await.map_err(Failure::from)?);
    // The channel has room for it and its receiver is here.
    let _ = out.send(Ok(ExchangeResponse { frame: Some(answer) })).await;
    let instance = InstanceId::parse(&its.instance);
    tokio::spawn(serve(Exchange { node, caller, out, instance, _share: share }, inbound));
    Ok(Response::new(ReceiverStream::new(receipts)))
}

struct Exchange {
    node: Arc<Node>,
    caller: Caller,
    out: mpsc::Sender<Result<ExchangeResponse, Status>>,
    /// Run of the peer's node that opened the stream.
    instance: Option<InstanceId>,
    /// Kept as long as a batch of the stream is worked on, whether or not its connection is still there.
    _share: Share<AgencyId>,
}

async fn serve(exchange: Exchange, mut inbound: Streaming<ExchangeRequest>) {
    let exchange = Arc::new(exchange);
    let places = Arc::new(Semaphore::new(BATCHES_AT_ONCE));
    let replaced = exchange.clone();
    let mut replaced = Box::pin(async move { replaced.replaced().await });
    loop {
        let message = tokio::select! {
            () = exchange.out.closed() => return,
            () = &mut replaced => {
                let _ = exchange.out.send(Err(Failure::refused(Reason::NodeStateInDoubt).into())).await;
                return;
            }
            () = exchange.node.signals.stopping.cancelled() => return exchange.leave(&places).await,
            message = inbound.message() => message,
        };
        let batch = match message {
            Ok(Some(ExchangeRequest { frame: Some(exchange_request::Frame::Batch(batch)) })) => batch,
            Ok(Some(ExchangeRequest { frame: Some(exchange_request::Frame::Hello(hello)) })) => {
                observe_again(&exchange.node, exchange.caller.identity().agency(), &hello);
                continue;
            }
            Ok(Some(ExchangeRequest { frame: None })) => {
                let _ = exchange.out.send(Err(invalid("a frame must carry a batch").into())).await;
                return;
            }
            Ok(None) => return,
            Err(status) => {
                let _ = exchange.out.send(Err(status)).await;
                return;
            }
        };
        if !fits(&batch) {
            return exchange.take(batch).await;
        }
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let exchange = exchange.clone();
        tokio::spawn(async move {
            exchange.take(batch).await;
            drop(place);
        });
    }
}

impl Exchange {
    /// Waits until another run of the peer's node has spoken.
    async fn replaced(&self) {
        self.node.instances.replaced(self.caller.identity().agency(), self.instance).await;
    }

    /// Ends the stream once what was begun is answered; the sender sends the rest when the node is back.
    async fn leave(&self, places: &Semaphore) {
        // The semaphore is never closed.
        let _ = places.acquire_many(BATCHES_AT_ONCE as u32).await;
        let _ = self.out.send(Err(Failure::stopping().into())).await;
    }

    /// Takes one batch. A batch that is refused as a whole ends the stream: what it carried stays in doubt at its sender.
    async fn take(&self, batch: proto::Batch) {
        let answer = match self.caller.check() {
            Err(refusal) => Err(Status::unauthenticated(refusal.to_string())),
            Ok(()) => {
                let peer = self.caller.identity().agency();
                let receipt = take_batch(&self.node, peer, batch).await;
                let frame = receipt.map(|receipt| Some(exchange_response::Frame::Receipt(receipt)));
                frame.map(|frame| ExchangeResponse { frame }).map_err(Status::from)
            }
        };
        // The sender may have gone; it asks again with the same bytes.
        let _ = self.out.send(answer).await;
    }
}

fn too_many_streams() -> Failure {
    let message = "this agency has too many exchange streams: use one, and open the next when it has ended";
    Failure::new(ErrorKind::Overloaded, Reason::Overloaded, message)
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorKind::Invalid, Reason::FieldInvalid, message)
}
