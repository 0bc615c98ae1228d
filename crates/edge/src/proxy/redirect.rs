//! From plain HTTP to TLS, where a certificate is held for the name and the route does not say otherwise.

use super::body::Answer;
use super::challenge::CHALLENGES;
use super::exchange::Exchange;
use super::table::Route;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode, Uri};

/// The answer that leads there (308: the method stays); none where the request is served as it came.
pub(crate) fn to_tls(
    exchange: &Exchange,
    route: &Route,
    host: &HeaderValue,
    uri: &Uri,
) -> Option<Response<Answer>> {
    let port = exchange.proxy.tls_port.filter(|_| route.tls && !exchange.origin.tls)?;
    // A node may prove by itself to an authority that the name is its own.
    if uri.path().starts_with(CHALLENGES) || !exchange.proxy.tls.chest.has(&route.host) {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let to = format!("https://{}{}{path}", route.host, written(host, port));
    let mut answer = Response::new(Answer::Whole(None));
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).ok()?);
    Some(answer)
}

/// A client that wrote a port sees ours. One that did not came by port 80, whoever brought it from there to us, and
/// finds TLS at 443 likewise.
fn written(host: &HeaderValue, port: u16) -> String {
    let text = host.to_str().unwrap_or_default();
    let said = text.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port != "80");
    if said && port != 443 { format!(":{port}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wrote_a_port_is_sent_to_a_port() {
        for (host, port, expected) in
            [("a.b", 7443, ""), ("a.b:80", 7443, ""), ("a.b:7480", 7443, ":7443"), ("a.b:8080", 443, "")]
        {
            assert_eq!(written(&HeaderValue::from_static(host), port), expected, "{host} {port}");
        }
    }
}
