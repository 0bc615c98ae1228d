//! Questions: before what cannot be undone in a protected context, and where a choice is the person's.

use super::Session;
use lace_model::{Code, Problem};

/// Asks before something is destroyed, if the context is protected: its name has to be typed.
///
/// # Errors
/// [`Code::Usage`] where nobody can be asked, or where another name was typed.
pub fn destructive(s: &mut Session, deed: &str) -> Result<(), Problem> {
    let context = s.context()?;
    if !context.protected || s.global.yes {
        return Ok(());
    }
    let name = &context.name;
    if !s.world.in_terminal {
        return Err(Problem::new(
            Code::Usage,
            format!("context {name} is protected, and nobody is here to confirm: {deed}"),
        )
        .hint("add --yes if that is what you want"));
    }
    s.out.error_bytes(format!("context {name} is protected. {deed}: type {name}: ").as_bytes());
    if s.read_line()? == *name {
        return Ok(());
    }
    Err(Problem::new(Code::Usage, format!("another name than {name} was typed: nothing was done")))
}

/// Asks for a yes.
///
/// # Errors
/// [`Code::Usage`] where nobody can be asked.
pub fn yes(s: &mut Session, question: &str) -> Result<bool, Problem> {
    if s.global.yes {
        return Ok(true);
    }
    if !s.world.in_terminal {
        return Err(Problem::new(Code::Usage, format!("nobody is here to answer: {question}"))
            .hint("add --yes if the answer is yes"));
    }
    s.out.error_bytes(format!("{question} [y/N] ").as_bytes());
    let answer = s.read_line()?.to_lowercase();
    Ok(answer == "y" || answer == "yes")
}
