//! The authority that certificates are ordered from: an administrator chooses it, once for the installation.

use crate::ask::Doc;
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::AppName;
use lace_model::authority::{AUTHORITY_KEY, Authority, CA_SECRET, INSTALLATION};
use lace_model::event::NewEvent;
use lace_store::{Batch, Expect};
use lace_wire::api::Accepted;
use lace_wire::authority::{AuthorityRequest, AuthorityView};

/// `GET /v1/authority`.
pub(crate) async fn show(State(state): State<ApiState>) -> Answer<Json<AuthorityView>> {
    let public = state.store.get::<Authority>(AUTHORITY_KEY)?.map(|row| row.value);
    let own = AppName::new(INSTALLATION).ok();
    let own = own.map(|app| state.store.secret_get(&app, CA_SECRET, None)).transpose()?.flatten();
    // The certificate comes first; its key stays where it is.
    let internal_ca = own.and_then(|(sealed, _)| {
        let text = String::from_utf8_lossy(sealed.expose()).into_owned();
        text.find("-----BEGIN PRIVATE").map(|end| text[..end].trim_end().to_owned() + "\n")
    });
    Ok(Json(match public {
        None => AuthorityView { internal_ca, ..AuthorityView::default() },
        Some(public) => AuthorityView {
            directory: Some(public.directory),
            contacts: public.contacts,
            own_ca: public.ca.is_some(),
            challenge: public.challenge.map(|kind| kind.to_string()),
            set_at: Some(public.set_at),
            internal_ca,
        },
    }))
}

/// `PUT /v1/authority`.
pub(crate) async fn set(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<AuthorityRequest>,
) -> Answer<Json<Accepted>> {
    if !request.terms_agreed {
        let message = format!("the terms of {} are not agreed to", request.directory);
        return Err(Refusal::usage(message).hint("read them, then say --agree-terms"));
    }
    let challenge = request.challenge.as_deref().map(str::parse).transpose().map_err(Refusal::usage)?;
    let AuthorityRequest { directory, contacts, ca, .. } = request;
    let authority = Authority { directory, contacts, ca, challenge, set_at: state.now() };
    authority.check().map_err(Refusal::usage)?;
    let deed = Deed::new("authority set", "authority");
    let mut batch = deed.batch(&caller);
    batch.put(&authority, Expect::Any);
    let told = format!("certificates are ordered from {}", authority.directory);
    say(&mut batch, &caller, "authority.set", &told);
    deed.only(&state, batch).await?;
    Ok(Json(Accepted { operation: None, message: told }))
}

/// `DELETE /v1/authority`.
pub(crate) async fn clear(State(state): State<ApiState>, caller: Caller) -> Answer<Json<Accepted>> {
    if state.store.get::<Authority>(AUTHORITY_KEY)?.is_none() {
        return Err(Refusal::not_found("authority").hint("lace authority set letsencrypt --agree-terms"));
    }
    let deed = Deed::light("authority clear", "authority");
    let mut batch = deed.batch(&caller);
    batch.delete::<Authority>(AUTHORITY_KEY, Expect::Any);
    let told = "no more certificates are ordered; those that are there are served until they end";
    say(&mut batch, &caller, "authority.cleared", told);
    deed.only(&state, batch).await?;
    Ok(Json(Accepted { operation: None, message: told.to_owned() }))
}

fn say(batch: &mut Batch, caller: &Caller, kind: &str, message: &str) {
    batch.event(NewEvent::new(kind, "authority", message).by(caller.name.clone()));
}
