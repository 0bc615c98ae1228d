//! A tonic codec that carries serde values as CBOR.

use bytes::{Buf, BufMut};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Largest frame, in bytes: a document delta of a whole host fits.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Encodes `E`, decodes `D`.
pub struct Cbor<E, D>(PhantomData<fn() -> (E, D)>);

impl<E, D> Default for Cbor<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E, D> Codec for Cbor<E, D>
where
    E: Serialize + Send + 'static,
    D: DeserializeOwned + Send + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = Writer<E>;
    type Decoder = Reader<D>;
    fn encoder(&mut self) -> Writer<E> {
        Writer(PhantomData)
    }
    fn decoder(&mut self) -> Reader<D> {
        Reader(PhantomData)
    }
}

/// Writes frames.
pub struct Writer<E>(PhantomData<fn(E)>);
/// Reads frames.
pub struct Reader<D>(PhantomData<fn() -> D>);

impl<E: Serialize> Encoder for Writer<E> {
    type Item = E;
    type Error = Status;
    fn encode(&mut self, item: E, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        ciborium::into_writer(&item, to.writer())
            .map_err(|e| Status::internal(format!("frame not written: {e}")))
    }
}

impl<D: DeserializeOwned> Decoder for Reader<D> {
    type Item = D;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        if !from.has_remaining() {
            return Err(Status::invalid_argument("an empty frame"));
        }
        ciborium::from_reader(from.reader())
            .map(Some)
            .map_err(|e| Status::invalid_argument(format!("frame not understood: {e}")))
    }
}
