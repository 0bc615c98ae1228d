//! `lace login`: a token for a controller, kept as a context.

use super::context::{Context, keep, named, read_token};
use super::{Exit, Outcome, Session, confirm};
use clap::Args;
use lace_model::{Code, Name, Problem};
use lace_wire::api::SignInRequest;
use lace_wire::client::{Client, Endpoint};

/// `lace login`.
#[derive(Args, Debug)]
#[command(after_help = "\
URL is the controller's address, or a login link with its one-time token. Without a token in the link
one is read from the input: an API token, or a one-time login token. With --user it is the password.

Example:
  lace login https://lace.example.com:7440 --ca ca.pem < token")]
pub struct LoginArgs {
    /// The controller's address, or a login link
    pub url: String,
    /// Log in with this user's password instead of a token
    #[arg(long, value_name = "USER")]
    pub user: Option<Name>,
    /// What the context is called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// PEM file of the only authority to trust
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
    /// Destructive verbs want the context's name typed
    #[arg(long)]
    pub protected: bool,
}

/// Runs `lace login`.
pub async fn run(args: LoginArgs, s: &mut Session) -> Outcome {
    args.name.as_deref().map_or(Ok(()), named)?;
    let (url, from_link) = split_link(&args.url);
    let ca = args.ca.as_ref().map(|path| s.read_text(path)).transpose()?;
    let endpoint = Endpoint { url: url.clone(), token: None, ca: ca.clone() };
    let token = match (args.user, from_link) {
        (Some(name), _) => {
            let password = confirm::secret(s, &format!("password of {name}: "))?;
            Client::new(&endpoint)?.sign_in(&SignInRequest { name, password }).await?.token
        }
        (None, Some(token)) => session_token(&endpoint, token).await?,
        (None, None) => session_token(&endpoint, ask(s)?).await?,
    };
    let name = args.name.unwrap_or_else(|| name_of(&url));
    let context = Context { name: name.clone(), url, token: Some(token), ca, protected: args.protected };
    keep(s, context, true)?;
    s.out.say(format!("logged in; commands go to context {name} now"));
    Ok(Exit::DONE)
}

/// The address in a login link, and its token.
fn split_link(link: &str) -> (String, Option<String>) {
    let scheme = link.find("://").map_or(0, |at| at + 3);
    let end = link[scheme..].find(['/', '?', '#']).map_or(link.len(), |at| scheme + at);
    let token = link[end..]
        .split(['?', '#', '&'])
        .find_map(|part| part.strip_prefix("token="))
        .or_else(|| link[end..].strip_prefix("/login/"))
        .filter(|token| !token.is_empty());
    (link[..end].to_owned(), token.map(str::to_owned))
}

fn ask(s: &mut Session) -> Result<String, Problem> {
    let token = if s.world.in_terminal {
        s.out.error_bytes(b"token: ");
        Some(s.read_line()?).filter(|line| !line.is_empty())
    } else {
        read_token(s)?
    };
    token.ok_or_else(|| {
        Problem::new(Code::Usage, "there is no token on the input")
            .hint("lace login URL < token, or give the login link that `lace up` printed")
    })
}

/// A one-time token becomes a session; an API token stays what it is.
async fn session_token(endpoint: &Endpoint, token: String) -> Result<String, Problem> {
    let made = Client::new(endpoint)?.login(&token).await;
    let refused = match made {
        Ok(made) => return Ok(made.token),
        Err(problem) if problem.code == Code::Unreachable => return Err(problem),
        Err(problem) => problem,
    };
    let with = Endpoint { token: Some(token.clone()), ..endpoint.clone() };
    match Client::new(&with)?.server().await {
        Ok(_) => Ok(token),
        Err(problem) if problem.code == Code::NotAllowed => Ok(token),
        Err(_) => Err(refused),
    }
}

/// `lace-example-com` for `https://lace.example.com:7440`; `local` for this machine.
fn name_of(url: &str) -> String {
    let host = url.split("://").last().unwrap_or(url);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if loopback {
        return super::context::LOCAL.into();
    }
    host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_their_token() {
        let cases = [
            ("http://127.0.0.1:7440", "http://127.0.0.1:7440", None),
            ("http://127.0.0.1:7440/", "http://127.0.0.1:7440", None),
            ("http://127.0.0.1:7440/login?token=x_1", "http://127.0.0.1:7440", Some("x_1")),
            ("https://a.b/login#token=x", "https://a.b", Some("x")),
            ("https://a.b:1/?next=/&token=y", "https://a.b:1", Some("y")),
            ("https://a.b/login/z", "https://a.b", Some("z")),
        ];
        for (link, url, token) in cases {
            assert_eq!(split_link(link), (url.to_owned(), token.map(str::to_owned)), "{link}");
        }
    }

    #[test]
    fn a_context_is_named_after_its_host() {
        assert_eq!(name_of("http://127.0.0.1:7440"), "local");
        assert_eq!(name_of("https://lace.example.com:7440"), "lace-example-com");
    }
}
