//! Expressions that a runtime evaluates for us.

use crate::link::{Call, CallError, Link};
use crate::term::Term;
use std::time::Duration;

/// An expression in the runtime's own abstract form.
#[derive(Clone, Debug)]
pub struct Script {
    forms: Term,
}

impl Script {
    /// Has the runtime read the source: expressions that end with a full stop.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unreadable`] where the source is wrong.
    pub async fn prepare(link: &Link, source: &str) -> Result<Self, CallError> {
        let scanned = link.call(Call::new("erl_scan", "string", vec![Term::charlist(source)])).await?;
        let tokens = second_of_ok(scanned)?;
        let parsed = link.call(Call::new("erl_parse", "parse_exprs", vec![tokens])).await?;
        Ok(Self { forms: second_of_ok(parsed)? })
    }

    /// Its value, with these variables set.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn run(
        &self,
        link: &Link,
        variables: &[(&str, Term)],
        within: Duration,
    ) -> Result<Term, CallError> {
        let set = |(name, value): &(&str, Term)| Term::tuple([Term::atom(name), value.clone()]);
        let variables = Term::List(variables.iter().map(set).collect());
        let call = Call::new("erl_eval", "exprs", vec![self.forms.clone(), variables]);
        match link.call(call.within(within)).await? {
            Term::Tuple(mut parts) if parts.len() == 3 => Ok(parts.swap_remove(1)),
            other => Err(unlike(&other)),
        }
    }
}

/// `{ok, Value}` or `{ok, Value, _}`.
fn second_of_ok(answer: Term) -> Result<Term, CallError> {
    match answer {
        Term::Tuple(mut parts) if parts.len() >= 2 && parts[0].as_atom() == Some("ok") => {
            Ok(parts.swap_remove(1))
        }
        other => Err(unlike(&other)),
    }
}

/// An answer that is not what was asked for.
pub(super) fn unlike(answer: &Term) -> CallError {
    let text = answer.to_string();
    CallError::Unreadable(format!("not what was expected: {}", text.chars().take(200).collect::<String>()))
}
