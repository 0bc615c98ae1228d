//! The numbers, in one call.

use super::script::{Script, unlike};
use crate::link::{CallError, Link};
use crate::term::Term;
use lace_model::vm::{Filled, VmMemory, VmPeer, VmSample};
use std::time::Duration;

/// More connections than this are not told one by one.
const PEERS_MAX: usize = 100;

/// Bound inside a function, so that nothing but the value comes back. What serves a connection is its port; over TLS it is a
/// process of OTP's `ssl` (`tls_sender`), and the port belongs to another one under the same supervisor.
const SOURCE: &str = "
(fun() ->
     Info = fun(Key) -> try erlang:system_info(Key) catch _:_ -> 0 end end,
     Infos = [{Key, Info(Key)} || Key <- [process_count, process_limit, port_count, port_limit, atom_count,
                                          atom_limit, ets_count, ets_limit, schedulers, schedulers_online,
                                          wordsize]],
     Seen = fun(Port, Key) ->
                case erlang:port_info(Port, Key) of {_, Value} -> Value; _ -> 0 end
            end,
     Links = fun(Pid) -> case process_info(Pid, links) of {_, Linked} -> Linked; _ -> [] end end,
     Starts = fun(Pid) -> try proc_lib:translate_initial_call(Pid) catch _:_ -> gone end end,
     Ports = fun(Port) when is_port(Port) -> [Port];
                (Sender) ->
                    [Port || Over <- Links(Sender), is_pid(Over),
                             Starts(Over) =:= {supervisor, tls_dyn_connection_sup, 1},
                             Beside <- Links(Over), is_pid(Beside), Beside =/= Sender,
                             Port <- Links(Beside), is_port(Port)]
             end,
     Peers = [{Node, Seen(Port, queue_size), Seen(Port, input), Seen(Port, output)}
              || {Node, Way} <- lists:sublist(erlang:system_info(dist_ctrl), Most), Port <- Ports(Way)],
     {erlang:memory(), Infos, Peers, erlang:statistics(io), erlang:statistics(reductions),
      erlang:statistics(garbage_collection), erlang:statistics(context_switches),
      erlang:statistics(run_queue_lengths_all), erlang:statistics(runtime), erlang:statistics(wall_clock)}
 end)().
";

/// Takes samples over one link.
#[derive(Clone, Debug)]
pub struct Sampler(Script);

impl Sampler {
    /// Once per link.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn prepare(link: &Link) -> Result<Self, CallError> {
        Script::prepare(link, SOURCE).await.map(Self)
    }

    /// The numbers now.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn sample(&self, link: &Link, within: Duration) -> Result<VmSample, CallError> {
        let most = [("Most", Term::Int(PEERS_MAX as i64))];
        let answer = self.0.run(link, &most, within).await?;
        let mut sample = read(&answer).ok_or_else(|| unlike(&answer))?;
        sample.peers.retain(|peer| peer.node != link.own_node());
        Ok(sample)
    }
}

fn read(answer: &Term) -> Option<VmSample> {
    let [memory, infos, peers, io, reductions, collected, switches, queues, runtime, wall] =
        answer.as_tuple()?
    else {
        return None;
    };
    let info = |key: &str| infos.property(key).and_then(Term::as_count).unwrap_or(0);
    let filled = |count: &str, limit: &str| Filled { count: info(count), limit: info(limit) };
    let run = run_queues(queues, info("schedulers") as usize);
    Some(VmSample {
        memory: memory_of(memory),
        processes: filled("process_count", "process_limit"),
        ports: filled("port_count", "port_limit"),
        atoms: filled("atom_count", "atom_limit"),
        ets: filled("ets_count", "ets_limit"),
        reductions: at(reductions, 0)?,
        context_switches: at(switches, 0)?,
        collections: at(collected, 0)?,
        words_reclaimed: at(collected, 1)?,
        word_bytes: info("wordsize"),
        received: pair(io, "input")?,
        sent: pair(io, "output")?,
        runtime_ms: at(runtime, 0)?,
        uptime_ms: at(wall, 0)?,
        run_queue: run[0],
        run_queue_dirty_cpu: run[1],
        run_queue_dirty_io: run[2],
        schedulers: info("schedulers"),
        schedulers_online: info("schedulers_online"),
        peers: peers.as_list()?.iter().filter_map(peer).collect(),
    })
}

fn memory_of(memory: &Term) -> VmMemory {
    let of = |key: &str| memory.property(key).and_then(Term::as_count).unwrap_or(0);
    VmMemory {
        total: of("total"),
        processes: of("processes"),
        processes_used: of("processes_used"),
        system: of("system"),
        atom: of("atom"),
        atom_used: of("atom_used"),
        binary: of("binary"),
        code: of("code"),
        ets: of("ets"),
    }
}

fn at(tuple: &Term, place: usize) -> Option<u64> {
    tuple.as_tuple()?.get(place)?.as_count()
}

/// `{{input, N}, {output, M}}`
fn pair(io: &Term, key: &str) -> Option<u64> {
    let found = io.as_tuple()?.iter().filter_map(Term::as_tuple).find(|p| p[0].as_atom() == Some(key))?;
    found.get(1)?.as_count()
}

/// One queue per scheduler, then those of the dirty processor and the dirty I/O schedulers.
fn run_queues(queues: &Term, schedulers: usize) -> [u64; 3] {
    let queues: Vec<u64> = queues.as_list().unwrap_or_default().iter().filter_map(Term::as_count).collect();
    let (normal, dirty) = queues.split_at(queues.len().min(schedulers));
    [normal.iter().sum(), dirty.first().copied().unwrap_or(0), dirty.get(1).copied().unwrap_or(0)]
}

fn peer(term: &Term) -> Option<VmPeer> {
    let [node, queue, received, sent] = term.as_tuple()? else { return None };
    let node = node.as_atom()?.to_owned();
    Some(VmPeer { node, queue: queue.as_count()?, received: received.as_count()?, sent: sent.as_count()? })
}
