//! Messages that are encoded already: what the benchmark sends must not cost it time that the nodes could use.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use lotse_proto::codec::ProtoDecoder;
use lotse_proto::schema::ListBounded;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};

/// Sends bytes as they are; answers are messages of type `T`.
pub(super) struct Encoded<T>(PhantomData<T>);

impl<T> Default for Encoded<T> {
    fn default() -> Self {
        Encoded(PhantomData)
    }
}

impl<T: Message + Default + ListBounded + Send + 'static> Codec for Encoded<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = AsTheyAre;
    type Decoder = ProtoDecoder<T>;

    fn encoder(&mut self) -> AsTheyAre {
        AsTheyAre
    }

    fn decoder(&mut self) -> ProtoDecoder<T> {
        ProtoDecoder::default()
    }
}

/// Writes bytes as they are.
#[derive(Clone, Copy, Default)]
pub(super) struct AsTheyAre;

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}
