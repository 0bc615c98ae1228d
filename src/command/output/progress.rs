//! Progress of what takes longer than a second: a moving line on a terminal, a line for each new state otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// What ends within this time needs no progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// Progress of one piece of work. Dropping it wipes the moving line.
pub struct Progress {
    began: Instant,
    bar: Option<ProgressBar>,
    live: bool,
    shown: String,
}

impl Progress {
    /// Progress for a person at a terminal, or for a log.
    pub fn new(live: bool) -> Self {
        Self { began: Instant::now(), bar: None, live, shown: String::new() }
    }

    /// Says where the work stands. Gives the line to print where there is no terminal.
    pub fn at(&mut self, text: &str) -> Option<String> {
        if self.began.elapsed() < PATIENCE || text.is_empty() {
            return None;
        }
        if self.live {
            self.bar.get_or_insert_with(spinner).set_message(text.to_owned());
            return None;
        }
        if self.shown == text {
            return None;
        }
        text.clone_into(&mut self.shown);
        Some(text.to_owned())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
