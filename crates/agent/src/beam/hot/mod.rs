//! Hot upgrades: another release in the running runtime, through its own release handler and the agent's line to it.
//!
//! Everything is looked at before it is done, and whatever is in doubt afterwards is undone here, at once: the runtime
//! goes back to the release that it boots. Only the last step, `make_permanent`, changes what it boots. So a runtime
//! that dies in between comes back with the old release, and an agent that is started anew in between begins again:
//! it finds the old release permanent, and what was set before with the runtime itself, so that whatever else is current
//! is no half of anything.

mod build;
mod config;
mod environment;
mod handler;
mod parcel;

use super::line::Line;
use super::ready;
use crate::hands::Hands;
use crate::node::{ask, probe};
use crate::spec::{self, OverRelease, Subject};
use environment::Environment;
use handler::Handler;
use lace_beam::Link;
use lace_machine::{Life, NodeHandle};
use lace_model::document::{NodeEntry, Upgrade};
use parcel::{Kept, Parcel};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// For a line to a runtime that boots again, or of an agent that has just begun.
const LINE_WITHIN: Duration = Duration::from_secs(20);
/// A runtime that goes back has so long, its boot included where it has to be restarted.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// What the new release makes of itself may take so long before the time begins in which nothing may go wrong.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between two questions about health: a check may cost something.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// A node and what it shall have.
struct Change {
    hands: Arc<Hands>,
    entry: Arc<NodeEntry>,
    node: NodeHandle,
    wish: Upgrade,
    /// What the way back needs.
    kept: Kept,
    /// What was set before.
    before: OnceLock<Environment>,
    /// The life of the process that is changed over.
    life: Option<Life>,
    /// Its runtime was told to take the other release on.
    installs: AtomicBool,
    /// Its process was ended to go back: what it had been given while it ran is gone with it.
    restarted: AtomicBool,
}

/// Changes a node over; what it says is for people. An error says why it has the release that it had.
pub async fn upgrade(
    hands: Arc<Hands>,
    entry: Arc<NodeEntry>,
    node: NodeHandle,
    wish: Upgrade,
) -> Result<Vec<String>, String> {
    let began = Instant::now();
    let mut change = Change {
        hands,
        entry,
        node,
        wish,
        kept: Kept::default(),
        before: OnceLock::new(),
        life: None,
        installs: AtomicBool::new(false),
        restarted: AtomicBool::new(false),
    };
    let link = change.line().await?;
    let handler = Handler::of(link.clone()).await?;
    change.life = ask(&change.node, NodeHandle::status).await?.life();
    let sides = change.sides(&link).await?;
    change.kept = Kept::of(&sides.old, &handler.permanent, &sides.under);
    // Before anything is judged: it may be refused today.
    change.undo_begun(&link, &handler).await?;
    let from = handler.permanent.clone();
    let parcel = tokio::task::spawn_blocking(move || {
        Parcel::of(&sides.old, &sides.new, &from, (sides.under, sides.over))
    });
    let parcel = parcel.await.map_err(|e| e.to_string())??;
    if handler.permanent == parcel.version {
        change.finish(&link, &parcel).await;
        return Ok(vec![format!("release {} runs and is permanent", parcel.version)]);
    }
    let Err(why) = change.forth(&parcel).await else {
        let took = began.elapsed().as_millis();
        return Ok(vec![format!("release {} in place of {}, {took} ms", parcel.version, handler.permanent)]);
    };
    if change.is_permanent(&parcel.version).await {
        return Ok(vec![format!("release {} is permanent, though: {why}", parcel.version)]);
    }
    match change.back(&handler.permanent, &parcel.version).await {
        Ok(()) => Err(format!("{why}; release {} runs again", handler.permanent)),
        Err(error) => Err(format!("{why}; going back to release {}: {error}", handler.permanent)),
    }
}

/// Both releases on the host, and what lies over the files of each in the node.
struct Sides {
    old: PathBuf,
    new: PathBuf,
    under: OverRelease,
    over: OverRelease,
}

impl Change {
    async fn line(&self) -> Result<Link, String> {
        let until = Instant::now() + LINE_WITHIN;
        loop {
            match self.hands.lines.line(self.entry.id) {
                Line::Open(link) if link.why_closed().is_none() => return Ok(link),
                Line::Broken(why) if Instant::now() > until => return Err(why),
                _ if Instant::now() > until => return Err("its runtime does not listen".to_owned()),
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The node as it shall be.
    fn next(&self) -> NodeEntry {
        NodeEntry { revision: self.wish.revision, spec: self.wish.spec.clone(), ..(*self.entry).clone() }
    }

    async fn sides(&self, link: &Link) -> Result<Sides, String> {
        let layer = |tree| spec::layer(&self.hands, tree);
        let old = layer(self.entry.spec.tree).await?.ok_or("it has no release")?;
        let new = layer(self.wish.spec.tree).await?.ok_or("its revision has no release")?;
        // Templates are filled in by the script that starts the runtime, with all that it exports.
        let env = environment::of_process(link).await?;
        let (hands, entry, next) = (self.hands.clone(), self.entry.clone(), self.next());
        let made = tokio::task::spawn_blocking(move || {
            let over = |entry: &NodeEntry, layer: &Path| {
                let mut over = spec::over_release(&hands, &Subject::node(entry), layer)?;
                env.iter().for_each(|(name, value)| {
                    over.env.entry(name.clone()).or_insert_with(|| value.clone());
                });
                Ok::<_, String>(over)
            };
            let (under, over) = (over(&entry, &old)?, over(&next, &new)?);
            Ok(Sides { old, new, under, over })
        });
        made.await.map_err(|e| e.to_string())?
    }

    /// What an agent began that is gone by now is undone.
    async fn undo_begun(&mut self, link: &Link, handler: &Handler) -> Result<(), String> {
        if let Some(before) = Environment::left(link, &handler.permanent).await? {
            let _ = self.before.set(before);
            self.installs.store(true, Ordering::Relaxed);
        }
        if handler.current == handler.permanent && self.before.get().is_none() {
            return Ok(());
        }
        self.back(&handler.permanent, &handler.current).await?;
        self.installs.store(false, Ordering::Relaxed);
        self.before = OnceLock::new();
        self.restarted.store(false, Ordering::Relaxed);
        self.life = ask(&self.node, NodeHandle::status).await?.life();
        Ok(())
    }

    /// Every step to the new release; an error leaves it wherever it came to.
    async fn forth(&self, parcel: &Parcel) -> Result<(), String> {
        let link = self.line().await?;
        let handler = Handler::of(link.clone()).await?;
        // What somebody put there who is gone by now may be of another tree or other settings under the same version.
        let is_left = handler.has_unpacked(&parcel.version);
        if is_left {
            handler.remove(&parcel.version).await?;
        }
        if is_left || !handler.knows(&parcel.version) {
            parcel.put(&link, &self.node).await?;
            handler.set_unpacked(&parcel.rel).await?;
        } else {
            // It ran here: the family may have grown since, and its secrets may be others.
            parcel.put_made(&link, &self.node).await?;
        }
        let before = Environment::of(&link).await?;
        let before = self.before.get_or_init(|| before);
        handler.check_install(&parcel.version).await?;
        Environment::leave(&link, &handler.permanent).await?;
        self.installs.store(true, Ordering::Relaxed);
        handler.install(&parcel.version).await?;
        // A runtime that restarted itself for it has ended the line, and this fails.
        before.restore(&link, &parcel.said).await?;
        let above = environment::of_command_line(&link).await?;
        let after = Environment::of(&link).await?;
        environment::compare((before, &after), &parcel.said, &above)?;
        self.stays_healthy().await?;
        // State that went with its process is no upgrade. From the next step on nothing counts as its failure any more.
        if ask(&self.node, NodeHandle::status).await?.life() != self.life {
            return Err("its process ended meanwhile".to_owned());
        }
        handler.make_permanent(&parcel.version).await?;
        self.finish(&link, parcel).await;
        Ok(())
    }

    /// The release is permanent. Whoever starts it next reads in start_erl.data which one it is: late scripts do no harm.
    async fn finish(&self, link: &Link, parcel: &Parcel) {
        self.forget(link).await;
        if let Err(error) = parcel.put_scripts(link, &self.node).await {
            tracing::warn!(node = %self.entry.id, error, "scripts of the former release stay");
        }
    }

    /// A note that stays is of a release that is not permanent any more, or of settings that were given back.
    async fn forget(&self, link: &Link) {
        if let Err(error) = Environment::take_away(link).await {
            tracing::warn!(node = %self.entry.id, error, "what was set before stays noted");
        }
    }

    /// Does the runtime boot that release? The answer to the last step may have been lost, and then there is no way back.
    async fn is_permanent(&self, version: &str) -> bool {
        let Ok(link) = self.line().await else { return false };
        Handler::of(link).await.is_ok_and(|handler| handler.permanent == version)
    }

    /// Ready, and its check answered well, for so long without a break.
    async fn stays_healthy(&self) -> Result<(), String> {
        self.becomes_healthy(false).await?;
        let until = Instant::now() + Duration::from_millis(self.wish.healthy_for.0);
        while Instant::now() < until {
            tokio::time::sleep(CHECK_EVERY).await;
            // It has seen its peers: whoever leaves from now on is no fault of this release.
            self.is_healthy(true).await?;
        }
        Ok(())
    }

    /// Within some time; who does not see a peer that comes or goes may be, too.
    async fn becomes_healthy(&self, may_lack_peers: bool) -> Result<(), String> {
        let until = Instant::now() + SETTLES_WITHIN;
        while let Err(why) = self.is_healthy(may_lack_peers).await {
            if Instant::now() > until {
                return Err(why);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_healthy(&self, may_lack_peers: bool) -> Result<(), String> {
        match ready::ask(&self.hands, &self.entry, &self.node, false).await {
            Err(lacks) if !(may_lack_peers && lacks.peers_only) => return Err(lacks.what),
            _ => {}
        }
        match &self.wish.spec.check {
            Some(check) => probe(check, &self.entry, &self.node).await,
            None => Ok(()),
        }
    }

    /// The release `from` runs with what it had, and nothing is left of the other. Where the runtime cannot do it, its
    /// process is restarted.
    async fn back(&self, from: &str, other: &str) -> Result<(), String> {
        let Err(doubt) = self.goes_back(from, other).await else { return Ok(()) };
        tracing::info!(node = %self.entry.id, doubt, "restarted to go back");
        let life = self.life;
        self.restarted.store(true, Ordering::Relaxed);
        // One that has ended by itself boots the release that is permanent: it is only waited for.
        if let Err(why) = ask(&self.node, move |node| node.restart(life)).await {
            tracing::debug!(node = %self.entry.id, why, "not restarted to go back");
        }
        let until = Instant::now() + BACK_WITHIN;
        loop {
            let gone = match ask(&self.node, NodeHandle::status).await {
                Ok(status) if status.life() != self.life => self.goes_back(from, other).await,
                Ok(_) => Err("its process goes on".to_owned()),
                Err(why) => Err(why),
            };
            match gone {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() > until => return Err(why),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn goes_back(&self, from: &str, other: &str) -> Result<(), String> {
        let link = self.line().await?;
        let handler = Handler::of(link.clone()).await?;
        let is_other = handler.current != from;
        if is_other {
            self.kept.put(&link, &self.node).await?;
            handler.install(from).await?;
        }
        let was_touched = is_other || self.installs.load(Ordering::Relaxed);
        // An install that failed half way may have left the new settings under the old name.
        if let Some(before) =
            self.before.get().filter(|_| was_touched && !self.restarted.load(Ordering::Relaxed))
        {
            before.restore_all(&link).await?;
            Environment::of(&link).await?.is_as(before)?;
        }
        self.forget(&link).await;
        if other != from
            && handler.knows(other)
            && let Err(error) = handler.remove(other).await
        {
            tracing::warn!(node = %self.entry.id, error, "the release that was not taken on stays unpacked");
        }
        // What was not touched is no worse than before.
        if was_touched { self.becomes_healthy(true).await } else { Ok(()) }
    }
}
