//! Passwords: Argon2id (RFC 9106) with the parameters that OWASP's cheat sheet of password storage names first (19 MiB, two
//! passes, one lane). Few are looked at at a time, a name rests after wrong ones, and an unknown name costs as much as a known.

use crate::refusal::{Answer, Refusal};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::http::StatusCode;
use lace_model::{Code, Millis, Name};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Passwords that are looked at at a time: each takes 19 MiB and some 20 ms of a core.
const AT_ONCE: usize = 2;
/// How long one waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// Wrong ones in a row that are borne without a rest.
const WRONG_FREE: u32 = 5;
/// The longest rest of a name.
const REST_MAX_MS: Millis = 60_000;
/// After so long wrong ones are forgotten.
const FORGOTTEN_MS: Millis = 900_000;
/// Most names whose wrong ones are remembered.
const NAMES_MAX: usize = 10_000;
/// Strangers who become users within an hour: more are refused, so that nobody fills the list of users.
const SIGN_UPS_MAX: usize = 60;
const HOUR_MS: Millis = 3_600_000;
/// What stands for the digest of nobody's password, of the same cost as a real one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Those who come with passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    room: Arc<Semaphore>,
    wrong: Arc<Mutex<HashMap<Name, Wrong>>>,
    signed_up: Arc<Mutex<VecDeque<Millis>>>,
}

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    last: Millis,
}

impl Wrong {
    /// When the name may be tried again.
    fn rests_until(self) -> Millis {
        let over = self.times.saturating_sub(WRONG_FREE);
        let rest = if over == 0 { 0 } else { (1_000_u64 << over.min(7)).min(REST_MAX_MS) };
        self.last + rest
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), wrong: Arc::default(), signed_up: Arc::default() }
    }
}

impl Passwords {
    /// The digest of a new password.
    pub(crate) async fn digest(&self, password: String) -> Answer<String> {
        let failed = |e| Refusal::new(Code::Error, format!("the password cannot be digested: {e}"));
        self.at_turn(move || {
            Argon2::default().hash_password(password.as_bytes()).map(|made| made.to_string())
        })
        .await?
        .map_err(failed)
    }

    /// Is this the password? A name that rests, one without a password and a wrong password are all refused.
    pub(crate) async fn check(
        &self,
        name: &Name,
        password: String,
        digest: Option<String>,
        now: Millis,
    ) -> Answer<()> {
        self.try_at(name, now)?;
        let is_known = digest.is_some();
        let digest = digest.unwrap_or_else(|| NOBODY.into());
        let is_right = self
            .at_turn(move || {
                let digest = PasswordHash::new(&digest);
                digest.is_ok_and(|d| Argon2::default().verify_password(password.as_bytes(), &d).is_ok())
            })
            .await?;
        if is_right && is_known {
            self.remembered().remove(name);
            return Ok(());
        }
        Err(wrong())
    }

    /// Refuses strangers where too many became users within the last hour.
    pub(crate) fn admit_stranger(&self, now: Millis) -> Answer<()> {
        let mut signed_up = self.signed_up.lock().unwrap_or_else(PoisonError::into_inner);
        signed_up.retain(|at| at + HOUR_MS > now);
        if signed_up.len() >= SIGN_UPS_MAX {
            let message = format!("{SIGN_UPS_MAX} people have become users within an hour, and no more may");
            return Err(Refusal::new(Code::Unreachable, message)
                .hint("try again later, or ask an admin: lace user add NAME")
                .status(StatusCode::TOO_MANY_REQUESTS));
        }
        signed_up.push_back(now);
        Ok(())
    }

    /// Counts a try, which is forgotten where it was right: tries at the same time do not get around the rest.
    fn try_at(&self, name: &Name, now: Millis) -> Answer<()> {
        let mut remembered = self.remembered();
        remembered.retain(|_, wrong| wrong.last + FORGOTTEN_MS > now);
        let known = remembered.get(name).copied();
        let until = known.map_or(0, Wrong::rests_until);
        if until > now {
            return Err(rests(name, until - now));
        }
        if known.is_none() && remembered.len() >= NAMES_MAX {
            return Err(Refusal::new(Code::Unreachable, "too many names were tried with wrong passwords")
                .hint("log in with a token, or try again in a quarter of an hour"));
        }
        remembered.insert(name.clone(), Wrong { times: known.map_or(1, |wrong| wrong.times + 1), last: now });
        Ok(())
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Wrong>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn at_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let busy = || {
            Refusal::new(Code::Unreachable, "many people log in at the moment").hint("try again in a moment")
        };
        let turn = tokio::time::timeout(TURN_WITHIN, self.room.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|e| Refusal::new(Code::Error, format!("the password could not be looked at: {e}")))
    }
}

/// The one answer: it does not say whether there is such a user.
fn wrong() -> Refusal {
    Refusal::new(Code::NotAuthenticated, "name or password is wrong")
        .hint("an admin makes a link to choose a new one: lace user link NAME")
}

fn rests(name: &Name, ms: Millis) -> Refusal {
    let message = format!("too many wrong passwords for {name}: try again in {} s", ms.div_ceil(1_000));
    Refusal::new(Code::NotAuthenticated, message)
        .hint("a session that is open goes on; an admin makes a login link: lace user link NAME")
        .status(StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn so_many_strangers_become_users_within_an_hour() {
        let passwords = Passwords::default();
        assert!((0..60).all(|at| passwords.admit_stranger(at).is_ok()));
        assert!(passwords.admit_stranger(HOUR_MS - 1).is_err());
        assert!(passwords.admit_stranger(HOUR_MS).is_ok() && passwords.admit_stranger(HOUR_MS).is_err());
    }

    #[tokio::test]
    async fn a_name_rests_after_wrong_passwords_whether_it_is_known_or_not() {
        let passwords = Passwords::default();
        let digest = passwords.digest("correct horse battery".into()).await.expect("made");
        assert!(digest.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{digest}");
        assert!(PasswordHash::new(NOBODY).is_ok(), "nobody's costs as much");
        let tried = async |who: &str, word: &str, known: bool, now| {
            let digest = known.then(|| digest.clone());
            passwords.check(&name(who), word.into(), digest, now).await
        };
        assert!(tried("anna", "correct horse battery", true, 0).await.is_ok());
        for known in [true, false] {
            let who = if known { "anna" } else { "nobody" };
            for _ in 0..WRONG_FREE + 1 {
                let refusal = tried(who, "wrong", known, 1_000).await.expect_err("wrong");
                assert!(refusal.problem().message.contains("name or password"), "{refusal:?}");
            }
            let refusal = tried(who, "correct horse battery", known, 2_999).await.expect_err("it rests");
            assert!(refusal.problem().message.contains("try again in 1 s"), "{refusal:?}");
        }
        assert!(tried("anna", "correct horse battery", true, 3_000).await.is_ok());
        assert!(tried("anna", "wrong", true, 3_000).await.is_err());
        assert!(
            tried("anna", "correct horse battery", true, 3_001).await.is_ok(),
            "it counts from the start"
        );
        assert!(tried("nobody", "x", false, 3_000 + FORGOTTEN_MS).await.is_err());
        assert_eq!(passwords.remembered().len(), 1, "what is long ago is forgotten");
    }
}
