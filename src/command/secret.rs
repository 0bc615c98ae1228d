//! `lace secret`: sealed values. Their content is never shown.

use super::output::ago;
use super::{Exit, Outcome, Session, confirm, watch};
use bytes::Bytes;
use clap::{Args, Subcommand};
use lace_model::secret::SECRET_BYTES_MAX;
use lace_model::{AppName, Code, Problem};
use std::path::PathBuf;

/// `lace secret`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace secret set shop SECRET_KEY_BASE < key")]
pub struct SecretArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: SecretVerb,
}

/// The verbs of `lace secret`.
#[derive(Subcommand, Debug)]
pub enum SecretVerb {
    /// Give one a new value: from the input (its last line end is left out), a variable or a file
    #[command(after_help = "Example:\n  lace secret set shop SECRET_KEY_BASE --file key")]
    Set {
        /// The application
        app: AppName,
        /// Its name
        #[arg(value_parser = name)]
        name: String,
        /// From this environment variable; the one of the same name where none is said
        #[arg(long, value_name = "VARIABLE", num_args = 0..=1, default_missing_value = "", conflicts_with = "file")]
        from_env: Option<String>,
        /// From this file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List their names
    #[command(after_help = "Example:\n  lace secret list shop")]
    List {
        /// The application
        app: AppName,
    },
    /// Remove one
    #[command(after_help = "Example:\n  lace secret remove shop SECRET_KEY_BASE")]
    Remove {
        /// The application
        app: AppName,
        /// Its name
        #[arg(value_parser = name)]
        name: String,
    },
    /// Give one a new random value, which nobody sees; what uses it rolls
    #[command(after_help = "Example:\n  lace secret rotate shop SECRET_KEY_BASE")]
    Rotate {
        /// The application
        app: AppName,
        /// Its name
        #[arg(value_parser = name)]
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let mut chars = text.chars();
    let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.len() <= 128;
    if good {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not a secret's name: letters, digits and _, not a digit first"))
}

/// Runs `lace secret`.
pub async fn run(args: SecretArgs, s: &mut Session) -> Outcome {
    match args.verb {
        SecretVerb::Set { app, name, from_env, file } => {
            let value = value(s, &name, from_env, file)?;
            put(s, &app, &name, value).await
        }
        SecretVerb::List { app } => list(s, &app).await,
        SecretVerb::Remove { app, name } => {
            confirm::destructive(s, &format!("this removes secret {name} of {app}"))?;
            let accepted = s.client()?.secret_remove(&app, &name).await?;
            watch::accepted(s, accepted).await
        }
        SecretVerb::Rotate { app, name } => rotate(s, &app, &name).await,
    }
}

async fn put(s: &mut Session, app: &AppName, name: &str, value: Vec<u8>) -> Outcome {
    let accepted = s.client()?.secret_set(app, name, Bytes::from(value)).await?;
    watch::accepted(s, accepted).await
}

async fn rotate(s: &mut Session, app: &AppName, name: &str) -> Outcome {
    let known = s.client()?.secrets(app).await?;
    if known.iter().all(|secret| secret.name != name) {
        return Err(Problem::not_found(format_args!("secret {name} of {app}"))
            .hint(format!("lace secret list {app}")));
    }
    confirm::destructive(s, &format!("this replaces secret {name} of {app}"))?;
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|e| Problem::new(Code::Error, format!("there is no randomness: {e}")))?;
    let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    put(s, app, name, value.into_bytes()).await
}

/// A value from where the person says: a variable, a file, or the input.
pub fn value(
    s: &mut Session,
    name: &str,
    from_env: Option<String>,
    file: Option<PathBuf>,
) -> Result<Vec<u8>, Problem> {
    let value = match (from_env, file) {
        (Some(variable), _) => {
            let variable = if variable.is_empty() { name } else { variable.as_str() };
            let value = s.world.env.get(variable).map(|value| value.clone().into_bytes());
            value.ok_or_else(|| Problem::new(Code::Usage, format!("the environment has no {variable}")))?
        }
        (None, Some(file)) => {
            std::fs::read(s.at(&file)).map_err(|e| super::session::cannot_read(&file, &e))?
        }
        (None, None) => from_input(s)?,
    };
    if value.is_empty() {
        return Err(Problem::new(Code::Usage, format!("the value of {name} is empty")));
    }
    if value.len() > SECRET_BYTES_MAX {
        let message = format!("the value of {name} has {} bytes; at most {SECRET_BYTES_MAX}", value.len());
        return Err(Problem::new(Code::TooLarge, message));
    }
    Ok(value)
}

fn from_input(s: &mut Session) -> Result<Vec<u8>, Problem> {
    if s.world.in_terminal {
        s.out.note("type the value, then Enter and Ctrl-D; it is shown while you type");
    }
    let mut value = s.read_input(SECRET_BYTES_MAX + 2)?;
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    Ok(value)
}

async fn list(s: &mut Session, app: &AppName) -> Outcome {
    let secrets = s.client()?.secrets(app).await?;
    let now = s.now();
    s.out.list(&secrets, &["name", "version", "changed", "made by"], |secret| {
        vec![
            secret.name.as_str().into(),
            secret.version.into(),
            ago(now, secret.updated_at).into(),
            if secret.generated { "lace" } else { "a person" }.into(),
        ]
    });
    Ok(Exit::DONE)
}
