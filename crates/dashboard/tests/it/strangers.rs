//! What comes without being allowed to: strangers, forms of other pages, and browsers' own habits.

use crate::fake::{page, pages};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::ServiceExt;

fn refusing() -> axum::Router {
    let refused = || async {
        let problem = json!({"code": "not-authenticated", "message": "the request carries no token"});
        (StatusCode::UNAUTHORIZED, problem.to_string())
    };
    let api = axum::Router::new().fallback(axum::routing::any(refused));
    let config = lace_dashboard::Config { version: "0".into(), secure: true, commands: Vec::new() };
    lace_dashboard::router(api, config)
}

#[tokio::test]
async fn strangers_see_the_login_page_only() {
    let pages = refusing();
    // The manual, and what errors mean, are for everybody.
    let is_open = |path: &&str| ["/help", "/help/errors"].contains(path);
    for path in lace_dashboard::pages().into_iter().filter(|path| !is_open(path)) {
        let path = &path.replace("{number}", "1").replace(['{', '}'], "");
        let (head, text) = page(&pages, path, false).await;
        assert_eq!(head.status, StatusCode::UNAUTHORIZED, "{path}");
        let text = String::from_utf8(text).expect("text");
        // Parts of pages say why not; pages ask who is there.
        let is_said = text.contains("name=\"token\"") || text.contains("the request carries no token");
        assert!(is_said && !text.contains("<nav"), "{path}");
    }
}

#[tokio::test]
async fn every_page_carries_the_strict_policy() {
    for path in ["/", "/login", "/help/errors"] {
        let (head, text) = page(&refusing(), path, false).await;
        let policy = head.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(text).expect("text");
        for banned in ["<style", " style=", " onclick=", "javascript:", "<script>", "//cdn", "https://"] {
            assert!(!text.contains(banned), "{path} has {banned}");
        }
    }
}

#[tokio::test]
async fn a_form_of_another_page_logs_nobody_in() {
    let request = Request::post("/login")
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::HOST, "127.0.0.1:7440")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("token=lace_x"))
        .expect("a request");
    let answer = refusing().oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
}

/// Every form there is, by the router's own list: one that comes later is looked at, too.
#[tokio::test]
async fn a_form_without_our_header_does_nothing() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    let api = axum::Router::new().fallback(axum::routing::any(move || {
        counts.fetch_add(1, Ordering::Relaxed);
        std::future::ready("{}")
    }));
    let config = lace_dashboard::Config { version: "0".into(), secure: true, commands: Vec::new() };
    let pages = lace_dashboard::router(api, config);
    let forms = lace_dashboard::forms();
    assert!(forms.len() >= 18, "{forms:?}");
    for path in forms {
        let request = Request::post(path)
            .header(header::COOKIE, "lace_session=lace_x")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(
                "verb=remove&name=alpha&target=shop&id=x&release=web%401&app=shop&text=&openings=",
            ))
            .expect("a request");
        let answer = pages.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the API was asked all the same");
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_their_version() {
    let pages = pages([]);
    let (_, login) = page(&pages, "/login", false).await;
    let login = String::from_utf8(login).expect("text");
    let at = login.find("/assets/").expect("a style sheet");
    let path: String = login[at..].chars().take_while(|c| *c != '"').collect();
    let (head, _) = page(&pages, &path, false).await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(head.headers[header::CACHE_CONTROL].to_str().expect("text").contains("immutable"));
    let (head, _) = page(&pages, "/assets/x/../../Cargo.toml", false).await;
    assert_ne!(head.status, StatusCode::OK);
}
