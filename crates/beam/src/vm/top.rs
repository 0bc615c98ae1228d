//! The largest processes. A walk over all of them costs a runtime more than its numbers do: ask rarely.

use super::script::{Script, unlike};
use crate::link::{CallError, Link};
use crate::term::Term;
use crate::term::print::print;
use lace_model::vm::{VmProcess, VmTop};
use std::time::Duration;

/// Most processes of each ranking.
pub const TOP_MAX: usize = 100;
/// Most processes that are looked at; beyond that the ranking is one of these.
const WALK_MAX: usize = 100_000;

const SOURCE: &str = "
(fun() ->
     process_flag(priority, low),
     All = erlang:processes(),
     Rows = [{Pid, Memory, Reductions, Messages}
             || Pid <- lists:sublist(All, Walk), Pid =/= self(),
                [{memory, Memory}, {reductions, Reductions}, {message_queue_len, Messages}]
                    <- [erlang:process_info(Pid, [memory, reductions, message_queue_len])]],
     Best = fun(Place) -> lists:sublist(lists:reverse(lists:keysort(Place, Rows)), Most) end,
     Name = fun(Pid) ->
                case erlang:process_info(Pid, registered_name) of
                    {_, Registered} -> Registered;
                    _ -> try proc_lib:translate_initial_call(Pid) catch _:_ -> none end
                end
            end,
     Place = fun(Pid) ->
                 case erlang:process_info(Pid, current_function) of {_, Function} -> Function; _ -> none end
             end,
     {length(All), length(Rows),
      [{Pid, Name(Pid), Place(Pid), Memory, Reductions, Messages}
       || {Pid, Memory, Reductions, Messages} <- lists:usort(Best(2) ++ Best(3) ++ Best(4))]}
 end)().
";

/// Ranks processes over one link.
#[derive(Clone, Debug)]
pub struct Ranker(Script);

impl Ranker {
    /// Once per link.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn prepare(link: &Link) -> Result<Self, CallError> {
        Script::prepare(link, SOURCE).await.map(Self)
    }

    /// The first `most` (at most [`TOP_MAX`]) by memory, by reductions, and by messages that wait; by memory here.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn top(&self, link: &Link, most: usize, within: Duration) -> Result<VmTop, CallError> {
        let most = Term::Int(most.min(TOP_MAX) as i64);
        let variables = [("Most", most), ("Walk", Term::Int(WALK_MAX as i64))];
        let answer = self.0.run(link, &variables, within).await?;
        let mut top = read(&answer, link).ok_or_else(|| unlike(&answer))?;
        top.top.sort_by_key(|one| std::cmp::Reverse(one.memory));
        Ok(top)
    }
}

fn read(answer: &Term, link: &Link) -> Option<VmTop> {
    let [all, seen, rows] = answer.as_tuple()? else { return None };
    let top = rows.as_list()?.iter().map(|row| process(row, link)).collect::<Option<_>>()?;
    Some(VmTop { processes: all.as_count()?, looked_at: seen.as_count()?, top })
}

fn process(row: &Term, link: &Link) -> Option<VmProcess> {
    let [pid, name, place, memory, reductions, messages] = row.as_tuple()? else { return None };
    Some(VmProcess {
        pid: print(pid, Some(&link.home())),
        name: function(name),
        function: function(place),
        memory: memory.as_count()?,
        reductions: reductions.as_count()?,
        messages: messages.as_count()?,
    })
}

/// `m:f/1`, or what it is otherwise.
fn function(term: &Term) -> String {
    match term.as_tuple() {
        Some([Term::Atom(module), Term::Atom(function), Term::Int(arity)]) => {
            format!("{}:{}/{arity}", module.as_str(), function.as_str())
        }
        _ => term.to_string(),
    }
}
