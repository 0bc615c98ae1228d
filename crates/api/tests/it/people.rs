//! Users, teams and grants: who may do what, from when, until when.

use crate::house::House;
use axum::body::Body;
use lace_model::Code;
use lace_model::people::SignUp;
use lace_wire::api::{GrantLine, SessionInfo, TeamInfo, TokenMade, UserInfo, UserMade};
use serde_json::{Value, json};

const WORD: &str = "correct horse battery";

async fn admin(house: &House, method: &str, path: &str, body: Value) -> crate::house::Got {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    house.call(&house.admin, method, path, body).await
}

async fn user(house: &House, name: &str, grants: Value) {
    let request = json!({"name": name, "password": WORD, "grants": grants});
    admin(house, "POST", "/v1/users", request).await.ok::<UserMade>();
}

async fn sign_in(house: &House, name: &str, password: &str) -> crate::house::Got {
    let body = json!({"name": name, "password": password}).to_string();
    house.call("", "POST", "/v1/login/password", body).await
}

async fn session(house: &House, name: &str) -> String {
    sign_in(house, name, WORD).await.ok::<TokenMade>().token
}

async fn status(house: &House, token: &str, method: &str, path: &str) -> u16 {
    house.call(token, method, path, Body::empty()).await.status
}

#[tokio::test]
async fn a_user_may_do_what_is_granted_at_the_moment() {
    let house = House::new();
    user(&house, "anna", json!([])).await;
    let token = session(&house, "anna").await;
    let got = house.call(&token, "GET", "/v1/session", Body::empty()).await.ok::<SessionInfo>();
    assert_eq!((got.name.as_str(), got.grants.len()), ("user/anna", 0));
    let refused = house.call(&token, "GET", "/v1/status", Body::empty()).await.problem(403);
    assert!(refused.message.contains("user/anna is granted nothing"), "{refused:?}");

    let grant = json!({"to": "user/anna", "role": "deployer", "app": "shop"});
    assert_eq!(admin(&house, "POST", "/v1/grants", grant.clone()).await.status, 204);
    assert_eq!(admin(&house, "POST", "/v1/grants", grant).await.status, 204, "twice is once");
    assert_eq!(status(&house, &token, "POST", "/v1/apps/shop").await, 200);
    assert_eq!(status(&house, &token, "GET", "/v1/status?target=shop").await, 200);
    assert_eq!(status(&house, &token, "POST", "/v1/apps/blog").await, 403);
    assert_eq!(status(&house, &token, "GET", "/v1/users").await, 403);

    // Roles do not add up over applications: who sees one and changes another does not change the first.
    admin(&house, "POST", "/v1/apps/blog", Value::Null).await.ok::<Value>();
    admin(&house, "POST", "/v1/grants", json!({"to": "anna", "role": "viewer", "app": "blog"})).await;
    assert_eq!(status(&house, &token, "GET", "/v1/apps/blog/export").await, 200);
    assert_eq!(status(&house, &token, "DELETE", "/v1/apps/blog").await, 403);
    let verb = json!({"target": "blog", "verb": "stop"}).to_string();
    assert_eq!(house.call(&token, "POST", "/v1/verbs", verb).await.status, 403);
    let shell = r#"{"target":"blog/web/1","action":"exec","argv":["id"]}"#;
    let path = format!("/v1/stream?request={}", percent(shell));
    assert_eq!(status(&house, &token, "GET", &path).await, 403);

    let lines = admin(&house, "GET", "/v1/grants", Value::Null).await.ok::<Vec<GrantLine>>();
    assert_eq!(lines.len(), 2);
    let gone = admin(&house, "DELETE", "/v1/grants?to=user/anna&role=deployer&app=shop", Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(status(&house, &token, "POST", "/v1/apps/shop").await, 403, "at once");
    let gone = admin(&house, "DELETE", "/v1/grants?to=anna&role=deployer&app=shop", Value::Null).await;
    assert!(gone.problem(404).hint.is_some());
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test]
async fn teams_give_their_grants_to_their_members_and_to_nobody_else() {
    let house = House::new();
    user(&house, "anna", json!([])).await;
    user(&house, "ben", json!([])).await;
    admin(&house, "POST", "/v1/teams", json!({"name": "ops"})).await.ok::<TeamInfo>();
    let twice = admin(&house, "POST", "/v1/teams", json!({"name": "ops"})).await.problem(409);
    assert!(twice.message.contains("ops already"), "{twice:?}");
    admin(&house, "POST", "/v1/grants", json!({"to": "team/ops", "role": "admin"})).await;
    let (anna, ben) = (session(&house, "anna").await, session(&house, "ben").await);
    assert_eq!(status(&house, &anna, "GET", "/v1/users").await, 403);
    assert_eq!(admin(&house, "PUT", "/v1/teams/ops/members/anna", Value::Null).await.status, 204);
    assert_eq!(status(&house, &anna, "GET", "/v1/users").await, 200);
    assert_eq!(status(&house, &ben, "GET", "/v1/users").await, 403);
    let refused = admin(&house, "DELETE", "/v1/teams/ops", Value::Null).await.problem(409);
    assert!(refused.message.contains("it has 1"), "{refused:?}");
    let teams = admin(&house, "GET", "/v1/teams", Value::Null).await.ok::<Vec<TeamInfo>>();
    assert_eq!(teams[0].members.len(), 1);
    assert_eq!(admin(&house, "DELETE", "/v1/teams/ops/members/anna", Value::Null).await.status, 204);
    assert_eq!(status(&house, &anna, "GET", "/v1/users").await, 403);
    assert_eq!(admin(&house, "DELETE", "/v1/teams/ops", Value::Null).await.status, 204);
    assert_eq!(
        admin(&house, "PUT", "/v1/teams/ops/members/anna", Value::Null).await.problem(404).code,
        Code::NotFound
    );
}

#[tokio::test]
async fn who_is_locked_or_removed_is_out_at_once() {
    let house = House::new();
    user(&house, "anna", json!([{"role": "viewer"}])).await;
    let token = session(&house, "anna").await;
    assert_eq!(status(&house, &token, "GET", "/v1/status").await, 200);
    assert!(admin(&house, "POST", "/v1/users/anna/lock", Value::Null).await.ok::<UserInfo>().locked);
    assert_eq!(status(&house, &token, "GET", "/v1/status").await, 401);
    assert!(sign_in(&house, "anna", WORD).await.problem(403).message.contains("locked"));
    assert_eq!(sign_in(&house, "anna", "something else!").await.status, 401, "strangers are told nothing");
    admin(&house, "POST", "/v1/users/anna/unlock", Value::Null).await.ok::<UserInfo>();
    assert_eq!(status(&house, &token, "GET", "/v1/status").await, 200);
    assert_eq!(admin(&house, "GET", "/v1/users", Value::Null).await.ok::<Vec<UserInfo>>()[0].sessions, 1);
    assert_eq!(admin(&house, "DELETE", "/v1/users/anna", Value::Null).await.status, 204);
    assert_eq!(status(&house, &token, "GET", "/v1/status").await, 401);
    user(&house, "anna", json!([{"role": "admin"}])).await;
    assert_eq!(status(&house, &token, "GET", "/v1/status").await, 401, "another one of the same name");
}

#[tokio::test]
async fn an_admin_gives_a_link_and_the_user_alone_knows_the_password() {
    let house = House::new();
    let made = admin(&house, "POST", "/v1/users", json!({"name": "anna"})).await.ok::<UserMade>();
    assert!(!made.user.has_password);
    let again = admin(&house, "POST", "/v1/users", json!({"name": "anna"})).await.problem(409);
    assert!(again.message.contains("anna already"), "{again:?}");
    let once = made.login.expect("a link").token;
    let login =
        async |once: &str| house.call("", "POST", "/v1/login", json!({"token": once}).to_string()).await;
    let token = login(&once).await.ok::<TokenMade>().token;
    assert_eq!(login(&once).await.status, 401, "it works once");
    let choose = async |token: &str, body: Value| {
        house.call(token, "POST", "/v1/users/anna/password", body.to_string()).await
    };
    assert!(choose(&token, json!({"new": "short"})).await.problem(422).message.contains("12 characters"));
    assert_eq!(choose(&house.admin, json!({"new": WORD})).await.problem(403).code, Code::NotAllowed);
    assert_eq!(choose(&token, json!({"new": WORD})).await.status, 204);
    let other = session(&house, "anna").await;
    let refused = choose(&token, json!({"new": "another good one"})).await.problem(422);
    assert!(refused.message.contains("current"), "{refused:?}");
    assert_eq!(choose(&token, json!({"current": "wrong", "new": "another good one"})).await.status, 401);
    assert_eq!(choose(&token, json!({"current": WORD, "new": "another good one"})).await.status, 204);
    assert_eq!(status(&house, &token, "GET", "/v1/session").await, 200);
    assert_eq!(status(&house, &other, "GET", "/v1/session").await, 401, "other sessions end");
    assert_eq!(sign_in(&house, "anna", WORD).await.status, 401);

    let link = admin(&house, "POST", "/v1/users/anna/link", Value::Null).await.ok::<TokenMade>().token;
    assert_eq!(status(&house, &token, "GET", "/v1/session").await, 401);
    assert_eq!(
        sign_in(&house, "anna", "another good one").await.status,
        401,
        "the former one is good no longer"
    );
    assert_eq!(login(&link).await.status, 200);
    let kept = house.everything();
    for word in [WORD, "another good one", &link, &token] {
        assert!(!kept.contains(word), "{word} is kept in clear");
    }
}

#[tokio::test]
async fn strangers_become_users_where_that_is_open() {
    let house = House::new();
    admin(&house, "POST", "/v1/apps/shop", Value::Null).await.ok::<Value>();
    let sign_up = async |name: &str| {
        house.call("", "POST", "/v1/sign-up", json!({"name": name, "password": WORD}).to_string()).await
    };
    assert_eq!(sign_up("eve").await.problem(403).code, Code::NotAllowed);
    admin(&house, "POST", "/v1/teams", json!({"name": "guests"})).await.ok::<TeamInfo>();
    admin(&house, "POST", "/v1/grants", json!({"to": "team/guests", "role": "viewer", "app": "shop"})).await;
    let no_team = admin(&house, "PUT", "/v1/sign-up", json!({"open": true, "team": "none"})).await;
    assert_eq!(no_team.problem(404).code, Code::NotFound);
    admin(&house, "PUT", "/v1/sign-up", json!({"open": true, "team": "guests"})).await.ok::<SignUp>();
    let seen = house.call("", "GET", "/v1/sign-up", Body::empty()).await.ok::<SignUp>();
    assert!(seen.open && seen.team.is_none(), "strangers learn no names of teams");
    let token = sign_up("eve").await.ok::<TokenMade>().token;
    assert_eq!(sign_up("eve").await.status, 409);
    assert_eq!(status(&house, &token, "GET", "/v1/status?target=shop").await, 200);
    assert_eq!(status(&house, &token, "POST", "/v1/apps/shop").await, 403);
    assert_eq!(admin(&house, "DELETE", "/v1/teams/guests", Value::Null).await.status, 409);
    admin(&house, "PUT", "/v1/sign-up", json!({"open": false})).await.ok::<SignUp>();
    assert_eq!(sign_up("mallory").await.status, 403);
}

#[tokio::test]
async fn a_name_rests_after_wrong_passwords() {
    let house = House::new();
    user(&house, "anna", json!([])).await;
    for _ in 0..6 {
        assert_eq!(sign_in(&house, "anna", "wrong wrong wrong").await.status, 401);
    }
    let refused = sign_in(&house, "anna", WORD).await.problem(429);
    assert!(refused.message.contains("try again in 2 s"), "{refused:?}");
    house.clock.advance(2_000);
    assert_eq!(sign_in(&house, "anna", WORD).await.status, 200);
}
