//! The help of every command as text: the manual in the dashboard is the same text as `--help`.

use super::line::Cli;
use clap::{Command, CommandFactory};

/// Each command's words and what its `--help` says, in the order of `lace --help`.
pub fn manual() -> Vec<(String, String)> {
    let mut cli = Cli::command().term_width(100);
    cli.build();
    let mut found = Vec::new();
    collect(&mut cli, &mut found);
    found
}

fn collect(command: &mut Command, found: &mut Vec<(String, String)>) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    found.push((name, command.render_long_help().to_string()));
    let inner = command.get_subcommands_mut().filter(|c| !c.is_hide_set() && c.get_name() != "help");
    inner.for_each(|c| collect(c, found));
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_is_in_the_manual() {
        let manual = super::manual();
        let text = |name: &str| manual.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str());
        assert!(text("lace scale").is_some_and(|t| t.contains("Example")));
        assert!(text("lace secret set").is_some());
        assert!(manual.len() > 50, "{}", manual.len());
    }
}
