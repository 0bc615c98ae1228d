//! Tokens: `lace_<id>_<secret>`. The store knows their digests only; the text is shown once, to whoever asked.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::id::IdSource;
use crate::limit::{JOIN_MS, TOKEN_DAYS_MAX};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::token::{Role, Token};
use lace_model::{AppName, Code, Digest, Millis, Name, TokenId};
use lace_store::{Expect, Row};
use lace_wire::api::{TokenInfo, TokenMade, TokenRequest};

/// Longest name of a token, in bytes.
pub const TOKEN_NAME_MAX: usize = 80;

/// Most tokens; those that are over are dropped as new ones are made.
const TOKENS_MAX: usize = 10_000;

/// Tokens that are over and are dropped with one new one.
const DROPPED_AT_ONCE: usize = 100;

const DAY_MS: u64 = 86_400_000;

const PREFIX: &str = "lace_";

/// What a new token shall be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Applications it is limited to; all where empty.
    pub apps: Vec<AppName>,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// It works once, to log in (or, with `join`, to join).
    pub once: bool,
    /// It lets an agent join, and nothing else.
    pub join: bool,
    /// The user whose session it is, or becomes.
    pub user: Option<Name>,
}

impl NewToken {
    /// A token with this name and role that does not end.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            apps: Vec::new(),
            expires_at: None,
            once: false,
            join: false,
            user: None,
        }
    }

    /// A token that is traded for a session, once.
    #[must_use]
    pub fn login(mut self, now: Millis) -> Self {
        self.once = true;
        self.expires_at = Some(now + crate::limit::LOGIN_MS);
        self
    }
}

/// Makes a token: what is stored, and the text that is shown this once. It does not write anything.
///
/// # Errors
/// Where the random source fails.
pub fn mint_token(ids: &dyn IdSource, now: Millis, new: NewToken) -> std::io::Result<(Token, String)> {
    let id = TokenId(ids.id());
    let text = format!("{PREFIX}{}_{}", id.0.simple(), Digest(ids.secret()?));
    let NewToken { name, role, apps, expires_at, once, join, user } = new;
    let digest = Digest::of(text.as_bytes());
    let token =
        Token { id, name, role, apps, digest, created_at: now, expires_at, once, join, machine: None, user };
    Ok((token, text))
}

/// The id inside a token's text, where it has the form of one.
pub fn token_id(text: &str) -> Option<TokenId> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let formed = id.len() == 32 && secret.len() == 64;
    formed.then(|| id.parse().ok()).flatten()
}

/// Is this the token's text? Takes equally long for every text.
pub fn is_text_of(token: &Token, text: &str) -> bool {
    let (have, want) = (Digest::of(text.as_bytes()), token.digest);
    let differing = have.0.iter().zip(want.0).fold(0u8, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differing) == 0
}

/// Has its time come?
pub(crate) fn is_over(token: &Token, now: Millis) -> bool {
    token.expires_at.is_some_and(|end| end <= now)
}

/// The one answer to tokens that are unknown, wrong or over: it does not say which.
pub(crate) fn unknown_token() -> Refusal {
    Refusal::new(Code::NotAuthenticated, "the token is not valid (any more)")
        .hint("type `lace login URL` with a new login link, or ask an admin for a token")
}

/// Makes a token where the API is asked to.
pub(crate) fn mint(ids: &dyn IdSource, now: Millis, new: NewToken) -> Answer<(Token, String)> {
    mint_token(ids, now, new)
        .map_err(|e| Refusal::new(Code::Error, format!("cannot read the random source: {e}")))
}

/// `GET /v1/tokens`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<TokenInfo>>> {
    let rows = state.store.snapshot_async(|view| view.list::<Token>("")).await?;
    Ok(Json(rows.into_iter().map(|row| shown(row.value)).collect()))
}

fn shown(token: Token) -> TokenInfo {
    let Token { id, name, role, apps, created_at, expires_at, once, join, user, .. } = token;
    TokenInfo { id, name, role, apps, created_at, expires_at, once, join, user }
}

/// `POST /v1/tokens`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<TokenRequest>,
) -> Answer<Json<TokenMade>> {
    let now = state.now();
    let new = wanted(request, now)?;
    let (token, text) = mint(state.ids.as_ref(), now, new)?;
    let subject = format!("token/{}", token.id);
    let deed = Deed::new("token create", &subject);
    let mut batch = deed.batch(&caller);
    drop_old(&state, now, &mut batch)?;
    batch.put(&token, Expect::Absent);
    batch.event(NewEvent::new("token.made", &subject, format!("{} ({:?})", token.name, token.role)));
    deed.only(&state, batch).await?;
    Ok(Json(TokenMade { id: token.id, token: text, expires_at: token.expires_at }))
}

fn wanted(request: TokenRequest, now: Millis) -> Answer<NewToken> {
    let name = request.name.trim();
    if name.is_empty() || name.len() > TOKEN_NAME_MAX || name.chars().any(char::is_control) {
        return Err(Refusal::usage("a token's name has 1 to 80 bytes, and no control characters"));
    }
    let span = request.expires_in.map(|s| s.ms()).or(request.join.then_some(JOIN_MS));
    if span.is_some_and(|ms| ms == 0 || ms > TOKEN_DAYS_MAX * DAY_MS) {
        return Err(Refusal::usage("a token lives longer than nothing and at most ten years"));
    }
    Ok(NewToken {
        name: name.to_owned(),
        role: request.role,
        apps: request.apps,
        expires_at: span.map(|ms| now + ms),
        once: request.join,
        join: request.join,
        user: None,
    })
}

/// Drops tokens that are over, so that their number stays bounded.
pub(crate) fn drop_old(state: &ApiState, now: Millis, batch: &mut lace_store::Batch) -> Answer<()> {
    let rows = state.store.list::<Token>("")?;
    let over = rows.iter().filter(|row| is_over(&row.value, now)).take(DROPPED_AT_ONCE);
    for row in over.clone() {
        batch.delete::<Token>(&row.value.id.to_string(), Expect::Any);
    }
    if rows.len() - over.count() >= TOKENS_MAX {
        return Err(Refusal::new(Code::TooLarge, format!("there are {TOKENS_MAX} tokens already"))
            .hint("remove some: lace token list, lace token remove ID"));
    }
    Ok(())
}

/// `DELETE /v1/tokens/{id}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<TokenId>,
) -> Answer<StatusCode> {
    let rows = state.store.list::<Token>("")?;
    let Some(row) = rows.iter().find(|row| row.value.id == id) else {
        return Err(Refusal::not_found(format_args!("token {id}")).hint("lace token list"));
    };
    let keeps = |row: &&Row<Token>| is_lasting_admin(&row.value);
    if keeps(&row) && rows.iter().filter(keeps).count() == 1 {
        return Err(Refusal::new(
            Code::Conflict,
            format!("{} is the last token of an admin", row.value.name),
        )
        .hint("make another one first: lace token create NAME --role admin"));
    }
    let subject = format!("token/{id}");
    let deed = Deed::light("token remove", &subject);
    let mut batch = deed.batch(&caller);
    batch.delete::<Token>(&id.to_string(), Expect::Rev(row.rev));
    batch.event(NewEvent::new("token.removed", &subject, row.value.name.clone()));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_lasting_admin(token: &Token) -> bool {
    token.role == Role::Admin
        && token.apps.is_empty()
        && token.expires_at.is_none()
        && !token.once
        && token.user.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CountedIds;

    #[test]
    fn a_token_is_found_by_its_own_text_only() {
        let ids = CountedIds::default();
        let (token, text) = mint_token(&ids, 5, NewToken::new("ci", Role::Deployer)).expect("made");
        let (other, other_text) = mint_token(&ids, 5, NewToken::new("ci", Role::Deployer)).expect("made");
        assert_eq!(token_id(&text), Some(token.id));
        assert_ne!(token.id, other.id);
        assert!(is_text_of(&token, &text) && !is_text_of(&token, &other_text) && !is_text_of(&token, ""));
        for bad in ["", "lace_", "lace__", &text[1..], &text[..text.len() - 1], &text.replace("lace_", "")] {
            assert_eq!(token_id(bad), None, "{bad}");
        }
        assert!(!format!("{token:?}").contains(&text), "the text is not stored");
    }

    #[test]
    fn a_token_ends_at_its_moment() {
        let (mut token, _) =
            mint_token(&CountedIds::default(), 0, NewToken::new("x", Role::Viewer)).expect("made");
        assert!(!is_over(&token, u64::MAX));
        token.expires_at = Some(10);
        assert!(!is_over(&token, 9) && is_over(&token, 10));
    }
}
