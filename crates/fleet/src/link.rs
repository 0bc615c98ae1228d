//! The calls of agents. Who calls is read from the client certificate, and from nothing else.

use crate::Fleet;
use crate::session::Hello;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use lace_model::{Code, HostId, Problem};
use lace_wire::link::frame::{
    FetchRequest, FetchedBlob, HostFacts, JoinReply, JoinRequest, StreamPart, ToAgent, ToController,
};
use lace_wire::link::host_of_certificate_name;
use lace_wire::link::serve::{LinkService, Outgoing};
use std::net::SocketAddr;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Most digests of one fetch.
const FETCH_DIGESTS_MAX: usize = 10_000;

/// The service for agents.
pub struct FleetLink(pub(crate) Fleet);

fn status(problem: Problem) -> Status {
    let text = match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.clone(),
    };
    match problem.code {
        Code::NotAuthenticated | Code::NotAllowed => Status::permission_denied(text),
        Code::NotFound => Status::not_found(text),
        _ => Status::internal(text),
    }
}

fn caller<T>(request: &Request<T>) -> Result<HostId, Status> {
    let no = || Status::unauthenticated("a host certificate is needed: join first");
    let certificates = request.peer_certs().ok_or_else(no)?;
    let first = certificates.first().ok_or_else(no)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(first).map_err(|_| no())?;
    let names = certificate.subject_alternative_name().map_err(|_| no())?.ok_or_else(no)?;
    let host = names.value.general_names.iter().find_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => host_of_certificate_name(name),
        _ => None,
    });
    host.ok_or_else(no)
}

/// A host knows its own address only; whether we see it there tells which network it is in.
fn seen_at(facts: &mut HostFacts, seen: Option<SocketAddr>) {
    if let (Some(underlay), Some(seen)) = (&mut facts.underlay, seen) {
        underlay.seen_at(seen.ip());
    }
}

impl LinkService for FleetLink {
    fn join(&self, request: Request<JoinRequest>) -> BoxFuture<'static, Result<Response<JoinReply>, Status>> {
        let seen = request.remote_addr();
        let mut request = request.into_inner();
        seen_at(&mut request.facts, seen);
        let joined = self.0.0.support.join(request);
        Box::pin(async move { joined.await.map(Response::new).map_err(status) })
    }

    fn session(
        &self,
        request: Request<Streaming<ToController>>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<ToAgent>>, Status>> {
        let fleet = self.0.clone();
        Box::pin(async move {
            let host = caller(&request)?;
            let seen = request.remote_addr();
            let mut said = request.into_inner();
            let Some(Ok(ToController::Hello { version, mut facts, entries, topics, nodes })) =
                said.next().await
            else {
                return Err(Status::invalid_argument("the first frame must be a hello"));
            };
            seen_at(&mut facts, seen);
            let blocks = fleet.0.support.blocks(host).map_err(status)?;
            let (number, frames) =
                fleet.connected(host, blocks, Hello { version, facts, entries, topics, nodes });
            tokio::spawn(async move {
                while let Some(Ok(frame)) = said.next().await {
                    fleet.heard(host, frame);
                }
                fleet.lost(host, number);
            });
            Ok(Response::new(ReceiverStream::new(frames).map(Ok).boxed()))
        })
    }

    fn stream(
        &self,
        request: Request<Streaming<StreamPart>>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<StreamPart>>, Status>> {
        let fleet = self.0.clone();
        Box::pin(async move {
            let host = caller(&request)?;
            let mut parts = request.into_inner();
            let Some(Ok(StreamPart::Attach(id))) = parts.next().await else {
                return Err(Status::invalid_argument("the first frame must name the stream"));
            };
            let gone = || Status::not_found("nobody waits for this stream any more");
            let (said, told) = fleet.0.waiting.attach(id, host).ok_or_else(gone)?;
            tokio::spawn(async move {
                while let Some(Ok(StreamPart::Frame(frame))) = parts.next().await {
                    if said.send(frame).await.is_err() {
                        break;
                    }
                }
            });
            Ok(Response::new(ReceiverStream::new(told).map(|frame| Ok(StreamPart::Frame(frame))).boxed()))
        })
    }

    fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> BoxFuture<'static, Result<Response<Outgoing<FetchedBlob>>, Status>> {
        let fleet = self.0.clone();
        Box::pin(async move {
            let host = caller(&request)?;
            let digests = request.into_inner().digests;
            if digests.len() > FETCH_DIGESTS_MAX {
                return Err(Status::invalid_argument("too many digests in one fetch"));
            }
            fleet.may_fetch(host, &digests).await.map_err(status)?;
            let blobs = stream::iter(digests).then(move |digest| {
                let content = fleet.0.support.blob(digest);
                async move { Ok(FetchedBlob { digest, content: content.await }) }
            });
            Ok(Response::new(blobs.boxed()))
        })
    }
}
