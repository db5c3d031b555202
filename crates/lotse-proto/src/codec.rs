//! How messages are read off a call: prost over one piece of memory.
//!
//! tonic's own codec lets prost read from the connection's buffer, which costs some nanoseconds for each of the hundreds of steps
//! through a referral. Cut off as [`bytes::Bytes`] the same steps are a comparison and an addition, and fields of type `Bytes`
//! still share the buffer.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::schema::{ListBounded, ListError};

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
    U: Message + Default + ListBounded + Send + 'static,
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

impl<U: Message + Default + ListBounded> Decoder for ProtoDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        read(buffer.copy_to_bytes(buffer.remaining())).map(Some)
    }
}

/// Reads a message whose lists take no more memory than is allowed. Codes are those that tonic's own codec gives to a message that is
/// malformed or too large: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
pub(crate) fn read<U: Message + Default + ListBounded>(message: Bytes) -> Result<U, Status> {
    U::check_lists(&message).map_err(|error| match error {
        ListError::TooLarge => Status::out_of_range(error.to_string()),
        ListError::Malformed(_) => Status::internal(error.to_string()),
    })?;
    U::decode(message).map_err(|error| Status::internal(error.to_string()))
}
