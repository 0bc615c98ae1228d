//! Contexts: the controllers that this command line knows, and which of them is meant.

mod file;

pub use file::{Contexts, Stored, beside};

use super::world::World;
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::{Code, Problem};
use lace_wire::client::{Endpoint, URL_DEFAULT};

/// The name of the context that `lace up` makes for the usual state directory.
pub const LOCAL: &str = "local";

/// One controller, as whom, and how careful to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// The controller's address.
    pub url: String,
    /// The token, if any.
    pub token: Option<String>,
    /// PEM text of the only trusted authority.
    pub ca: Option<String>,
    /// Destructive verbs want the name typed.
    pub protected: bool,
}

impl Context {
    /// What the client needs.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { url: self.url.clone(), token: self.token.clone(), ca: self.ca.clone() }
    }

    fn stored(name: &str, stored: &Stored) -> Self {
        Self {
            name: name.to_owned(),
            url: stored.url.clone(),
            token: stored.token.clone(),
            ca: stored.ca.clone(),
            protected: stored.protected,
        }
    }
}

/// The context that is meant: LACE_URL, then `--context`, then LACE_CONTEXT, then the chosen one, then `local`.
pub fn choose(world: &World, named: Option<&str>) -> Result<Context, Problem> {
    if let Some(url) = world.var("LACE_URL") {
        return from_environment(world, url);
    }
    let contexts = Contexts::load(world)?;
    let asked = named.or_else(|| world.var("LACE_CONTEXT"));
    let name = asked.or(contexts.current.as_deref()).unwrap_or(LOCAL);
    match contexts.context.get(name) {
        Some(stored) => Ok(Context::stored(name, stored)),
        None if name == LOCAL => Ok(Context {
            name: LOCAL.into(),
            url: URL_DEFAULT.into(),
            token: world.var("LACE_TOKEN").map(str::to_owned),
            ca: None,
            protected: false,
        }),
        None => Err(Problem::not_found(format_args!("context {name}")).hint("lace context list")),
    }
}

fn from_environment(world: &World, url: &str) -> Result<Context, Problem> {
    let ca = match world.var("LACE_CA") {
        Some(path) => {
            let path = world.at(path);
            let text = std::fs::read_to_string(&path);
            Some(text.map_err(|e| super::session::cannot_read(&path, &e))?)
        }
        None => None,
    };
    Ok(Context {
        name: "environment".into(),
        url: url.to_owned(),
        token: world.var("LACE_TOKEN").map(str::to_owned),
        ca,
        protected: false,
    })
}

/// Keeps a controller of this machine as a context; called by `lace up`. It becomes the chosen one where none is.
/// Answers whether commands go to it now.
pub fn save_local(name: &str, endpoint: &Endpoint) -> Result<bool, Problem> {
    save_local_in(&World::real(), name, endpoint)
}

/// The same, in a given world.
pub fn save_local_in(world: &World, name: &str, endpoint: &Endpoint) -> Result<bool, Problem> {
    let mut contexts = Contexts::load(world)?;
    let stored = contexts.context.entry(name.to_owned()).or_default();
    stored.url = endpoint.url.clone();
    stored.token = endpoint.token.clone();
    // Plain HTTP needs none; for TLS it is the installation's own authority.
    stored.ca = endpoint.ca.clone().filter(|_| endpoint.url.starts_with("https:"));
    let chosen = contexts.current.get_or_insert_with(|| name.to_owned()) == name;
    contexts.save(world)?;
    Ok(chosen)
}

/// Forgets the context of a controller of this machine that has ended; called by `lace down`. None there is fine.
pub fn forget_local(name: &str) -> Result<(), Problem> {
    forget_local_in(&World::real(), name)
}

/// The same, in a given world.
pub fn forget_local_in(world: &World, name: &str) -> Result<(), Problem> {
    let mut contexts = Contexts::load(world)?;
    if contexts.context.remove(name).is_none() {
        return Ok(());
    }
    contexts.current.take_if(|current| current == name);
    contexts.save(world)
}

const EXAMPLE: &str = "Example:
  lace context add production https://lace.example.com:7440 --ca ca.pem --protected < token
  lace context use production";

/// `lace context`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct ContextArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ContextVerb,
}

/// The verbs of `lace context`.
#[derive(Subcommand, Debug)]
pub enum ContextVerb {
    /// Add or change one; the token is read from the input unless it is a terminal
    #[command(after_help = EXAMPLE)]
    Add {
        /// Its name
        name: String,
        /// The controller's address
        url: String,
        /// PEM file of the only authority to trust
        #[arg(long, value_name = "FILE")]
        ca: Option<String>,
        /// Destructive verbs want its name typed
        #[arg(long)]
        protected: bool,
    },
    /// List them
    #[command(after_help = "Example:\n  lace context list")]
    List,
    /// Choose one
    #[command(after_help = "Example:\n  lace context use local")]
    Use {
        /// Its name
        name: String,
    },
    /// Forget one
    #[command(after_help = "Example:\n  lace context remove production")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Runs `lace context`.
pub fn run(args: ContextArgs, s: &mut Session) -> Outcome {
    match args.verb {
        ContextVerb::Add { name, url, ca, protected } => add(s, name, url, ca, protected),
        ContextVerb::List => list(s),
        ContextVerb::Use { name } => choose_now(s, name),
        ContextVerb::Remove { name } => remove(s, &name),
    }
}

/// Longest token text.
const TOKEN_BYTES_MAX: usize = 4096;

fn add(s: &mut Session, name: String, url: String, ca: Option<String>, protected: bool) -> Outcome {
    named(&name)?;
    let ca = ca.map(|path| s.read_text(path)).transpose()?;
    let token = read_token(s)?;
    let context = Context { name: name.clone(), url, token, ca, protected };
    lace_wire::client::Client::new(&context.endpoint())?;
    keep(s, context, false)?;
    s.out.say(format!("context {name} is known; choose it with: lace context use {name}"));
    Ok(Exit::DONE)
}

/// Longest name of a context.
const NAME_CHARS_MAX: usize = 64;

/// Is it a name that can be typed, read in a table and written on a line of its own?
pub fn named(name: &str) -> Result<(), Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && name.chars().all(is_plain) && name.len() <= NAME_CHARS_MAX {
        return Ok(());
    }
    let text = format!("{name:?} is not a name of a context");
    Err(Problem::new(Code::Usage, text)
        .hint(format!("letters, digits, `-`, `_` and `.`, at most {NAME_CHARS_MAX}, such as production")))
}

/// The token on the input, if somebody piped one in.
pub fn read_token(s: &mut Session) -> Result<Option<String>, Problem> {
    if s.world.in_terminal {
        return Ok(None);
    }
    let bytes = s.read_input(TOKEN_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok((!text.is_empty()).then_some(text))
}

/// Stores a context; chooses it if asked or if none is chosen yet.
pub fn keep(s: &Session, context: Context, choose: bool) -> Result<(), Problem> {
    let mut contexts = Contexts::load(&s.world)?;
    if choose || contexts.current.is_none() {
        contexts.current = Some(context.name.clone());
    }
    let stored =
        Stored { url: context.url, token: context.token, ca: context.ca, protected: context.protected };
    contexts.context.insert(context.name, stored);
    contexts.save(&s.world)
}

#[derive(serde::Serialize)]
struct Line {
    name: String,
    url: String,
    current: bool,
    protected: bool,
    token: bool,
}

fn list(s: &mut Session) -> Outcome {
    let contexts = Contexts::load(&s.world)?;
    let current = contexts.current.as_deref();
    let lines: Vec<Line> = contexts
        .context
        .iter()
        .map(|(name, stored)| Line {
            name: name.clone(),
            url: stored.url.clone(),
            current: current == Some(name),
            protected: stored.protected,
            token: stored.token.is_some(),
        })
        .collect();
    s.out.list(&lines, &["", "name", "url", "protected", "token"], |line| {
        vec![
            if line.current { "*" } else { "" }.into(),
            line.name.as_str().into(),
            line.url.as_str().into(),
            yes_no(line.protected).into(),
            yes_no(line.token).into(),
        ]
    });
    Ok(Exit::DONE)
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn choose_now(s: &mut Session, name: String) -> Outcome {
    let mut contexts = Contexts::load(&s.world)?;
    if !contexts.context.contains_key(&name) {
        return Err(Problem::not_found(format_args!("context {name}")).hint("lace context list"));
    }
    contexts.current = Some(name.clone());
    contexts.save(&s.world)?;
    s.out.say(format!("commands go to context {name} now"));
    Ok(Exit::DONE)
}

fn remove(s: &mut Session, name: &str) -> Outcome {
    let mut contexts = Contexts::load(&s.world)?;
    if contexts.context.remove(name).is_none() {
        return Err(Problem::not_found(format_args!("context {name}")).hint("lace context list"));
    }
    contexts.current.take_if(|current| current == name);
    contexts.save(&s.world)?;
    s.out.say(format!("context {name} is forgotten"));
    Ok(Exit::DONE)
}

/// What is wrong with the file of contexts.
fn broken(path: &std::path::Path, why: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::Usage, format!("{} is not a file of contexts: {why}", path.display()))
        .hint("mend it, or move it away and log in again")
}
