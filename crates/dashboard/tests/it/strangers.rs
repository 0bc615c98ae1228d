//! What comes without being allowed to: strangers, forms of other pages, and browsers' own habits.

use crate::fake::{page, pages};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
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
    for path in ["/", "/apps", "/apps/shop", "/hosts", "/tokens", "/secrets", "/audit", "/server", "/jobs/1"]
    {
        let (head, text) = page(&pages, path, false).await;
        assert_eq!(head.status, StatusCode::UNAUTHORIZED, "{path}");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("name=\"token\"") && !text.contains("<nav"), "{path}");
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
