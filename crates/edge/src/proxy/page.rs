//! A fault as the client reads it: HTML for a browser, JSON for a program that asks for it, plain text for others.

use super::body::Answer;
use super::fault::Fault;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Json,
    Text,
}

/// What a client would like to read (RFC 9110 section 12.5.1; the first of ours that it names, weights aside).
pub(crate) fn form(headers: &HeaderMap) -> Form {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in accepts.flat_map(|value| value.split(',')) {
        match range.split(';').next().unwrap_or_default().trim() {
            "text/html" | "application/xhtml+xml" => return Form::Html,
            json if json == "application/json" || json.ends_with("+json") => return Form::Json,
            "text/plain" => return Form::Text,
            _ => {}
        }
    }
    Form::Text
}

/// The same, where no head can be read but some of its bytes are there.
pub(crate) fn form_of(head: &[u8]) -> Form {
    let html = b"text/html";
    if head.windows(html.len()).any(|some| some == html) { Form::Html } else { Form::Text }
}

fn written(fault: &Fault, form: Form) -> (&'static str, String) {
    match form {
        Form::Html => ("text/html; charset=utf-8", html(fault)),
        Form::Json => ("application/json", json(fault)),
        Form::Text => ("text/plain; charset=utf-8", text(fault)),
    }
}

/// The page as the last bytes of a connection of HTTP/1.1: for who has sent no head that could be answered.
pub(crate) fn last_words(fault: &Fault, form: Form) -> String {
    let (kind, text) = written(fault, form);
    format!(
        "HTTP/1.1 {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-lace-fault: {}\r\nconnection: close\r\n\r\n{text}",
        title(fault.status()),
        text.len(),
        fault.code()
    )
}

/// The page of a fault.
pub(crate) fn of(fault: &Fault, form: Form) -> Response<Answer> {
    let (kind, text) = written(fault, form);
    let mut response = Response::new(Answer::from(text));
    *response.status_mut() = fault.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-lace-fault", HeaderValue::from_static(fault.code()));
    if let Some(seconds) = fault.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn title(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

fn text(fault: &Fault) -> String {
    format!("{}\n\n{}\n{}\n", title(fault.status()), fault.what(), fault.hint())
}

fn json(fault: &Fault) -> String {
    let said = serde_json::json!({
        "error": { "code": fault.code(), "message": fault.what(), "hint": fault.hint() }
    });
    format!("{said}\n")
}

fn html(fault: &Fault) -> String {
    if let Fault::Maintenance { page, .. } = fault
        && !page.is_empty()
    {
        return page.to_string();
    }
    let (title, what, hint) = (title(fault.status()), escape(&fault.what()), escape(&fault.hint()));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><body style=\"font:1.1rem/1.6 system-ui;max-width:40rem;\
         margin:15vh auto;padding:0 1rem\"><h1>{title}</h1><p>{what}</p><p>{hint}</p></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_form() {
        let table = [
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/problem+json;q=1", Form::Json),
            ("*/*", Form::Text),
            ("", Form::Text),
            ("text/plain, text/html", Form::Text),
        ];
        for (accept, expected) in table {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().expect("value"))]);
            assert_eq!(form(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn a_name_from_outside_cannot_write_html() {
        let fault = Fault::UnknownHost { host: "<script>x".into() };
        let page = html(&fault);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script"), "{page}");
    }
}
