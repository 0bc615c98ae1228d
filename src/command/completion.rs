//! `lace completion`: scripts that complete commands in a shell.

use super::line::Cli;
use super::{Exit, Outcome, Session};
use clap::{Args, CommandFactory, ValueEnum};

/// `lace completion`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace completion bash > /etc/bash_completion.d/lace")]
pub struct CompletionArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// elvish
    Elvish,
    /// PowerShell
    #[value(name = "powershell")]
    Pwsh,
}

/// Runs `lace completion`.
pub fn run(args: CompletionArgs, s: &mut Session) -> Outcome {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Pwsh => clap_complete::Shell::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lace", &mut script);
    s.out.bytes(&script);
    Ok(Exit::DONE)
}
