//! Tokens, login, and sessions in a browser.

use crate::house::{Got, House, NOW};
use axum::body::Body;
use lace_api::NewToken;
use lace_model::Code;
use lace_model::token::{Role, Token};
use lace_wire::api::{SessionInfo, TokenInfo, TokenMade};
use serde_json::{Value, json};

fn login_token(house: &House) -> String {
    house.token(NewToken::new("anna", Role::Deployer).login(NOW))
}

async fn with_cookie(house: &House, method: &str, path: &str, cookie: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = axum::http::Request::builder().method(method).uri(path);
    request = request.header("host", "127.0.0.1:7440").header("cookie", format!("a=b; {cookie}; c=d"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_login_token_works_once() {
    let house = House::new();
    let once = login_token(&house);
    let body = || json!({"token": once}).to_string();
    let (one, two) = tokio::join!(
        house.call("", "POST", "/v1/login", body()),
        house.call("", "POST", "/v1/login", body())
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let made: TokenMade = if one.status == 200 { one.ok() } else { two.ok() };
    assert!(made.expires_at.is_some_and(|at| at > NOW));
    let kept = if one.status == 200 { &one.headers } else { &two.headers };
    assert_eq!(kept["cache-control"], "no-store");
    assert_eq!(house.call(&made.token, "GET", "/v1/status", Body::empty()).await.status, 200);
    assert_eq!(house.call("", "POST", "/v1/login", body()).await.problem(401).code, Code::NotAuthenticated);
    house.clock.advance(13 * 3_600_000);
    assert_eq!(house.call(&made.token, "GET", "/v1/status", Body::empty()).await.status, 401, "it ends");
}

#[tokio::test]
async fn only_login_tokens_log_in() {
    let house = House::new();
    let late = login_token(&house);
    let mut join = NewToken::new("join", Role::Viewer);
    (join.once, join.join) = (true, true);
    let join = house.token(join);
    house.clock.advance(16 * 60_000);
    for token in [&late, &join, &house.admin, "", "lace_"] {
        let got = house.call("", "POST", "/v1/login", json!({"token": token}).to_string()).await;
        assert_eq!(got.problem(401).code, Code::NotAuthenticated, "{token}");
    }
}

#[tokio::test]
async fn the_link_becomes_a_cookie_for_our_own_pages() {
    let house = House::new();
    let got = house.call("", "GET", &format!("/login?token={}", login_token(&house)), Body::empty()).await;
    assert_eq!(got.status, 303);
    assert_eq!(got.headers["location"], "/");
    let set = got.headers["set-cookie"].to_str().expect("text");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
    let cookie = set.split(';').next().expect("a pair");

    assert_eq!(with_cookie(&house, "GET", "/v1/status", cookie, &[]).await.status, 200);
    let own = [("origin", "http://127.0.0.1:7440")];
    assert_eq!(with_cookie(&house, "GET", "/v1/status", cookie, &own).await.status, 200);
    let foreign = [("origin", "http://shop.localhost:7480"), ("x-lace-csrf", "1")];
    assert_eq!(
        with_cookie(&house, "GET", "/v1/status", cookie, &foreign).await.problem(403).code,
        Code::NotAllowed
    );
    let post = with_cookie(&house, "POST", "/v1/apps/shop", cookie, &[]).await;
    assert!(post.problem(403).message.contains("X-Lace-Csrf"));
    let marked = [("origin", "http://127.0.0.1:7440"), ("x-lace-csrf", "1")];
    assert_eq!(with_cookie(&house, "POST", "/v1/apps/shop", cookie, &marked).await.status, 200);
    assert_eq!(house.last_audit().0, "anna");
    assert_eq!(with_cookie(&house, "GET", "/v1/status", "lace_session=lace_x_y", &[]).await.status, 401);
}

#[tokio::test]
async fn tokens_are_made_shown_and_ended() {
    let house = House::new();
    let asked = json!({"name": "ci", "role": "deployer", "apps": ["shop"], "expires_in": "1d"});
    let made: TokenMade = house.post("/v1/tokens", asked).await.ok();
    assert_eq!(made.expires_at, Some(NOW + 86_400_000));
    assert_eq!(house.call(&made.token, "POST", "/v1/apps/shop", Body::empty()).await.status, 200);
    assert_eq!(house.call(&made.token, "POST", "/v1/apps/other", Body::empty()).await.status, 403);

    let got = house.get("/v1/tokens").await;
    let text = String::from_utf8(got.body.to_vec()).expect("text");
    assert!(!text.contains("digest") && !text.contains(&made.token));
    let listed: Vec<TokenInfo> = got.ok();
    assert!(listed.iter().any(|t| t.id == made.id && t.name == "ci" && t.role == Role::Deployer));
    let stored = house.state.store.list::<Token>("").expect("rows");
    assert!(stored.iter().all(|row| !serde_json::to_string(&row.value).expect("json").contains(&made.token)));

    assert_eq!(house.delete(&format!("/v1/tokens/{}", made.id)).await.status, 204);
    assert_eq!(house.last_audit().1, "token remove");
    assert_eq!(house.call(&made.token, "GET", "/v1/status", Body::empty()).await.status, 401);
    assert_eq!(house.delete(&format!("/v1/tokens/{}", made.id)).await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn a_token_becomes_a_session_that_can_be_ended() {
    let house = House::new();
    let mut new = NewToken::new("ci", Role::Deployer);
    new.apps = vec![crate::house::name("shop")];
    let token = house.token(new);
    let made: TokenMade = house.call(&token, "POST", "/v1/session", Body::empty()).await.ok();
    assert_eq!(made.expires_at, Some(NOW + 12 * 3_600_000));
    let who: SessionInfo = house.call(&made.token, "GET", "/v1/session", Body::empty()).await.ok();
    assert_eq!((who.id, who.name.as_str(), who.role), (made.id, "ci", Role::Deployer));
    assert_eq!(who.apps.len(), 1, "it may no more than its token");

    assert_eq!(house.call(&made.token, "DELETE", "/v1/session", Body::empty()).await.status, 204);
    assert_eq!(house.last_audit().1, "logout");
    assert_eq!(house.call(&made.token, "GET", "/v1/session", Body::empty()).await.status, 401);
    let kept = house.call(&token, "DELETE", "/v1/session", Body::empty()).await.problem(409);
    assert!(kept.message.contains("not a session"), "{kept}");
    assert_eq!(house.call(&token, "GET", "/v1/session", Body::empty()).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let house = House::new();
    let mut new = NewToken::new("short", Role::Viewer);
    new.expires_at = Some(NOW + 60_000);
    let token = house.token(new);
    let made: TokenMade = house.call(&token, "POST", "/v1/session", Body::empty()).await.ok();
    assert_eq!(made.expires_at, Some(NOW + 60_000));
}

#[tokio::test]
async fn a_join_token_is_for_agents_only() {
    let house = House::new();
    let made: TokenMade =
        house.post("/v1/tokens", json!({"name": "h", "role": "viewer", "join": true})).await.ok();
    assert!(made.expires_at.is_some(), "it ends by itself");
    let got = house.call(&made.token, "GET", "/v1/status", Body::empty()).await;
    assert!(got.problem(401).message.contains("join"));
}

#[tokio::test]
async fn the_last_admin_stays() {
    let house = House::new();
    let rows = house.state.store.list::<Token>("").expect("rows");
    let root = rows.iter().find(|r| r.value.name == "root").expect("there").value.id;
    assert_eq!(house.delete(&format!("/v1/tokens/{root}")).await.problem(409).code, Code::Conflict);
    house.post("/v1/tokens", json!({"name": "second", "role": "admin"})).await.ok::<TokenMade>();
    assert_eq!(house.delete(&format!("/v1/tokens/{root}")).await.status, 204);
}

#[tokio::test]
async fn bad_requests_for_tokens() {
    let house = House::new();
    let bad: [Value; 6] = [
        json!({"name": "", "role": "viewer"}),
        json!({"name": "a\nb", "role": "viewer"}),
        json!({"name": "x".repeat(81), "role": "viewer"}),
        json!({"name": "x", "role": "king"}),
        json!({"name": "x", "role": "viewer", "expires_in": "0s"}),
        json!({"name": "x", "role": "viewer", "expires_in": "9999d"}),
    ];
    for body in bad {
        assert_eq!(house.post("/v1/tokens", body.clone()).await.problem(422).code, Code::Usage, "{body}");
    }
}

#[tokio::test]
async fn tokens_that_are_over_are_dropped_as_new_ones_come() {
    let house = House::new();
    for _ in 0..5 {
        login_token(&house);
    }
    house.clock.advance(3_600_000);
    house.post("/v1/tokens", json!({"name": "new", "role": "viewer"})).await.ok::<TokenMade>();
    let left = house.state.store.list::<Token>("").expect("rows");
    assert!(left.iter().all(|row| !row.value.once), "{left:?}");
}
