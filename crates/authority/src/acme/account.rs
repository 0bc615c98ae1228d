//! The account at an authority: registered once, its key sealed in the store. One for each directory.

use super::http::Http;
use super::words;
use crate::Refused;
use crate::row::installation;
use instant_acme::{Account, AccountCredentials, NewAccount};
use lace_model::Digest;
use lace_model::authority::Authority;
use lace_store::{Batch, SecretValue, Store};

/// Under which name the account is sealed: another directory or other contacts are another account.
fn secret(authority: &Authority) -> String {
    let about = Digest::of_value(&(&authority.directory, &authority.contacts)).to_string();
    format!("acme:{}", &about[..32])
}

/// The account, registered where it is not yet.
pub(super) async fn open(store: &Store, authority: &Authority, http: Http) -> Result<Account, Refused> {
    let later = http.clone();
    let told = |error| Refused { cause: words(&error), later: later.later() };
    let builder = Account::builder_with_http(Box::new(http));
    if let Some((sealed, _)) = store.secret_get(&installation(), &secret(authority), None)? {
        let known: AccountCredentials = serde_json::from_slice(sealed.expose()).map_err(Refused::new)?;
        return builder.from_credentials(known).await.map_err(told);
    }
    let contacts: Vec<String> = authority.contacts.iter().map(|mail| format!("mailto:{mail}")).collect();
    let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
    let asked = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder.create(&asked, authority.directory.clone(), None).await;
    let (account, credentials) = made.map_err(told)?;
    let bytes = serde_json::to_vec(&credentials).map_err(Refused::new)?;
    let mut batch = Batch::new(None);
    batch.secret_put(&installation(), &secret(authority), SecretValue::new(bytes), true);
    batch.audit("account register", &authority.directory, "done");
    store.commit_async(batch).await?;
    Ok(account)
}

/// The authority does not know it any more: the next order registers another one.
pub(super) fn forget(store: &Store, authority: &Authority) -> Result<(), Refused> {
    let mut batch = Batch::new(None);
    batch.secret_remove(&installation(), &secret(authority));
    store.commit(batch)?;
    Ok(())
}
