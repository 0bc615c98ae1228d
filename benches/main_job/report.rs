//! The table: figure, count, p50, p99, aim, and the ratio to a peer of the same run.

use crate::probe::processor_ticks;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Milliseconds.
pub const MS: &str = "ms";
/// Seconds.
pub const S: &str = "s";
/// Mebibytes.
pub const MIB: &str = "MiB";

/// One line.
pub struct Row {
    what: String,
    unit: &'static str,
    values: Vec<f64>,
    aim_p50: Option<f64>,
    aim_p99: Option<f64>,
    beside: Option<String>,
}

impl Row {
    /// The p50 shall be at most this.
    pub fn aim(&mut self, most: f64) -> &mut Self {
        self.aim_p50 = Some(most);
        self
    }

    /// The p99 shall be at most this.
    pub fn aim_p99(&mut self, most: f64) -> &mut Self {
        self.aim_p99 = Some(most);
        self
    }

    /// The line of a peer.
    pub fn beside(&mut self, peer: &str) -> &mut Self {
        self.beside = Some(peer.to_owned());
        self
    }

    fn aim_text(&self) -> String {
        let misses = |most: Option<f64>, share| most.is_some_and(|most| quantile(&self.values, share) > most);
        let verdict = if misses(self.aim_p50, 50) || misses(self.aim_p99, 99) { "missed" } else { "met" };
        match (self.aim_p50, self.aim_p99) {
            (None, None) => String::new(),
            (Some(p50), Some(p99)) => format!("{p50:.0} / {p99:.0} {verdict}"),
            (Some(most), None) | (None, Some(most)) => format!("{} {verdict}", short(most)),
        }
    }
}

/// The share of values, in hundredths, that are at most the answer. The values are in order.
fn quantile(values: &[f64], share: usize) -> f64 {
    // Nearest rank: with few values the p99 is the greatest.
    let rank = (values.len() * share).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// All lines, and what is to be known about the run.
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    failures: Vec<String>,
    medians: BTreeMap<String, f64>,
    begun: Instant,
    load: String,
}

impl Report {
    /// Begins by looking at what else the machine does.
    pub fn begin() -> Self {
        let load = format!("before: {}", machine_load());
        Self {
            rows: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
            medians: BTreeMap::new(),
            begun: Instant::now(),
            load,
        }
    }

    /// A line of times.
    pub fn times(&mut self, what: impl Into<String>, times: &[Duration]) -> &mut Row {
        self.values(what, MS, times.iter().map(|t| t.as_secs_f64() * 1000.0).collect())
    }

    /// A line of numbers.
    pub fn values(&mut self, what: impl Into<String>, unit: &'static str, mut values: Vec<f64>) -> &mut Row {
        values.sort_unstable_by(f64::total_cmp);
        let what = what.into();
        self.medians.insert(what.clone(), quantile(&values, 50));
        let at = self.rows.len();
        self.rows.push(Row { what, unit, values, aim_p50: None, aim_p99: None, beside: None });
        &mut self.rows[at]
    }

    /// The p50 of a line that is there.
    pub fn median(&self, what: &str) -> Option<f64> {
        self.medians.get(what).copied()
    }

    /// One sentence below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A section that could not be measured.
    pub fn failed(&mut self, what: &str, error: &dyn std::error::Error) {
        eprintln!("main_job: {what}: {error}");
        self.failures.push(format!("{what}: {error}"));
    }

    /// Was all of it measured?
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// Prints it.
    pub fn print(&self) {
        let mut text = format!(
            "\n{:<56} {:>5} {:>9} {:>9} {:<4} {:<14} {}\n",
            "figure", "n", "p50", "p99", "", "aim", "ratio to a peer"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<56} {:>5} {:>9} {:>9} {:<4} {:<14} {}",
                row.what,
                row.values.len(),
                short(quantile(&row.values, 50)),
                short(quantile(&row.values, 99)),
                row.unit,
                row.aim_text(),
                self.ratio(row),
            );
        }
        let _ = writeln!(text, "\n{} · after: {}", self.load, machine_load());
        let _ = writeln!(text, "the whole run: {:.0} s", self.begun.elapsed().as_secs_f64());
        self.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
        self.failures.iter().for_each(|what| text.push_str(&format!("NOT MEASURED: {what}\n")));
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    fn ratio(&self, row: &Row) -> String {
        let Some(peer) = &row.beside else { return String::new() };
        let Some(theirs) = self.median(peer) else { return format!("{peer}: not there") };
        format!("{:.2} x {peer}", quantile(&row.values, 50) / theirs)
    }
}

/// Load average, and how busy the processors are over half a second in which this program does nothing.
fn machine_load() -> String {
    let before = processor_ticks();
    std::thread::sleep(Duration::from_millis(500));
    let after = processor_ticks();
    let (all, idle) = (after.0 - before.0, after.1 - before.1);
    let busy = 100 - (idle * 100).checked_div(all).unwrap_or(100);
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average: Vec<&str> = average.split_whitespace().take(3).collect();
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    format!("load {}, {processors} processors {busy} % busy with other work", average.join(" "))
}
