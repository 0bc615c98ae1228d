//! The verbs: what Lace asks of a package. The list is closed; what it does not know is an action with a name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A verb that a package may have a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Puts into a machine what the image does not bring (isolation `host-root`), before each start.
    Install,
    /// Before each start, after the templates.
    Configure,
    /// Before the first start of a node's data.
    Init,
    /// The process itself, in the foreground.
    Start,
    /// Stops the process, before the signal.
    Stop,
    /// Templates, members, links or settings changed.
    Notify,
    /// Ends with 0 where the node is ready.
    Check,
    /// The node shall lose nothing when it goes.
    Drain,
    /// Writes a copy of the service's data to its output.
    Backup,
    /// Takes such a copy from its input.
    Restore,
    /// From the data of another version to this one's, before a node's first start with it.
    Upgrade,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 11] = [
        Verb::Install,
        Verb::Configure,
        Verb::Init,
        Verb::Start,
        Verb::Stop,
        Verb::Notify,
        Verb::Check,
        Verb::Drain,
        Verb::Backup,
        Verb::Restore,
        Verb::Upgrade,
    ];

    /// The word in `package.toml`, and in `LACE_VERB`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Install => "install",
            Verb::Configure => "configure",
            Verb::Init => "init",
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Notify => "notify",
            Verb::Check => "check",
            Verb::Drain => "drain",
            Verb::Backup => "backup",
            Verb::Restore => "restore",
            Verb::Upgrade => "upgrade",
        }
    }

    /// The verb of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
