//! WebSockets and other protocols that a connection goes over to: bytes in both directions until one side ends.

use super::accept::Place;
use super::account::Who;
use super::body::Answer;
use super::header;
use super::pool::Sender;
use super::seat::Seat;
use super::tally::Tally;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::copy_bidirectional;

/// Counts what both directions carried, at their end.
pub(crate) fn carried(bytes: std::io::Result<(u64, u64)>, route: &Tally, who: &Who) {
    if let Ok((received, sent)) = bytes {
        let count = |tally: &Tally| {
            tally.received(received);
            tally.sent(sent);
        };
        count(route);
        who.each(count);
    }
}

/// Joins the two connections as soon as both have gone over; the node's seat is held until the end.
pub(crate) fn open(
    client: OnUpgrade,
    mut response: Response<Incoming>,
    (sender, seat): (Option<Sender>, Seat),
    (place, route): (Arc<Place>, Arc<Tally>),
) -> Response<Answer> {
    let node = hyper::upgrade::on(&mut response);
    let who = seat.member().who.clone();
    let seat = seat.into_tunnel();
    route.enter();
    who.each(Tally::enter);
    tokio::spawn(async move {
        let _held = (seat, place);
        let both = tokio::join!(client, node);
        // Until the node's side has gone over it is its connection's.
        drop(sender);
        if let (Ok(client), Ok(node)) = both {
            let (mut client, mut node) = (TokioIo::new(client), TokioIo::new(node));
            carried(copy_bidirectional(&mut client, &mut node).await, &route, &who);
        }
        route.leave();
        who.each(Tally::leave);
    });
    let wanted = response.headers().get(UPGRADE).cloned();
    let mut answer = Response::new(Answer::Whole(None));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    header::strip(answer.headers_mut());
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(wanted) = wanted {
        answer.headers_mut().insert(UPGRADE, wanted);
    }
    answer
}
