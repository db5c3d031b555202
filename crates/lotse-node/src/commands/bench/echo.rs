//! The yardstick R: a bare unary echo over the ports, channels and TLS files that nodes use, in a process of its own. It contains
//! nothing else, not even protobuf.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{Buf, Bytes};
use clap::Args;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::encoded::AsTheyAre;
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::edge::{Port, serve};
use crate::tls::{Credentials, Door, TrustStore};

const PATH: &str = "/lotse.bench.Echo/Echo";

/// Serves the echo with the certificate of a node's folder, prints its address, and goes on until it is ended.
#[derive(Args)]
pub(crate) struct EchoServer {
    #[command(flatten)]
    folder: FolderArgument,
}

impl EchoServer {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let config = Config::load(&folder)?;
        let trust = Arc::new(TrustStore::default());
        let credentials = Arc::new(Credentials::load(config.files.tls(&folder), trust, context.clock.now())?);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        context.terminal.line(listener.local_addr()?)?;
        let port = Port::new(listener, Door::Agency, &credentials, context.clock.clone(), config.listen.limits())?;
        serve(port, Routes::new(Echo), CancellationToken::new()).await;
        Ok(())
    }
}

/// Calls the echo with so many calls in flight for a while and returns how many per second came back.
pub(super) async fn rate(
    channel: &Channel,
    payload: &Bytes,
    in_flight: usize,
    length: Duration,
) -> anyhow::Result<f64> {
    call(&mut tonic::client::Grpc::new(channel.clone()), payload).await?;
    let begin = Instant::now();
    let deadline = begin + length;
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (mut client, payload) = (tonic::client::Grpc::new(channel.clone()), payload.clone());
        callers.spawn(async move {
            let mut answered: u64 = 0;
            loop {
                call(&mut client, &payload).await?;
                if Instant::now() >= deadline {
                    return anyhow::Ok(answered);
                }
                answered += 1;
            }
        });
    }
    let mut answered = 0;
    while let Some(caller) = callers.join_next().await {
        answered += caller??;
    }
    Ok(answered as f64 / length.as_secs_f64())
}

async fn call(client: &mut tonic::client::Grpc<Channel>, payload: &Bytes) -> anyhow::Result<()> {
    client.ready().await.context("the echo does not answer")?;
    let answer = client.unary(Request::new(payload.clone()), PathAndQuery::from_static(PATH), Plain).await?;
    anyhow::ensure!(answer.get_ref().len() == payload.len(), "the echo answered something else");
    Ok(())
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = AsTheyAre;
    type Decoder = Plain;

    fn encoder(&mut self) -> AsTheyAre {
        AsTheyAre
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

/// The service, by hand: one that came from `proto/` would be part of the public interface.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "lotse.bench.Echo";
}

impl tower::Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(Plain).unary(Echo, request).await) })
    }
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}
