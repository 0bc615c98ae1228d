//! The runtime's release handler (`sasl`), by its own functions.

use lace_beam::term::print::print;
use lace_beam::{Call, Link, Term};
use std::time::Duration;

/// Processes are suspended and told to change their state.
const INSTALL_WITHIN: Duration = Duration::from_secs(60);
/// For the small steps.
const STEP_WITHIN: Duration = Duration::from_secs(15);
/// Characters of an answer that are told.
const SAID_MAX: usize = 600;

/// What it knew when it was asked.
pub struct Handler {
    link: Link,
    /// What the runtime boots.
    pub permanent: String,
    /// What runs.
    pub current: String,
    versions: Vec<String>,
    unpacked: Vec<String>,
}

impl Handler {
    /// Asks it which releases it knows.
    pub async fn of(link: Link) -> Result<Self, String> {
        let call = Call::new("release_handler", "which_releases", Vec::new()).within(STEP_WITHIN);
        let known = link.call(call).await.map_err(|error| {
            format!("its release handler does not answer (the release must carry and start sasl): {error}")
        })?;
        let mut handler = Self {
            link,
            permanent: String::new(),
            current: String::new(),
            versions: Vec::new(),
            unpacked: Vec::new(),
        };
        for release in known.as_list().unwrap_or_default() {
            let [_, version, _, status] = release.as_tuple().unwrap_or_default() else { continue };
            let version = version.as_text().unwrap_or_default();
            match status.as_atom() {
                Some("permanent") => handler.permanent.clone_from(&version),
                Some("current") => handler.current.clone_from(&version),
                Some("unpacked") => handler.unpacked.push(version.clone()),
                _ => {}
            }
            handler.versions.push(version);
        }
        if handler.permanent.is_empty() {
            return Err("its release handler names no permanent release".to_owned());
        }
        if handler.current.is_empty() {
            handler.current.clone_from(&handler.permanent);
        }
        Ok(handler)
    }

    /// Is it unpacked there, or was it there before?
    pub fn knows(&self, version: &str) -> bool {
        self.versions.iter().any(|known| known == version)
    }

    /// Is it unpacked there, and never ran?
    pub fn has_unpacked(&self, version: &str) -> bool {
        self.unpacked.iter().any(|known| known == version)
    }

    pub async fn set_unpacked(&self, rel: &str) -> Result<(), String> {
        self.step("set_unpacked", vec![Term::charlist(rel), Term::List(Vec::new())], STEP_WITHIN).await
    }

    pub async fn check_install(&self, version: &str) -> Result<(), String> {
        self.step("check_install_release", vec![Term::charlist(version)], STEP_WITHIN).await
    }

    pub async fn install(&self, version: &str) -> Result<(), String> {
        self.step("install_release", vec![Term::charlist(version)], INSTALL_WITHIN).await
    }

    pub async fn make_permanent(&self, version: &str) -> Result<(), String> {
        self.step("make_permanent", vec![Term::charlist(version)], STEP_WITHIN).await
    }

    pub async fn remove(&self, version: &str) -> Result<(), String> {
        self.step("remove_release", vec![Term::charlist(version)], STEP_WITHIN).await
    }

    /// `ok`, or a tuple that begins so; everything else is a no. One that wants a restart of the runtime is one, too.
    async fn step(&self, function: &str, arguments: Vec<Term>, within: Duration) -> Result<(), String> {
        let call = Call::new("release_handler", function, arguments).within(within);
        let answer = self.link.call(call).await.map_err(|error| format!("{function}: {error}"))?;
        let word = answer.as_tuple().and_then(<[Term]>::first).unwrap_or(&answer);
        if word.as_atom() == Some("ok") {
            return Ok(());
        }
        let said: String = print(&answer, None).chars().take(SAID_MAX).collect();
        Err(format!("{function}: {said}"))
    }
}
