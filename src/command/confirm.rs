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

/// Most bytes of a secret.
const SECRET_BYTES_MAX: usize = 4096;

/// A secret: typed without being shown, or the first line of the input.
pub fn secret(s: &mut Session, question: &str) -> Result<String, Problem> {
    if !s.world.in_terminal {
        let bytes = s.read_input(SECRET_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    s.out.error_bytes(question.as_bytes());
    let unseen = Unseen::begin();
    let line = s.read_line();
    drop(unseen);
    s.out.error_bytes(b"\n");
    line
}

/// While it lives, what is typed is not shown.
struct Unseen(Option<rustix::termios::Termios>);

impl Unseen {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Self(None) };
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        let is_set = tcsetattr(std::io::stdin(), OptionalActions::Flush, &unseen).is_ok();
        Self(is_set.then_some(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let now = rustix::termios::OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(std::io::stdin(), now, before);
        }
    }
}
