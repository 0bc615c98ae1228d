//! The doors about people.

use super::Body::Json;
use super::Door;
use super::Reply::{self, List, Nothing};
use super::Scope::Own;
use super::table::{Query, delete, get, post, put};
use crate::people::{grant, sign, team, user};

const GRANT: Query = &[
    ("to", "user/NAME or team/NAME"),
    ("role", "viewer, deployer or admin"),
    ("app", "the application; everything where none is said"),
];

pub(super) fn people() -> Vec<Door> {
    [coming_in(), users(), teams(), grants()].into_iter().flatten().collect()
}

fn coming_in() -> Vec<Door> {
    vec![
        post("/v1/login/password", sign::sign_in)
            .open()
            .takes(Json("SignInRequest"))
            .answers(Reply::Json("TokenMade"))
            .says("Trades a name and a password for a session token."),
        get("/v1/sign-up", sign::show)
            .open()
            .answers(Reply::Json("SignUp"))
            .says("May strangers become users by themselves?"),
        post("/v1/sign-up", sign::create)
            .open()
            .takes(Json("SignInRequest"))
            .answers(Reply::Json("TokenMade"))
            .says("Becomes a user, where that is open."),
        put("/v1/sign-up", sign::set)
            .admin()
            .takes(Json("SignUp"))
            .answers(Reply::Json("SignUp"))
            .says("Says whether strangers may become users, and into which team they come."),
    ]
}

fn users() -> Vec<Door> {
    vec![
        get("/v1/users", user::list).admin().answers(List("UserInfo")).says("Users."),
        post("/v1/users", user::create)
            .admin()
            .takes(Json("UserRequest"))
            .answers(Reply::Json("UserMade"))
            .says("Makes a user; the link to choose a password is shown this once."),
        delete("/v1/users/{user}", user::delete)
            .admin()
            .answers(Nothing)
            .says("Removes a user and ends their sessions."),
        post("/v1/users/{user}/link", user::link)
            .admin()
            .answers(Reply::Json("TokenMade"))
            .says("A link to choose a new password; the former one and all sessions end."),
        post("/v1/users/{user}/lock", user::lock)
            .admin()
            .answers(Reply::Json("UserInfo"))
            .says("Keeps a user out, from open sessions too."),
        post("/v1/users/{user}/unlock", user::unlock)
            .admin()
            .answers(Reply::Json("UserInfo"))
            .says("Lets a user in again."),
        post("/v1/users/{user}/password", user::change_password)
            .viewer(Own)
            .takes(Json("PasswordRequest"))
            .answers(Nothing)
            .says("Changes one's own password."),
    ]
}

fn teams() -> Vec<Door> {
    vec![
        get("/v1/teams", team::list).admin().answers(List("TeamInfo")).says("Teams and their members."),
        post("/v1/teams", team::create)
            .admin()
            .takes(Json("TeamRequest"))
            .answers(Reply::Json("TeamInfo"))
            .says("Makes a team."),
        delete("/v1/teams/{team}", team::delete)
            .admin()
            .answers(Nothing)
            .says("Removes a team without members."),
        put("/v1/teams/{team}/members/{user}", team::join)
            .admin()
            .answers(Nothing)
            .says("Takes a user into a team."),
        delete("/v1/teams/{team}/members/{user}", team::leave)
            .admin()
            .answers(Nothing)
            .says("Takes a user out of a team."),
    ]
}

fn grants() -> Vec<Door> {
    vec![
        get("/v1/grants", grant::list).admin().answers(List("GrantLine")).says("Who may do what."),
        post("/v1/grants", grant::add)
            .admin()
            .takes(Json("GrantLine"))
            .answers(Nothing)
            .says("Grants a role to a user or a team, for one application or for all."),
        delete("/v1/grants", grant::remove).admin().asks(GRANT).answers(Nothing).says("Takes a grant away."),
    ]
}
