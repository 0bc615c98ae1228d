//! Who a runtime is, what it runs, and whom it sees.

use super::script::unlike;
use crate::link::{Call, CallError, Link};
use crate::term::Term;
use std::time::Duration;

/// A runtime's own words about its place in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `init:get_status/0`: `starting`, `started` or `stopping`.
    pub state: String,
    /// Its OTP release.
    pub otp: String,
    /// The nodes that it sees.
    pub nodes: Vec<String>,
    /// The hidden ones, without us.
    pub hidden: Vec<String>,
    /// Running applications with their versions.
    pub applications: Vec<(String, String)>,
}

/// Asks in four calls at once.
///
/// # Errors
/// [`CallError`] of the first that failed.
pub async fn report(link: &Link, within: Duration) -> Result<Report, CallError> {
    let call = |module: &str, function: &str, arguments: Vec<Term>| {
        link.call(Call::new(module, function, arguments).within(within))
    };
    let (state, otp, nodes, hidden, applications) = tokio::try_join!(
        call("init", "get_status", vec![]),
        call("erlang", "system_info", vec![Term::atom("otp_release")]),
        call("erlang", "nodes", vec![]),
        call("erlang", "nodes", vec![Term::atom("hidden")]),
        call("application", "which_applications", vec![]),
    )?;
    let hidden = names(&hidden).ok_or_else(|| unlike(&hidden))?;
    Ok(Report {
        state: state.as_tuple().and_then(|s| s.first()?.as_atom()).unwrap_or("unknown").to_owned(),
        otp: otp.as_text().unwrap_or_default(),
        nodes: names(&nodes).ok_or_else(|| unlike(&nodes))?,
        hidden: hidden.into_iter().filter(|name| name != link.own_node()).collect(),
        applications: pairs(&applications).ok_or_else(|| unlike(&applications))?,
    })
}

fn names(list: &Term) -> Option<Vec<String>> {
    let mut names: Vec<_> =
        list.as_list()?.iter().map(|n| n.as_atom().map(str::to_owned)).collect::<Option<_>>()?;
    names.sort_unstable();
    Some(names)
}

fn pairs(list: &Term) -> Option<Vec<(String, String)>> {
    let pair = |one: &Term| match one.as_tuple()? {
        [name, _, version] => Some((name.as_atom()?.to_owned(), version.as_text()?)),
        _ => None,
    };
    let mut pairs: Vec<_> = list.as_list()?.iter().map(pair).collect::<Option<_>>()?;
    pairs.sort_unstable();
    Some(pairs)
}
