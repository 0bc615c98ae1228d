//! Whose account it is: given, from the environment, from a profile's file, or from the machine that we run on.

mod machine;
mod profile;

use crate::provider::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Credentials that end sooner than this are fetched anew.
const SOON: Duration = Duration::from_secs(300);

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key's id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session's token, of credentials that end.
    pub token: Option<String>,
    /// When they end.
    pub ends: Option<SystemTime>,
    /// Where they came from.
    pub source: &'static str,
}

/// No secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, ends) = (self.source, self.ends);
        f.debug_struct("Credentials")
            .field("id", &self.id)
            .field("source", &source)
            .field("ends", &ends)
            .finish()
    }
}

impl Credentials {
    /// Those that somebody gave us.
    pub fn given(id: impl Into<String>, secret: impl Into<String>, token: Option<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), token, ends: None, source: "given" }
    }

    /// Are they good for a while yet?
    pub(super) fn last(&self, now: SystemTime) -> bool {
        self.ends.is_none_or(|ends| ends > now + SOON)
    }
}

/// Reads a variable of the environment.
pub type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where credentials are looked for, in this order; the first place that has some is taken.
pub struct Chain {
    /// Given with the provider. Nothing else is looked at then.
    pub given: Option<Credentials>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub variables: Variables,
    /// The file with profiles; `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials` by [`Chain::of_process`].
    pub file: Option<PathBuf>,
    /// The profile in it; `default` where not said.
    pub profile: Option<String>,
    /// Where the machine that we run on tells of its role; `None`: it is not asked.
    pub machine: Option<String>,
}

impl Chain {
    /// These and nothing else.
    pub fn only(given: Credentials) -> Self {
        Self { given: Some(given), variables: Box::new(|_| None), file: None, profile: None, machine: None }
    }

    /// What this process finds around it.
    pub fn of_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let home = || text("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
        let asked = text("AWS_EC2_METADATA_DISABLED").is_none_or(|said| said != "true");
        Self {
            given: None,
            variables: Box::new(text),
            file: text("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home),
            profile: text("AWS_PROFILE"),
            machine: asked.then(|| machine::USUAL.to_owned()),
        }
    }

    /// Looks in all places.
    ///
    /// # Errors
    /// [`Error::Refused`] where there are none, with the ways to give some, and where a place has half of them.
    pub(super) async fn find(&self, http: &reqwest::Client) -> Result<Credentials> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        if let Some(found) = self.environment()? {
            return Ok(found);
        }
        if let Some(file) = &self.file
            && let Some(found) = profile::read(file, self.profile.as_deref())?
        {
            return Ok(found);
        }
        let told = match &self.machine {
            Some(at) => machine::ask(http, at).await,
            None => Err("the machine's own role is not asked for".to_owned()),
        };
        told.map_err(|why| {
            let what = format!(
                "there are no credentials for EC2: none given, none in the environment or a profile; {why}"
            );
            let hint = "give them with lace provider set NAME --stdin, or set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY where the controller runs";
            Error::refused(what, hint)
        })
    }

    fn environment(&self) -> Result<Option<Credentials>> {
        let read = |name: &str| (self.variables)(name).filter(|text| !text.is_empty());
        match (read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let token = read("AWS_SESSION_TOKEN");
                Ok(Some(Credentials { id, secret, token, ends: None, source: "environment" }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(half("AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => Err(half("AWS_ACCESS_KEY_ID")),
        }
    }
}

fn half(missing: &str) -> Error {
    Error::refused(
        format_args!("the environment has credentials for EC2, but no {missing}"),
        "set both, or neither",
    )
}

#[cfg(test)]
mod tests {
    use super::{Chain, Credentials};

    fn chain(variables: &'static [(&'static str, &'static str)]) -> Chain {
        let read = move |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Chain { given: None, variables: Box::new(read), file: None, profile: None, machine: None }
    }

    fn plain() -> reqwest::Client {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls =
            tls.expect("tls").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().expect("client")
    }

    const BOTH: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    #[tokio::test]
    async fn the_first_place_that_has_credentials_is_taken() {
        let http = plain();
        let found = chain(BOTH).find(&http).await.expect("found");
        assert_eq!((found.id.as_str(), found.source), ("AKID", "environment"));
        let mut both = chain(BOTH);
        both.given = Some(Credentials::given("GIVEN", "s", None));
        assert_eq!(both.find(&http).await.expect("found").id, "GIVEN");
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("credentials");
        std::fs::write(&file, "[default]\naws_access_key_id = FILED\naws_secret_access_key = s\n")
            .expect("written");
        let mut filed = chain(&[]);
        filed.file = Some(file.clone());
        assert_eq!(filed.find(&http).await.expect("found").source, "profile");
        let mut environment = chain(BOTH);
        environment.file = Some(file);
        assert_eq!(environment.find(&http).await.expect("found").source, "environment");
    }

    #[tokio::test]
    async fn half_of_them_and_none_are_refused_with_what_to_do() {
        let http = plain();
        let half = chain(&BOTH[..1]).find(&http).await.expect_err("half");
        assert!(half.to_string().contains("no AWS_SECRET_ACCESS_KEY"), "{half}");
        let none = chain(&[]).find(&http).await.expect_err("none");
        assert!(none.hint().is_some_and(|hint| hint.contains("lace provider set NAME --stdin")), "{none}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::given("AKID", "secret-1", Some("token-1".into())));
        assert!(shown.contains("AKID") && !shown.contains("-1"), "{shown}");
    }
}
