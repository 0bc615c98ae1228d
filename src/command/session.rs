//! One command under way: what the person said for all commands, the world, and the client of the chosen context.

use super::context::{self, Context};
use super::line::Global;
use super::output::Output;
use super::world::World;
use lace_model::{Code, Millis, Problem, Span};
use lace_wire::client::Client;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command watches what it asked for, where `--timeout` does not say.
pub const WATCH_DEFAULT: Span = Span::secs(600);

/// One command under way.
pub struct Session {
    /// Prints.
    pub out: Output,
    /// What the person said for all commands.
    pub global: Global,
    /// Input, environment, directory, clock.
    pub world: World,
}

impl Session {
    /// A command that begins.
    pub fn new(global: Global, mut world: World) -> Self {
        let out = Output::new(&global, &mut world);
        Self { out, global, world }
    }

    /// The context that the person means.
    pub fn context(&self) -> Result<Context, Problem> {
        context::choose(&self.world, self.global.context.as_deref())
    }

    /// A client of the context's controller.
    pub fn client(&self) -> Result<Client, Problem> {
        Client::new(&self.context()?.endpoint())
    }

    /// A client that outlives a controller that restarts.
    pub fn watching_client(&self) -> Result<Client, Problem> {
        Ok(self.client()?.retrying_for(lace_wire::client::RETRY_WATCHING))
    }

    /// How long to watch.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.global.timeout.unwrap_or(WATCH_DEFAULT).ms())
    }

    /// Now.
    pub fn now(&self) -> Millis {
        (self.world.now)()
    }

    /// A path as the person means it.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.world.at(path)
    }

    /// Reads a text file.
    pub fn read_text(&self, path: impl AsRef<Path>) -> Result<String, Problem> {
        let path = path.as_ref();
        std::fs::read_to_string(self.at(path)).map_err(|e| cannot_read(path, &e))
    }

    /// Writes a file that only its owner may read.
    pub fn write_private(&self, path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Problem> {
        let path = path.as_ref();
        write_private(&self.at(path), bytes).map_err(|e| cannot_write(path, &e))
    }

    /// Everything on the input, up to a limit.
    pub fn read_input(&mut self, limit: usize) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        let most = limit as u64 + 1;
        (&mut self.world.input)
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|e| cannot_read(Path::new("the input"), &e))?;
        if bytes.len() > limit {
            let message = format!("the input is larger than the {limit} bytes allowed here");
            return Err(Problem::new(Code::TooLarge, message));
        }
        Ok(bytes)
    }

    /// The input, to be passed on; nothing is left of it here.
    pub fn take_input(&mut self) -> Box<dyn Read + Send> {
        std::mem::replace(&mut self.world.input, Box::new(std::io::empty()))
    }

    /// One line of the input, without its end.
    pub fn read_line(&mut self) -> Result<String, Problem> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < 4096 {
            match self.world.input.read(&mut byte) {
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.push(byte[0]),
                Err(e) => return Err(cannot_read(Path::new("the input"), &e)),
            }
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }
}

/// A file could not be read.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Problem {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Error,
    };
    Problem::new(code, format!("cannot read {}: {error}", path.display()))
}

/// A file could not be written.
pub fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::Error, format!("cannot write {}: {error}", path.display()))
}

/// Writes a file with mode 0600, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
