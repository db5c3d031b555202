//! How messages are read off a call: prost over one piece of memory.
//!
//! tonic's own codec lets prost read from the connection's buffer, which costs some nanoseconds for each of the hundreds of steps
//! through a referral. Cut off as [`bytes::Bytes`] the same steps are a comparison and an addition, and fields of type `Bytes`
//! still share the buffer.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// Writes messages of type `T` and reads messages of type `U`.
pub struct ProtoCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for ProtoCodec<T, U> {
    fn default() -> Self {
        ProtoCodec(PhantomData)
    }
}

impl<T, U> Codec for ProtoCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProtoDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> ProtoDecoder<U> {
        ProtoDecoder::default()
    }
}

/// Reads messages of type `U`.
pub struct ProtoDecoder<U>(PhantomData<U>);

impl<U> Default for ProtoDecoder<U> {
    fn default() -> Self {
        ProtoDecoder(PhantomData)
    }
}

impl<U: Message + Default> Decoder for ProtoDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        // The code that tonic's own codec gives: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
        U::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
