//! Procfiles: a line `NAME: COMMAND` for each sort of process
//! (<https://devcenter.heroku.com/articles/procfile>).

/// The entries that have a command, in the order of the file.
pub(crate) fn entries(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(':'));
    split.map(|(name, command)| (name.trim(), command.trim())).filter(|(_, c)| !c.is_empty()).collect()
}

/// The entry that runs where nobody says which: `web`, else the first one but `release`, which runs before rollouts.
pub(crate) fn usual<'a>(entries: &[(&'a str, &'a str)]) -> Option<(&'a str, &'a str)> {
    let find = |good: fn(&str) -> bool| entries.iter().find(|(name, _)| good(name));
    find(|name| name == "web").or_else(|| find(|name| name != "release")).copied()
}

/// A command as words. A line that needs a shell gets one, which makes room for the program where it can.
pub(crate) fn words(command: &str) -> Vec<String> {
    if !command.contains(['$', '|', '&', ';', '<', '>', '*', '"', '\'', '`', '\\', '=', '(', '~']) {
        return command.split_whitespace().map(str::to_owned).collect();
    }
    let assigns = command.split_whitespace().next().is_some_and(|word| word.contains('='));
    let exec = if assigns || command.contains(['&', ';', '|', '(', '\n']) { "" } else { "exec " };
    vec!["sh".into(), "-c".into(), format!("{exec}{command}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_entry() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let expected = expected.map(|words| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
            assert_eq!(usual(&entries(text)).map(|(_, c)| words(c)), expected, "{text}");
        };
        check("worker: a\nweb: bin/x --port 80\n", Some(&["bin/x", "--port", "80"]));
        check("# web: no\nworker: a b", Some(&["a", "b"]));
        check("web: bin/x -p $PORT", Some(&["sh", "-c", "exec bin/x -p $PORT"]));
        check("web: A=1 bin/x", Some(&["sh", "-c", "A=1 bin/x"]));
        check("web: bin/migrate && bin/x", Some(&["sh", "-c", "bin/migrate && bin/x"]));
        check("release: a\nworker: b\n", Some(&["b"]));
        check("web:", None);
        check("", None);
    }
}
