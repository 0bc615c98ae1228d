//! One installation of the real binary: its state, ports, space and client; nothing of it stays.

use crate::Failure;
use crate::probe::{first_processes, free_port};
use lace_model::application::{ApplicationSpec, ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::event::Event;
use lace_model::operation::OperationState;
use lace_model::release::ReleaseRef;
use lace_model::{AppName, ByteSize, CpuMillis, FamilyName, Name, ServiceName};
use lace_wire::api::Accepted;
use lace_wire::client::{Client, Endpoint, EventFeed};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a state is waited for.
const WITHIN: Duration = Duration::from_secs(120);
/// What the nodes of one family may ask for together: two processors carry 8,000 (each is counted four times).
const CPU_MILLIS_TOGETHER: u32 = 7_500;

/// The binary that is measured: the one that was built along, or another one to compare with (`LACE_BENCH_BINARY`).
pub fn lace() -> PathBuf {
    std::env::var_os("LACE_BENCH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_lace").into(), PathBuf::from)
}

/// An installation that is up.
pub struct World {
    dir: tempfile::TempDir,
    /// Speaks to its controller.
    pub client: Client,
}

impl World {
    /// `lace up --detach`, with a release `sleeper` uploaded.
    pub async fn up(net: u8) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("lace-bench-").tempdir()?;
        // Nodes' ids pass through it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let (listen, link) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{listen}");
        // From here on, a failure takes down what came up.
        let nobody = Client::new(&Endpoint { url: url.clone(), token: None, ca: None })?;
        let mut world = Self { dir, client: nobody };
        let (listen, link) = (format!("127.0.0.1:{listen}"), format!("127.0.0.1:{link}"));
        let (space, state) = (format!("10.{net}.0.0/16"), world.state().display().to_string());
        world.run(&[
            "up", "--detach", "--listen", &listen, "--link", &link, "--door", "off", "--space", &space,
            "--state", &state,
        ])?;
        let token = std::fs::read_to_string(world.state().join("admin.token"))?;
        world.client = Client::new(&Endpoint { url, token: Some(token.trim().into()), ca: None })?;
        world.upload_sleeper()?;
        Ok(world)
    }

    fn upload_sleeper(&self) -> Result<(), Failure> {
        let bin = self.files().join("sleeper/bin");
        std::fs::create_dir_all(&bin)?;
        std::fs::write(bin.join("run"), "#!/bin/sh\nexec sleep 100000\n")?;
        std::fs::set_permissions(bin.join("run"), std::fs::Permissions::from_mode(0o755))?;
        let dir = self.files().join("sleeper").display().to_string();
        self.run(&["release", "upload", "sleeper", &dir, "--version", "1", "--start", "bin/run"])?;
        Ok(())
    }

    /// A directory for files of this run.
    pub fn files(&self) -> &Path {
        self.dir.path()
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The command line of this installation.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(lace());
        command.args(words).env("LACE_CONFIG_DIR", self.dir.path().join("cli")).stdin(Stdio::null());
        command
    }

    /// Runs it; what it says.
    pub fn run(&self, words: &[&str]) -> Result<String, Failure> {
        let output = self.command(words).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("lace {}: {}: {}", words.join(" "), output.status, said.trim()).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The process of a role.
    pub fn pid(&self, role: &str) -> Result<i32, Failure> {
        let text = std::fs::read(self.state().join("run").join(format!("{role}.json")))?;
        let record: Value = serde_json::from_slice(&text)?;
        Ok(i32::try_from(record["pid"].as_i64().ok_or("a record without pid")?)?)
    }

    /// The agent's child that makes nodes, once there was a node.
    pub fn nursery(&self) -> Option<i32> {
        let agent = self.pid("agent").ok()?;
        let tasks = std::fs::read_dir(format!("/proc/{agent}/task")).ok()?.flatten();
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids: Vec<i32> = children
            .flat_map(|c| c.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
            .collect();
        let is_nursery = |pid: &i32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|b| *b == 0).any(|word| word == b"nursery")
        };
        pids.into_iter().find(is_nursery)
    }

    /// The name of its cgroups.
    fn group(&self) -> Result<String, Failure> {
        let settings: Value = serde_json::from_slice(&std::fs::read(self.state().join("up.json"))?)?;
        Ok(format!("lace-{}", settings["label"].as_str().ok_or("no label")?))
    }

    /// The PID 1 of each node.
    pub fn first_processes(&self) -> Result<Vec<i32>, Failure> {
        Ok(first_processes(&self.group()?))
    }

    /// The address of a node.
    pub async fn address(&self, app: &str, index: u32) -> Result<String, Failure> {
        let status: Value = serde_json::from_str(&self.run(&["status", app, "--format", "json"])?)?;
        let nodes = status["apps"][0]["families"][0]["nodes"].as_array().ok_or("no nodes")?;
        let is_it = |node: &&Value| {
            node["status"]["path"].as_str().is_some_and(|path| path.ends_with(&format!("/{index}")))
        };
        let node = nodes.iter().find(is_it).ok_or("no such node")?;
        Ok(node["status"]["address"].as_str().ok_or("no address")?.to_owned())
    }

    /// Waits for the end of an operation; an error unless it ended well.
    pub async fn done(&self, accepted: Accepted) -> Result<(), Failure> {
        let Some(id) = accepted.operation else { return Ok(()) };
        let ends = async {
            loop {
                let operation = self.client.operation(id, Duration::from_secs(5)).await?;
                match operation.state {
                    OperationState::Running => {}
                    OperationState::Done => return Ok(()),
                    _ => return Err(Failure::from(operation.message)),
                }
            }
        };
        tokio::time::timeout(WITHIN, ends).await.map_err(|_| "an operation did not end in time")?
    }

    /// Deletes an application and waits until it is gone.
    pub async fn delete(&self, app: &str) -> Result<(), Failure> {
        let accepted = self.client.app_delete(&AppName::new(app)?, false, true).await?;
        self.done(accepted).await
    }

    /// Follows what happens to an application, or to everything, from now on.
    pub async fn follow(&self, app: Option<&str>) -> Result<Follower, Failure> {
        let newest = self.client.events(None, None, Some(1)).await?;
        let since = newest.last().map_or(0, |e| e.seq);
        Ok(Follower(self.client.follow_events(Some(since), app)))
    }

    /// Ends it and looks for what stayed.
    pub fn down(&self) -> Result<(), Failure> {
        let group = self.group()?;
        self.run(&["down", "--state", &self.state().display().to_string()])?;
        // The dead are still counted until somebody has reaped them.
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
            let mounts = mounts.matches(&*self.state().to_string_lossy()).count();
            let processes = first_processes(&group);
            if mounts == 0 && processes.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("{mounts} mounts and the processes {processes:?} are left").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--state", &self.state().display().to_string()]);
    }
}

/// Hears events as they come.
pub struct Follower(EventFeed);

impl Follower {
    /// Waits until so many different subjects had an event of this kind.
    pub async fn hears(&mut self, kind: &str, subjects: usize) -> Result<(), Failure> {
        let mut heard = BTreeSet::new();
        while heard.len() < subjects {
            let event = self.next().await?;
            if event.kind == kind {
                heard.insert(event.subject);
            }
        }
        Ok(())
    }

    /// Waits for an event of this kind about this subject.
    pub async fn hears_of(&mut self, kind: &str, subject: &str) -> Result<(), Failure> {
        loop {
            let event = self.next().await?;
            if event.kind == kind && event.subject == subject {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Result<Event, Failure> {
        let event = tokio::time::timeout(WITHIN, self.0.next()).await;
        let event = event.map_err(|_| "an event did not come in time")??;
        match event.kind.as_str() {
            "node.failed" => Err(format!("{}: {}", event.subject, event.message).into()),
            _ => Ok(event),
        }
    }
}

/// An application of one family of sleepers, which has room for `most` of them.
pub fn sleepers(app: &str, count: u32, most: u32) -> Result<ApplyRequest, Failure> {
    let family = FamilySpec {
        count: Some(count),
        cpu: Some(CpuMillis((CPU_MILLIS_TOGETHER / most).min(100))),
        memory: Some(ByteSize::mib(8)),
        ..FamilySpec::default()
    };
    let release = ReleaseRef { name: Name::new("sleeper")?, version: Some("1".into()) };
    let service = ServiceSpec {
        release: Some(release),
        families: BTreeMap::from([(FamilyName::new("web")?, family)]),
        ..ServiceSpec::default()
    };
    let spec = ApplicationSpec { services: BTreeMap::from([(ServiceName::new("web")?, service)]) };
    Ok(ApplyRequest { app: AppName::new(app)?, spec, prune: false, delete_data: false, plan: None })
}
