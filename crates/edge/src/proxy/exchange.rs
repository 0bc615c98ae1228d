//! One request: from its head to the answer of a node, or to a page that says why there is none.

use super::accept::Place;
use super::account::Account;
use super::body::{Answer, Download, Held, Upload, Verdict};
use super::fault::Fault;
use super::gate::{Desk, Turn};
use super::header::{self, Origin};
use super::log::Line;
use super::pool::{Failure, Sender};
use super::seat::{self, Seat};
use super::table::{Member, Route};
use super::{Proxy, challenge, page, redirect, tunnel};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use std::time::Duration;

/// Nobody was left to try: the names may say something else after this time.
const BREATH: Duration = Duration::from_millis(100);

/// What the requests of one connection have in common.
pub(crate) struct Exchange {
    pub proxy: Arc<Proxy>,
    pub origin: Origin,
    /// Held as long as anything of the connection goes on.
    pub place: Arc<Place>,
    /// Where the connection stands.
    pub desk: Desk,
}

/// A request on its way to a node, and its copy where it may be sent twice.
struct Delivery {
    first: Option<Request<Upload>>,
    copy: Option<Parts>,
    is_grpc: bool,
    /// The node that the client was with, where it is to stay.
    mark: Option<String>,
    verdict: Verdict,
}

/// Why a node did not answer.
enum Undelivered {
    Failed(Failure),
    Late,
}

impl Exchange {
    /// Always an answer.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Held> {
        let turn = Turn::begin(&self);
        let form = page::form(request.headers());
        let is_h1 = request.version() <= Version::HTTP_11;
        let mut is_last = false;
        let mut account = Account::open(&self.proxy.tables.books().stray);
        let mut response = match self.try_answer(request, &mut account).await {
            Ok(response) => response,
            Err(fault) => {
                account.fault(fault.code());
                is_last = fault.is_last();
                page::of(&fault, form)
            }
        };
        account.answered(response.status());
        response.body_mut().carry(account);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.desk.goes_over();
        } else if is_h1 && (is_last || *self.proxy.closing.borrow()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if is_last {
            self.desk.ends();
        }
        response.map(|answer| Held::new(answer, turn))
    }

    async fn try_answer(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        account: &mut Account,
    ) -> Result<Response<Answer>, Fault> {
        if request.method() == Method::CONNECT {
            return Err(Fault::Unsupported { cause: "CONNECT" });
        }
        self.check_head(&request)?;
        let host = host_of(&request)?;
        let name = name_of(&host);
        if let Some(answer) = challenge::file(&self.proxy, &name, &request) {
            return Ok(answer);
        }
        let route = self.route(&name, request.uri().path())?;
        account.belongs(&route.tally);
        if route.log {
            let line = Line::new(&route.name, self.origin.peer.ip(), request.method(), request.uri().path());
            account.log(line, &self.proxy.log);
        }
        if let Some(answer) = redirect::to_tls(self, &route, &host, request.uri()) {
            return Ok(answer);
        }
        if let Some(page) = route.maintenance.clone() {
            return Err(Fault::Maintenance { target: route.group.target.clone(), page });
        }
        self.check_length(request.headers())?;
        let mark = header::mark(request.headers()).filter(|_| route.sticky).map(str::to_owned);
        let wanted = header::upgrade(request.headers()).filter(|_| request.version() == Version::HTTP_11);
        let client = wanted.is_some().then(|| hyper::upgrade::on(&mut request));
        let path = request.uri().path().to_owned();
        let mut delivery = self.delivery(request, &host, wanted)?;
        delivery.mark = mark;
        account.received = delivery.verdict.received();
        let (response, sender, seat) = self.deliver(&route, &path, &mut delivery).await?;
        account.is_with(&seat.member().who);
        match client {
            Some(client) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(tunnel::open(
                client,
                response,
                (sender, seat),
                (Arc::clone(&self.place), Arc::clone(&route.tally)),
            )),
            _ => Ok(self.to_client(&route, response, sender, seat)),
        }
    }

    fn route(&self, name: &str, path: &str) -> Result<Arc<Route>, Fault> {
        let unknown = || Fault::UnknownHost { host: name.chars().take(100).collect() };
        let table = self.proxy.tables.table();
        let is_near = self.origin.peer.ip().to_canonical().is_loopback();
        let routes = table.host(name).ok_or_else(unknown)?;
        let mut seen = routes.iter().filter(|route| is_near || !route.local).peekable();
        if seen.peek().is_none() {
            return Err(unknown());
        }
        seen.find(|route| route.covers(path)).cloned().ok_or_else(|| Fault::NoRoute { host: name.to_owned() })
    }

    /// What hyper let through may still be too much.
    fn check_head(&self, request: &Request<Incoming>) -> Result<(), Fault> {
        let limits = &self.proxy.limits;
        if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > limits.target_bytes_max) {
            return Err(Fault::LineTooLong { bytes_max: limits.target_bytes_max });
        }
        let headers = request.headers();
        if headers.len() > limits.headers_max
            || (request.version() == Version::HTTP_2 && header::size(headers) > limits.head_bytes_max)
        {
            let (bytes_max, headers_max) = (limits.head_bytes_max, limits.headers_max);
            return Err(Fault::HeadTooLarge { bytes_max, headers_max });
        }
        Ok(())
    }

    fn check_length(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let Some(length) = lengths.next() else { return Ok(()) };
        if lengths.next().is_some() {
            return Err(Fault::BadRequest { cause: "more than one content-length" });
        }
        let bytes_max = self.proxy.limits.body_bytes_max;
        match length.to_str().ok().and_then(|text| text.parse::<u64>().ok()) {
            None => Err(Fault::BadRequest { cause: "the content-length is no number" }),
            Some(length) if length > bytes_max => Err(Fault::TooLarge { bytes_max }),
            Some(_) => Ok(()),
        }
    }

    fn delivery(
        self: &Arc<Self>,
        request: Request<Incoming>,
        host: &HeaderValue,
        wanted: Option<HeaderValue>,
    ) -> Result<Delivery, Fault> {
        let (mut parts, body) = request.into_parts();
        let is_grpc = parts.version == Version::HTTP_2 && is_grpc(&parts.headers);
        header::to_node(&mut parts.headers, host, self.origin);
        if let Some(wanted) = wanted {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, wanted);
        }
        parts.version = if is_grpc { Version::HTTP_2 } else { Version::HTTP_11 };
        parts.uri = to_node_uri(&parts.uri, host, is_grpc)?;
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let copy = (is_safe && body.is_end_stream()).then(|| copy(&parts));
        let limits = &self.proxy.limits;
        let verdict = Verdict::default();
        let upload = Upload::of(body, (limits.body_bytes_max, limits.body_idle), &verdict, self);
        parts.extensions.clear();
        Ok(Delivery { first: Some(Request::from_parts(parts, upload)), copy, is_grpc, mark: None, verdict })
    }

    /// Offers the request to one node after the other, as often as that is safe.
    async fn deliver(
        &self,
        route: &Arc<Route>,
        path: &str,
        delivery: &mut Delivery,
    ) -> Result<(Response<Incoming>, Option<Sender>, Seat), Fault> {
        let mut tried: Vec<Arc<Member>> = Vec::new();
        for _ in 0..self.proxy.limits.tries_max {
            let mut seat = match seat::find(&self.proxy, route, path, &tried, delivery.mark.as_deref()).await
            {
                Err(Fault::Unreachable) => {
                    tried.clear();
                    tokio::time::sleep(BREATH).await;
                    seat::find_now(&self.proxy, route, path).await?
                }
                found => found?,
            };
            let Some(request) = delivery.next() else { break };
            match self.send(&seat, request, (delivery.is_grpc, &delivery.verdict)).await {
                Ok((response, sender)) => {
                    seat.answered();
                    return Ok((response, sender, seat));
                }
                Err(undelivered) => self.consider(undelivered, &mut seat, delivery)?,
            }
            tried.push(Arc::clone(seat.member()));
        }
        Err(Fault::Unreachable)
    }

    async fn send(
        &self,
        seat: &Seat,
        request: Request<Upload>,
        (is_grpc, verdict): (bool, &Verdict),
    ) -> Result<(Response<Incoming>, Option<Sender>), Undelivered> {
        let limits = &self.proxy.limits;
        let (pool, address) = (&seat.member().pool, seat.member().address);
        let sent = async {
            if is_grpc {
                return Ok((pool.send_h2(address, limits.connect_within, request).await?, None));
            }
            let (response, sender) = pool.send(address, limits.connect_within, request).await?;
            Ok((response, Some(sender)))
        };
        tokio::select! {
            biased;
            sent = sent => sent.map_err(Undelivered::Failed),
            () = verdict.late(limits.answer_within) => Err(Undelivered::Late),
        }
    }

    fn to_client(
        &self,
        route: &Route,
        response: Response<Incoming>,
        sender: Option<Sender>,
        seat: Seat,
    ) -> Response<Answer> {
        let (mut parts, body) = response.into_parts();
        header::strip(&mut parts.headers);
        if route.sticky {
            header::set_mark(&mut parts.headers, &seat.member().mark, self.origin.tls);
        }
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        Response::from_parts(parts, Answer::Stream(Download::new(body, sender, seat)))
    }

    /// May it be tried again? If not, what is said.
    fn consider(&self, failed: Undelivered, seat: &mut Seat, delivery: &mut Delivery) -> Result<(), Fault> {
        let limits = &self.proxy.limits;
        if delivery.verdict.is_too_large() {
            return Err(Fault::TooLarge { bytes_max: limits.body_bytes_max });
        }
        if delivery.verdict.is_stalled() {
            return Err(Fault::UploadStalled);
        }
        if delivery.verdict.is_broken() {
            return Err(Fault::UploadBroken);
        }
        seat.failed();
        seat.member().who.each(|tally| tally.fault(failed.code()));
        match failed {
            Undelivered::Failed(Failure::Unsent(request)) => {
                delivery.first = Some(*request);
                Ok(())
            }
            Undelivered::Failed(Failure::Broken(error)) => {
                tracing::debug!(address = %seat.member().address, %error, "node broke off");
                if delivery.copy.is_some() { Ok(()) } else { Err(Fault::BrokenOff) }
            }
            Undelivered::Late => Err(Fault::Timeout { seconds: limits.answer_within.as_secs() }),
        }
    }
}

impl Undelivered {
    fn code(&self) -> &'static str {
        match self {
            Self::Failed(Failure::Unsent(_)) => "unreachable",
            Self::Failed(Failure::Broken(_)) => "broken-off",
            Self::Late => "timeout",
        }
    }
}

impl Delivery {
    fn next(&mut self) -> Option<Request<Upload>> {
        let again = || self.copy.as_ref().map(|parts| Request::from_parts(copy(parts), Upload::Nothing));
        self.first.take().or_else(again)
    }
}

fn copy(parts: &Parts) -> Parts {
    let (mut copy, ()) = Request::new(()).into_parts();
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.version = parts.version;
    copy.headers = parts.headers.clone();
    copy
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Who is meant: the authority of the request, or its one Host (RFC 9112 section 3.2).
fn host_of(request: &Request<Incoming>) -> Result<HeaderValue, Fault> {
    let bad = |cause| Fault::BadRequest { cause };
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("more than one host"));
    }
    let value = match request.uri().authority() {
        Some(authority) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the authority is no host name"))?
        }
        None => host.cloned().ok_or_else(|| bad("it names no host"))?,
    };
    match Authority::try_from(value.as_bytes()) {
        Ok(authority) if !authority.as_str().contains('@') => Ok(value),
        _ => Err(bad("the host is no host name")),
    }
}

/// Small letters, without port and without the root's dot.
pub(super) fn name_of(host: &HeaderValue) -> String {
    let text = host.to_str().unwrap_or_default();
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => text,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn to_node_uri(uri: &Uri, host: &HeaderValue, is_h2: bool) -> Result<Uri, Fault> {
    let bad = || Fault::BadRequest { cause: "the path is none" };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    if is_h2 {
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::try_from(host.as_bytes()).map_err(|_| bad())?);
    }
    Uri::from_parts(parts).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_without_port_and_dot() {
        let table = [
            ("Web.Shop.localhost:7480", "web.shop.localhost"),
            ("shop.example.com.", "shop.example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a", "a"),
        ];
        for (host, expected) in table {
            assert_eq!(name_of(&HeaderValue::from_static(host)), expected);
        }
    }
}
