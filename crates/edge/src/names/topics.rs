//! Which topics hold: the newer generation wins, is kept on disk, and then answers.

use super::{AppNames, Names, Table, shelf::Shelf};
use crate::news::News;
use crate::proxy::Tables;
use lace_model::document::Topic;
use lace_model::{AppName, Generation};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Applications on one host: far more than a host carries, so that a bug elsewhere cannot fill our memory.
const APPS_MAX: usize = 4_096;
/// How soon a process that ends sees what the one after it was told.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a topic was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// An older generation than the one that holds.
    #[error("generation {offered} of application {app} is older than {held}, which holds")]
    Older {
        /// The application.
        app: AppName,
        /// What came.
        offered: Generation,
        /// What holds.
        held: Generation,
    },
    /// A member of another application.
    #[error("topic of application {app} has a member of another one: {member}")]
    Stranger {
        /// The application.
        app: AppName,
        /// The member.
        member: String,
    },
    /// Too many applications.
    #[error("this host holds the names of {APPS_MAX} applications already: {app} is refused")]
    Full {
        /// The application.
        app: AppName,
    },
}

/// The topics of this host.
pub struct Topics {
    names: Arc<Names>,
    routes: Arc<Tables>,
    shelf: Arc<Shelf>,
    /// One change at a time, disk included: the file and the table never tell different stories for long.
    turn: Mutex<()>,
}

impl Topics {
    /// Opens the directory and serves what it holds. A file that cannot be read is told of and passed over.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let shelf = Shelf::open(dir)?;
        let kept = shelf.load()?;
        let apps = kept.iter().map(|t| (t.app.to_string(), Arc::new(AppNames::of(t)))).collect();
        let names = Arc::new(Names::default());
        names.switch(Table::new(apps, 1));
        let routes = Arc::new(Tables::default());
        routes.take(&kept);
        Ok(Self { names, routes, shelf: Arc::new(shelf), turn: Mutex::new(()) })
    }

    /// The table that follows the topics.
    pub fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }

    /// The routes that follow the topics.
    pub(crate) fn routes(&self) -> Arc<Tables> {
        Arc::clone(&self.routes)
    }

    /// Takes a topic. The same generation again is welcome. Answers when it is served and on disk.
    ///
    /// # Errors
    /// Where the topic is older than what holds, or is not one.
    pub async fn put(&self, topic: Topic) -> Result<Generation, TopicError> {
        let _turn = self.turn.lock().await;
        let table = self.names.table();
        admit(&table, &topic)?;
        // A topic of 10,000 members takes milliseconds: not on the threads that answer.
        let (names, routes) = (self.names(), self.routes());
        let generation = topic.generation;
        self.aside(move |shelf| {
            let mut apps = table.apps().clone();
            routes.take([&topic]);
            apps.insert(topic.app.to_string(), Arc::new(AppNames::of(&topic)));
            names.switch(Table::new(apps, table.serial().wrapping_add(1)));
            shelf.save(&topic)
        })
        .await;
        Ok(generation)
    }

    /// Forgets an application, its generation too. Telling it twice is fine.
    pub async fn gone(&self, app: AppName) {
        let _turn = self.turn.lock().await;
        let table = self.names.table();
        let (names, routes) = (self.names(), self.routes());
        self.aside(move |shelf| {
            routes.gone(&app);
            let mut apps = table.apps().clone();
            if apps.remove(app.as_str()).is_some() {
                names.switch(Table::new(apps, table.serial().wrapping_add(1)));
            }
            shelf.remove(&app)
        })
        .await;
    }

    /// What holds, by application.
    pub fn held(&self) -> Vec<(AppName, Generation)> {
        let table = self.names.table();
        let mut held: Vec<_> = table
            .apps()
            .iter()
            .filter_map(|(name, app)| Some((AppName::new(name).ok()?, app.generation())))
            .collect();
        held.sort();
        held
    }

    /// Routes as the process after this one keeps the topics on disk, until dropped: what is carried here still may need
    /// another node.
    pub async fn follow(&self) {
        let mut news = News::of(self.shelf.dir());
        let mut known: HashMap<AppName, Generation> = self.held().into_iter().collect();
        loop {
            if news.look() {
                let shelf = Arc::clone(&self.shelf);
                let kept = tokio::task::spawn_blocking(move || shelf.load()).await;
                if let Ok(Ok(kept)) = kept {
                    self.follow_to(&kept, &mut known);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn follow_to(&self, kept: &[Topic], known: &mut HashMap<AppName, Generation>) {
        let newer = |topic: &&Topic| known.get(&topic.app).is_none_or(|held| topic.generation > *held);
        self.routes.take(kept.iter().filter(newer));
        let now: HashMap<_, _> = kept.iter().map(|topic| (topic.app.clone(), topic.generation)).collect();
        known.keys().filter(|app| !now.contains_key(*app)).for_each(|app| self.routes.gone(app));
        *known = now;
    }

    /// A full or broken disk costs the names of after the next restart, not the names of now.
    async fn aside(&self, work: impl FnOnce(&Shelf) -> std::io::Result<()> + Send + 'static) {
        let shelf = Arc::clone(&self.shelf);
        match tokio::task::spawn_blocking(move || work(&shelf)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "names are served but not kept on disk"),
            Err(error) => tracing::error!(%error, "keeping names on disk failed"),
        }
    }
}

fn admit(table: &Table, topic: &Topic) -> Result<(), TopicError> {
    let app = || topic.app.clone();
    match table.app(topic.app.as_str()) {
        Some(held) if topic.generation < held.generation() => {
            let (offered, held) = (topic.generation, held.generation());
            return Err(TopicError::Older { app: app(), offered, held });
        }
        None if table.apps().len() >= APPS_MAX => return Err(TopicError::Full { app: app() }),
        _ => {}
    }
    match topic.members.iter().find(|m| m.path.family.app != topic.app) {
        Some(member) => Err(TopicError::Stranger { app: app(), member: member.path.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::authority::Challenge;

    fn topic(number: u64) -> Topic {
        let host = format!("{number}.example.com");
        Topic {
            app: AppName::new("shop").unwrap(),
            generation: Generation { epoch: 1, number },
            members: Vec::new(),
            ports: Default::default(),
            doors: Default::default(),
            shares: Default::default(),
            certificates: Vec::new(),
            challenges: vec![Challenge { host, token: "t".into(), authorization: "a".into() }],
            runtimes: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_process_that_ends_follows_what_the_next_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = Topics::open(dir.path()).unwrap();
        first.put(topic(1)).await.unwrap();
        let next = Topics::open(dir.path()).unwrap();
        let routes = first.routes();
        let knows = async |host: &str, count: usize| {
            let mut tables = routes.watch();
            tables.wait_for(|table| table.challenges(host).count() == count).await.unwrap();
        };
        let told = async {
            knows("1.example.com", 1).await;
            next.put(topic(2)).await.unwrap();
            knows("2.example.com", 1).await;
            next.gone(AppName::new("shop").unwrap()).await;
            knows("2.example.com", 0).await;
        };
        tokio::select! {
            () = first.follow() => {}
            told = tokio::time::timeout(Duration::from_secs(20), told) => told.expect("it follows"),
        }
    }
}
