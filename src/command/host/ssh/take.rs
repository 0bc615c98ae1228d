//! A server that is a host no more: removed at the controller, and nothing of lace is left on it.

use super::kept::{Kept, Servers};
use super::login::{self, LoginArgs};
use crate::command::{Exit, Session, context};
use lace_model::{Code, Name, Problem};
use lace_providers::ssh::{Connection, KnownHosts, PLACE, STATE};
use lace_wire::client::Client;
use std::time::{Duration, Instant};

/// How often the controller is asked whether it has let the host go.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// Removes a host that this person made of a server. Nothing where it was made otherwise.
pub async fn remove(
    s: &mut Session,
    name: &Name,
    force: bool,
    args: &LoginArgs,
) -> Result<Option<Exit>, Problem> {
    if !Servers::load(&s.world)?.have(name) {
        return Ok(None);
    }
    let installation = s.client()?.server().await?.installation;
    let Some(kept) = Servers::load(&s.world)?.get(&installation, name).cloned() else { return Ok(None) };
    let login = login::login(s, args, kept.key.as_deref())?;
    let known = KnownHosts::at(context::beside(&s.world, "known_hosts")?);
    // Asked for first: whether the server lets us in is better known before anything is taken away.
    let opened = Connection::open(&kept.server(), &login, &known).await;
    if let Err(problem) = &opened {
        s.out.note(format!("{problem}; it is removed at the controller all the same"));
    }
    let was_known = dismiss(s, name, force).await?;
    let cleared = match opened {
        Ok((connection, _)) => {
            let cleared = connection.clear(&kept.digest, was_known, true).await;
            connection.close().await;
            cleared
        }
        Err(problem) => Err(problem),
    };
    cleared.map_err(|problem| left_there(name, &kept, problem))?;
    Servers::change(&s.world, &installation, name, None)?;
    s.out.say(format!("host {name} is removed, and nothing of lace is left on {}", kept.server()));
    Ok(Some(Exit::DONE))
}

/// Waits until the controller has let it go. Answers whether it knew it: a repeated removal finds that done.
async fn dismiss(s: &mut Session, name: &Name, force: bool) -> Result<bool, Problem> {
    let client = s.client()?;
    match client.host_remove(name, force).await {
        Ok(accepted) => s.out.note(accepted.message),
        Err(problem) if problem.code == Code::NotFound => return Ok(false),
        Err(problem) => return Err(problem),
    }
    gone(s, &client, name).await.map(|()| true)
}

async fn gone(s: &Session, client: &Client, name: &Name) -> Result<(), Problem> {
    let until = Instant::now() + s.timeout();
    while client.hosts().await?.iter().any(|view| view.host.name == *name) {
        if Instant::now() > until {
            let text = format!("host {name} is being removed, and still carries nodes");
            return Err(Problem::new(Code::StillWatching, text).hint(format!(
                "`lace status` says what they wait for; then again: lace host remove {name}"
            )));
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
    Ok(())
}

fn left_there(name: &Name, kept: &Kept, problem: Problem) -> Problem {
    let left = [
        format!("{PLACE}/{}", kept.digest),
        format!("{STATE}, with its nodes, unless it has heard of its removal"),
        "/etc/systemd/system/lace.service, where systemd runs".to_owned(),
    ];
    let text = format!("host {name} is removed, and this is left on {}: {problem}", kept.server());
    let left = left.into_iter().chain(problem.details);
    Problem::new(problem.code, text).details(left).hint(format!(
        "once it answers, again: lace host remove {name}; or by hand there: {PLACE}/{}/lace down --erase",
        &kept.digest
    ))
}
