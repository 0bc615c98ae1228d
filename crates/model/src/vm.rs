//! What an Erlang runtime says about itself at one moment, and the names of its numbers.

use serde::{Deserialize, Serialize};

/// A number of things, and how many there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Now.
    pub count: u64,
    /// At most; 0 where there is no limit.
    pub limit: u64,
}

impl Filled {
    /// How full, in thousandths of the limit.
    pub fn permille(self) -> u64 {
        self.count.saturating_mul(1000).checked_div(self.limit).unwrap_or(0)
    }
}

/// Memory in bytes, as `erlang:memory/0` counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmMemory {
    /// All of it.
    pub total: u64,
    /// For processes.
    pub processes: u64,
    /// Of that, in use.
    pub processes_used: u64,
    /// Not for processes.
    pub system: u64,
    /// For atoms.
    pub atom: u64,
    /// Of that, in use.
    pub atom_used: u64,
    /// For binaries.
    pub binary: u64,
    /// For code.
    pub code: u64,
    /// For ETS tables.
    pub ets: u64,
}

/// A connection to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmPeer {
    /// The other node.
    pub node: String,
    /// Bytes that wait to be sent.
    pub queue: u64,
    /// Bytes received so far.
    pub received: u64,
    /// Bytes sent so far.
    pub sent: u64,
}

/// One look at a runtime. Counters count from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSample {
    /// Memory.
    pub memory: VmMemory,
    /// Processes.
    pub processes: Filled,
    /// Ports.
    pub ports: Filled,
    /// Atoms.
    pub atoms: Filled,
    /// ETS tables.
    pub ets: Filled,
    /// Function calls and the like: the runtime's measure of work.
    pub reductions: u64,
    /// Switches between processes.
    pub context_switches: u64,
    /// Garbage collections.
    pub collections: u64,
    /// Words that they freed.
    pub words_reclaimed: u64,
    /// Bytes of a word.
    pub word_bytes: u64,
    /// Bytes that came in through ports.
    pub received: u64,
    /// Bytes that went out through ports.
    pub sent: u64,
    /// Processor time, in milliseconds.
    pub runtime_ms: u64,
    /// Time since its start, in milliseconds.
    pub uptime_ms: u64,
    /// Ready to run on normal schedulers.
    pub run_queue: u64,
    /// Ready to run on dirty processor schedulers.
    pub run_queue_dirty_cpu: u64,
    /// Ready to run on dirty I/O schedulers.
    pub run_queue_dirty_io: u64,
    /// Schedulers.
    pub schedulers: u64,
    /// Of these, in use.
    pub schedulers_online: u64,
    /// Connections to other nodes.
    pub peers: Vec<VmPeer>,
}

/// Is it a number that only grows?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It counts from the start.
    Counter,
}

impl MetricKind {
    /// Its word in the text exposition format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// One number under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// As prometheus.erl 6 names it.
    pub name: &'static str,
    /// What kind of number.
    pub kind: MetricKind,
    /// One more label, if any.
    pub label: Option<(&'static str, &'a str)>,
    /// The number.
    pub value: f64,
}

impl VmSample {
    /// All numbers under the names that prometheus.erl 6 gives them, those of one name together.
    pub fn metrics(&self) -> Vec<Metric<'_>> {
        let mut all = self.memory_metrics();
        all.extend(self.work_metrics());
        all.extend(self.system_metrics());
        for (name, of) in PEER_METRICS {
            let one = |peer| gauge(name, of(peer)).labelled("peer", &peer.node);
            all.extend(self.peers.iter().map(one));
        }
        all
    }

    fn memory_metrics(&self) -> Vec<Metric<'_>> {
        let m = &self.memory;
        let named = m.atom + m.binary + m.code + m.ets;
        let system = "erlang_vm_memory_system_bytes";
        vec![
            gauge("erlang_vm_memory_atom_bytes", m.atom_used).labelled("usage", "used"),
            gauge("erlang_vm_memory_atom_bytes", m.atom.saturating_sub(m.atom_used))
                .labelled("usage", "free"),
            gauge("erlang_vm_memory_bytes", m.system).labelled("kind", "system"),
            gauge("erlang_vm_memory_bytes", m.processes).labelled("kind", "processes"),
            gauge("erlang_vm_memory_ets_tables", self.ets.count),
            gauge("erlang_vm_memory_processes_bytes", m.processes_used).labelled("usage", "used"),
            gauge("erlang_vm_memory_processes_bytes", m.processes.saturating_sub(m.processes_used))
                .labelled("usage", "free"),
            gauge(system, m.atom).labelled("usage", "atom"),
            gauge(system, m.binary).labelled("usage", "binary"),
            gauge(system, m.code).labelled("usage", "code"),
            gauge(system, m.ets).labelled("usage", "ets"),
            gauge(system, m.system.saturating_sub(named)).labelled("usage", "other"),
        ]
    }

    fn work_metrics(&self) -> Vec<Metric<'_>> {
        let words = self.words_reclaimed;
        vec![
            counter("erlang_vm_statistics_bytes_output_total", self.sent),
            counter("erlang_vm_statistics_bytes_received_total", self.received),
            counter("erlang_vm_statistics_context_switches_total", self.context_switches),
            gauge("erlang_vm_statistics_dirty_cpu_run_queue_length", self.run_queue_dirty_cpu),
            gauge("erlang_vm_statistics_dirty_io_run_queue_length", self.run_queue_dirty_io),
            counter("erlang_vm_statistics_garbage_collection_number_of_gcs_total", self.collections),
            counter("erlang_vm_statistics_garbage_collection_words_reclaimed_total", words),
            counter("erlang_vm_statistics_garbage_collection_bytes_reclaimed_total", words * self.word_bytes),
            counter("erlang_vm_statistics_reductions_total", self.reductions),
            gauge("erlang_vm_statistics_run_queues_length", self.run_queue),
            seconds("erlang_vm_statistics_runtime_seconds_total", self.runtime_ms),
            seconds("erlang_vm_statistics_wallclock_time_seconds_total", self.uptime_ms),
        ]
    }

    fn system_metrics(&self) -> Vec<Metric<'_>> {
        vec![
            gauge("erlang_vm_atom_count", self.atoms.count),
            gauge("erlang_vm_atom_limit", self.atoms.limit),
            gauge("erlang_vm_ets_limit", self.ets.limit),
            gauge("erlang_vm_ports", self.ports.count),
            gauge("erlang_vm_port_limit", self.ports.limit),
            gauge("erlang_vm_processes", self.processes.count),
            gauge("erlang_vm_process_limit", self.processes.limit),
            gauge("erlang_vm_schedulers", self.schedulers),
            gauge("erlang_vm_schedulers_online", self.schedulers_online),
        ]
    }
}

type OfPeer = fn(&VmPeer) -> u64;

const PEER_METRICS: [(&str, OfPeer); 3] = [
    ("erlang_vm_dist_port_queue_size_bytes", |peer| peer.queue),
    ("erlang_vm_dist_port_input_bytes", |peer| peer.received),
    ("erlang_vm_dist_port_output_bytes", |peer| peer.sent),
];

fn gauge(name: &'static str, value: u64) -> Metric<'static> {
    Metric { name, kind: MetricKind::Gauge, label: None, value: value as f64 }
}

fn counter(name: &'static str, value: u64) -> Metric<'static> {
    Metric { kind: MetricKind::Counter, ..gauge(name, value) }
}

fn seconds(name: &'static str, ms: u64) -> Metric<'static> {
    Metric { value: ms as f64 / 1000.0, ..counter(name, ms) }
}

impl Metric<'_> {
    fn labelled<'a>(self, name: &'static str, value: &'a str) -> Metric<'a> {
        Metric { name: self.name, kind: self.kind, label: Some((name, value)), value: self.value }
    }
}

/// What processes are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// Bytes.
    #[default]
    Memory,
    /// Work done so far.
    Reductions,
    /// Messages that wait.
    Messages,
}

/// A process in a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmProcess {
    /// `<0.12.0>`
    pub pid: String,
    /// Registered name, or the function that it began with.
    pub name: String,
    /// Where it is.
    pub function: String,
    /// Bytes.
    pub memory: u64,
    /// Work done so far.
    pub reductions: u64,
    /// Messages that wait.
    pub messages: u64,
}

/// The largest processes of a runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmTop {
    /// All processes.
    pub processes: u64,
    /// So many of them were looked at.
    pub looked_at: u64,
    /// The first by any of the ranks; each once.
    pub top: Vec<VmProcess>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_name_stand_together_and_each_line_is_one_of_a_kind() {
        let peer = |node: &str| VmPeer { node: node.into(), queue: 1, received: 2, sent: 3 };
        let sample = VmSample { peers: vec![peer("a@b"), peer("c@d")], word_bytes: 8, ..VmSample::default() };
        let metrics = sample.metrics();
        let mut names: Vec<_> = metrics.iter().map(|m| m.name).collect();
        names.dedup();
        let together = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), together);
        let mut lines: Vec<_> = metrics.iter().map(|m| (m.name, m.label)).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), metrics.len());
        assert!(metrics.iter().all(|m| (m.kind == MetricKind::Counter) == m.name.ends_with("_total")));
    }

    #[test]
    fn what_has_no_limit_is_never_full() {
        assert_eq!(Filled { count: 5, limit: 0 }.permille(), 0);
        assert_eq!(Filled { count: 750, limit: 1000 }.permille(), 750);
    }
}
