//! How `lace demo` tells its story: what is typed, what it says, how long it took.

use super::end::End;
use super::process::executable;
use super::{Failure, out};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What would lead a command to another controller.
const FOREIGN: [&str; 5] = ["LACE_URL", "LACE_TOKEN", "LACE_CA", "LACE_CONTEXT", "LACE_FORMAT"];

/// The story's voice, and the environment of the commands that it types.
pub struct Story {
    env: BTreeMap<String, String>,
    end: Arc<End>,
    began: Instant,
    /// Steps with their times, for the table at the end.
    times: Vec<(String, Duration)>,
}

/// How a typed command ended.
pub struct Typed {
    /// What it said on stdout.
    pub out: String,
    /// Its exit status.
    pub status: i32,
}

impl Story {
    /// A story whose commands have these words in their environment, until `end` is asked for.
    pub fn new(env: BTreeMap<String, String>, end: Arc<End>) -> Self {
        Self { env, end, began: Instant::now(), times: Vec::new() }
    }

    /// A heading.
    pub fn chapter(&self, title: &str) {
        out(&format!("\n[{:>5.1} s] {title}", self.began.elapsed().as_secs_f64()));
    }

    /// A remark.
    pub fn say(&self, text: &str) {
        out(&format!("          {text}"));
    }

    /// Remembers how long a step took.
    pub fn took(&mut self, step: &str, time: Duration) {
        self.say(&format!("-> {step}: {:.2} s", time.as_secs_f64()));
        self.times.push((step.to_owned(), time));
    }

    /// Types a command, shows it and what it says, and remembers its time under `step`.
    pub fn step(&mut self, step: &str, words: &[&str], expected: i32) -> Result<Typed, Failure> {
        let began = Instant::now();
        let typed = self.type_in(words, expected)?;
        self.took(step, began.elapsed());
        Ok(typed)
    }

    /// Types a command and shows it and what it says.
    pub fn type_in(&self, words: &[&str], expected: i32) -> Result<Typed, Failure> {
        out(&format!("          $ lace {}", words.join(" ")));
        let typed = self.quietly(words)?;
        for line in typed.out.lines() {
            self.say(line);
        }
        if typed.status != expected {
            let said = format!("`lace {}` ended with {}, expected {expected}", words.join(" "), typed.status);
            return Err(said.into());
        }
        Ok(typed)
    }

    /// Types a command and shows nothing; its complaints go to stderr.
    ///
    /// Which controller is meant is the story's own word alone: what the person at the terminal works with is not touched.
    /// The command has a process group of its own, so that Ctrl-C reaches the story, which then ends it.
    pub fn quietly(&self, words: &[&str]) -> Result<Typed, Failure> {
        let mut command = Command::new(executable());
        command.args(words).process_group(0);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.envs(&self.env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let output = self.end.run(&mut command, words.first() != Some(&"up"))?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Typed { out, status: output.status.code().unwrap_or(-1) })
    }

    /// Types a command again and again until what it says is as wanted.
    pub fn until(
        &self,
        words: &[&str],
        within: Duration,
        wanted: impl Fn(&Typed) -> bool,
    ) -> Result<Typed, Failure> {
        let until = Instant::now() + within;
        loop {
            let typed = self.quietly(words)?;
            if wanted(&typed) {
                return Ok(typed);
            }
            if Instant::now() > until {
                return Err(format!(
                    "`lace {}` did not come to say what was awaited: {}",
                    words.join(" "),
                    typed.out
                )
                .into());
            }
            self.end.sleep(Duration::from_millis(50))?;
        }
    }

    /// The table of times.
    pub fn table(&self) {
        out(&format!("\n{:<58} {:>8}", "step", "seconds"));
        for (step, time) in &self.times {
            out(&format!("{step:<58} {:>8.2}", time.as_secs_f64()));
        }
    }
}
