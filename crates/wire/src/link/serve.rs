//! The controller's end of the link.

use super::codec::{Cbor, FRAME_BYTES_MAX};
use super::frame::{FetchRequest, FetchedBlob, JoinReply, JoinRequest, StreamPart, ToAgent, ToController};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};

/// Frames towards an agent.
pub type Outgoing<T> = BoxStream<'static, Result<T, Status>>;

/// What a controller does with calls. The caller's certificates are in the request's extensions.
pub trait LinkService: Send + Sync + 'static {
    /// A new host joins.
    fn join(&self, request: Request<JoinRequest>) -> BoxFuture<'static, Result<Response<JoinReply>, Status>>;
    /// A host's session.
    fn session(
        &self,
        request: Request<Streaming<ToController>>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<ToAgent>>, Status>>;
    /// A stream that the controller asked the agent to open.
    fn stream(
        &self,
        request: Request<Streaming<StreamPart>>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<StreamPart>>, Status>>;
    /// Blobs.
    fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<FetchedBlob>>, Status>>;
}

/// The gRPC service `lace.v1.Link`.
pub struct LinkServer<S>(Arc<S>);

impl<S> LinkServer<S> {
    /// Serves calls with `service`.
    pub fn new(service: Arc<S>) -> Self {
        Self(service)
    }
}

impl<S> Clone for LinkServer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> NamedService for LinkServer<S> {
    const NAME: &'static str = "lace.v1.Link";
}

struct Call<S>(Arc<S>);

impl<S: LinkService> UnaryService<JoinRequest> for Call<S> {
    type Response = JoinReply;
    type Future = BoxFuture<'static, Result<Response<JoinReply>, Status>>;
    fn call(&mut self, request: Request<JoinRequest>) -> Self::Future {
        self.0.join(request)
    }
}

impl<S: LinkService> StreamingService<ToController> for Call<S> {
    type Response = ToAgent;
    type ResponseStream = Outgoing<ToAgent>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;
    fn call(&mut self, request: Request<Streaming<ToController>>) -> Self::Future {
        self.0.session(request)
    }
}

impl<S: LinkService> StreamingService<StreamPart> for Call<S> {
    type Response = StreamPart;
    type ResponseStream = Outgoing<StreamPart>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;
    fn call(&mut self, request: Request<Streaming<StreamPart>>) -> Self::Future {
        self.0.stream(request)
    }
}

impl<S: LinkService> ServerStreamingService<FetchRequest> for Call<S> {
    type Response = FetchedBlob;
    type ResponseStream = Outgoing<FetchedBlob>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;
    fn call(&mut self, request: Request<FetchRequest>) -> Self::Future {
        self.0.fetch(request)
    }
}

fn grpc<E, D>() -> Grpc<Cbor<E, D>>
where
    E: serde::Serialize + Send + 'static,
    D: serde::de::DeserializeOwned + Send + 'static,
{
    Grpc::new(Cbor::default())
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
}

impl<S: LinkService> tower::Service<http::Request<Body>> for LinkServer<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = Call(self.0.clone());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/lace.v1.Link/Join" => grpc::<JoinReply, JoinRequest>().unary(call, request).await,
                "/lace.v1.Link/Session" => grpc::<ToAgent, ToController>().streaming(call, request).await,
                "/lace.v1.Link/Stream" => grpc::<StreamPart, StreamPart>().streaming(call, request).await,
                "/lace.v1.Link/Fetch" => {
                    grpc::<FetchedBlob, FetchRequest>().server_streaming(call, request).await
                }
                _ => Status::unimplemented("no such call").into_http(),
            })
        })
    }
}
