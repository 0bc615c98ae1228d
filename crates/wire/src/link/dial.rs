//! The agent's end of the link.

use super::codec::{Cbor, FRAME_BYTES_MAX};
use super::frame::{FetchRequest, FetchedBlob, JoinReply, JoinRequest, StreamPart, ToAgent, ToController};
use futures::Stream;
use http::uri::PathAndQuery;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};

/// A dialled controller. Cheap to clone; calls share one HTTP/2 connection.
#[derive(Clone)]
pub struct Link(Channel);

/// A host's certificate and key, PEM.
#[derive(Clone)]
pub struct HostIdentity {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

impl Link {
    /// Dials `address` (`host:port`), checks its certificate against `ca` (PEM), and shows `identity` where given.
    ///
    /// # Errors
    /// The address is no address, the controller does not answer within 5 s, or its certificate is not ours.
    pub async fn dial(
        address: &str,
        ca: &str,
        identity: Option<&HostIdentity>,
    ) -> Result<Self, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new()
            .domain_name(super::CONTROLLER_NAME)
            .ca_certificate(Certificate::from_pem(ca));
        if let Some(identity) = identity {
            tls = tls.identity(Identity::from_pem(&identity.certificate, &identity.key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?
            .tls_config(tls)?
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        Ok(Self(endpoint.connect().await?))
    }

    async fn grpc<E, D>(&self) -> Result<(Grpc<Channel>, Cbor<E, D>), Status> {
        let mut grpc = Grpc::new(self.0.clone())
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok((grpc, Cbor::default()))
    }

    /// Joins.
    ///
    /// # Errors
    /// The controller's refusal.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinReply, Status> {
        let (mut grpc, codec) = self.grpc::<JoinRequest, JoinReply>().await?;
        let path = PathAndQuery::from_static("/lace.v1.Link/Join");
        Ok(grpc.unary(Request::new(request), path, codec).await?.into_inner())
    }

    /// Opens the session.
    ///
    /// # Errors
    /// The controller's refusal.
    pub async fn session(
        &self,
        frames: impl Stream<Item = ToController> + Send + 'static,
    ) -> Result<Streaming<ToAgent>, Status> {
        let (mut grpc, codec) = self.grpc::<ToController, ToAgent>().await?;
        let path = PathAndQuery::from_static("/lace.v1.Link/Session");
        grpc.streaming(Request::new(frames), path, codec).await.map(Response::into_inner)
    }

    /// Opens a stream that the controller asked for.
    ///
    /// # Errors
    /// The controller's refusal: it does not know the stream any more.
    pub async fn stream(
        &self,
        frames: impl Stream<Item = StreamPart> + Send + 'static,
    ) -> Result<Streaming<StreamPart>, Status> {
        let (mut grpc, codec) = self.grpc::<StreamPart, StreamPart>().await?;
        let path = PathAndQuery::from_static("/lace.v1.Link/Stream");
        grpc.streaming(Request::new(frames), path, codec).await.map(Response::into_inner)
    }

    /// Fetches blobs.
    ///
    /// # Errors
    /// The controller's refusal.
    pub async fn fetch(&self, request: FetchRequest) -> Result<Streaming<FetchedBlob>, Status> {
        let (mut grpc, codec) = self.grpc::<FetchRequest, FetchedBlob>().await?;
        let path = PathAndQuery::from_static("/lace.v1.Link/Fetch");
        grpc.server_streaming(Request::new(request), path, codec).await.map(Response::into_inner)
    }
}
