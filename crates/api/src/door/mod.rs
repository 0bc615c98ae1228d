//! Every door of the API in one table: method, path, what it needs, what it takes, how long it may take.
//!
//! Router, grants, limits and the OpenAPI document all come from this table, so that none of them can forget a door.
//! Nothing is open that does not say so.

mod describe;
mod guard;
mod people;
mod table;

pub(crate) use describe::document;
pub(crate) use guard::{Held, known};
pub use table::table;

use crate::limit::{ARCHIVE_BODY_MAX, CHUNK_BODY_MAX, JSON_BODY_MAX, SECRET_BODY_MAX, TREE_BODY_MAX};
use crate::refusal;
use crate::state::ApiState;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use lace_model::token::Role;

/// What a door needs of whoever comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it tells nothing that is not for everybody, or checks a token in the body.
    Nothing,
    /// A token with this role, and this relation to applications.
    Token(Role, Scope),
}

/// How a token that is limited to some applications is held to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `{app}` of the path must be one of its applications.
    Path,
    /// The target in the query or the body must be; where none is said, the answer holds its applications only.
    Target,
    /// What the id in the path stands for must belong to one of them.
    Row,
    /// It belongs to no application: any token of the role.
    Shared,
    /// It is about the one who asks: whoever is known, though nothing is granted to them.
    Own,
    /// It concerns the whole installation: only tokens without such limits.
    Whole,
}

/// What a door takes as body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// JSON of the named schema.
    Json(&'static str),
    /// A chunk of a release.
    Chunk,
    /// JSON of the named schema that holds a whole tree.
    Tree(&'static str),
    /// The value of a secret.
    Secret,
    /// A release as an archive, of unknown length.
    Archive,
}

impl Body {
    /// Most bytes.
    pub fn limit(self) -> usize {
        match self {
            Self::Empty | Self::Json(_) => JSON_BODY_MAX,
            Self::Chunk => CHUNK_BODY_MAX,
            Self::Tree(_) => TREE_BODY_MAX,
            Self::Secret => SECRET_BODY_MAX,
            Self::Archive => ARCHIVE_BODY_MAX,
        }
    }
}

/// What comes back when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// JSON of the named schema.
    Json(&'static str),
    /// JSON: a list of the named schema.
    List(&'static str),
    /// Bytes.
    Bytes,
    /// Text of this media type.
    Text(&'static str),
    /// Nothing.
    Nothing,
    /// 101: the connection becomes a WebSocket.
    Socket,
    /// 303: the browser goes elsewhere.
    Elsewhere,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// [`crate::limit::ANSWER_WITHIN`].
    Usual,
    /// The client says how long it waits, up to [`crate::limit::WAIT_MS_MAX`].
    Waits,
    /// As long as both sides like.
    Open,
}

/// What the audit log says of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// Nothing: it changes nothing that people see (reads, plans, chunks of a release not yet made).
    None,
    /// One row for each call: by its handler, in the same commit, where it does something; by the guard where not.
    Kept,
}

/// The statement about one door.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its method, in capitals.
    pub method: &'static str,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// What it takes.
    pub body: Body,
    /// What it answers.
    pub reply: Reply,
    /// How long it may take.
    pub patience: Patience,
    /// What the audit log says of it.
    pub trail: Trail,
    /// Parameters of the query: name and help.
    pub query: &'static [(&'static str, &'static str)],
    /// One sentence.
    pub says: &'static str,
}

/// A rule and what happens behind it.
pub struct Door {
    /// The statement.
    pub rule: Rule,
    handler: MethodRouter<ApiState>,
}

impl Door {
    fn new<H, T>(method: &'static str, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let (filter, trail) = match method {
            "GET" => (MethodFilter::GET, Trail::None),
            "PUT" => (MethodFilter::PUT, Trail::Kept),
            "DELETE" => (MethodFilter::DELETE, Trail::Kept),
            _ => (MethodFilter::POST, Trail::Kept),
        };
        let rule = Rule {
            method,
            path,
            trail,
            need: Need::Token(Role::Admin, Scope::Whole),
            body: Body::Empty,
            reply: Reply::Nothing,
            patience: Patience::Usual,
            query: &[],
            says: "",
        };
        Self { rule, handler: on(filter, handler) }
    }

    fn open(mut self) -> Self {
        self.rule.need = Need::Nothing;
        self
    }
    fn needs(mut self, role: Role, scope: Scope) -> Self {
        self.rule.need = Need::Token(role, scope);
        self
    }
    fn viewer(self, scope: Scope) -> Self {
        self.needs(Role::Viewer, scope)
    }
    fn deployer(self, scope: Scope) -> Self {
        self.needs(Role::Deployer, scope)
    }
    fn admin(self) -> Self {
        self.needs(Role::Admin, Scope::Whole)
    }
    fn takes(mut self, body: Body) -> Self {
        self.rule.body = body;
        self
    }
    fn answers(mut self, reply: Reply) -> Self {
        self.rule.reply = reply;
        self
    }
    fn asks(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.rule.query = query;
        self
    }
    fn patience(mut self, patience: Patience) -> Self {
        self.rule.patience = patience;
        self
    }
    fn untraced(mut self) -> Self {
        self.rule.trail = Trail::None;
        self
    }
    fn says(mut self, text: &'static str) -> Self {
        self.rule.says = text;
        self
    }
}

/// The API as a router: one route for each row of the table, each behind its guard.
pub fn router(state: ApiState) -> Router {
    let rooms = guard::Rooms::default();
    let mut router = Router::new();
    for Door { rule, handler } in table() {
        let post = guard::Post { state: state.clone(), rule, rooms: rooms.clone() };
        let guarded = handler
            .route_layer(DefaultBodyLimit::max(rule.body.limit()))
            .route_layer(axum::middleware::from_fn_with_state(post, guard::guard));
        router = router.route(rule.path, guarded);
    }
    router
        .fallback(refusal::no_such_route)
        .method_not_allowed_fallback(refusal::no_such_method)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(refusal::panicked))
        .with_state(state)
}
