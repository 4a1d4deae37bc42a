//! A Series method on tonic's general machinery: what our own framing is compared with.

use std::sync::Arc;

use axum::{Router, extract::Request, routing::post};
use bytes::{Buf, BufMut, Bytes};
use futures::future::{Ready, ready};
use rutile_storeapi::thanos::SeriesRequest;
use tonic::{
    Response, Status, Streaming,
    client::Grpc as ClientGrpc,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc as ServerGrpc, ServerStreamingService},
    service::Routes,
    transport::Channel,
};

use crate::Result;

/// Messages as bytes, in both directions.
#[derive(Debug, Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(64 * 1024, 64 * 1024)
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(64 * 1024, 64 * 1024)
    }
}

#[derive(Clone)]
struct Messages(Arc<[Bytes]>);

impl ServerStreamingService<Bytes> for Messages {
    type Response = Bytes;
    type ResponseStream = futures::stream::BoxStream<'static, Result<Bytes, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Self::Future {
        let messages = Arc::clone(&self.0);
        let messages = (0..messages.len()).map(move |i| Ok(messages[i].clone()));
        let messages: Self::ResponseStream = Box::pin(futures::stream::iter(messages));
        ready(Ok(Response::new(messages)))
    }
}

/// A server that answers Series with these messages.
pub(crate) fn routes(messages: Vec<Bytes>) -> Routes {
    let messages = Messages(messages.into());
    let series = post(async move |request: Request| {
        ServerGrpc::new(BytesCodec)
            .server_streaming(messages.clone(), request)
            .await
    });
    Routes::from(Router::new().route("/thanos.Store/Series", series))
}

/// Calls Series and counts bytes and messages.
pub(crate) async fn read(channel: Channel, request: &SeriesRequest) -> Result<(usize, usize)> {
    let mut client = ClientGrpc::new(channel).max_decoding_message_size(usize::MAX);
    client.ready().await?;
    let request = Bytes::from(prost::Message::encode_to_vec(request));
    let path = http::uri::PathAndQuery::from_static("/thanos.Store/Series");
    let response = client
        .server_streaming(tonic::Request::new(request), path, BytesCodec)
        .await?;
    let mut answer: Streaming<Bytes> = response.into_inner();
    let (mut bytes, mut messages) = (0, 0);
    while let Some(message) = answer.message().await? {
        bytes += message.len();
        messages += 1;
    }
    Ok((bytes, messages))
}
