//! What of a release's vm.args gives way: where its runtime listens, how it is found, and what it shows to others is the
//! node's, and each of these flags counts once only. Of two `-erl_epmd_port` neither counts, of two ranges of ports
//! the first, and two option files for TLS are an error (OTP 25).

/// Flags that give way, with everything up to the next flag.
const WAYS: [&str; 5] = ["-setcookie", "-erl_epmd_port", "-start_epmd", "-epmd_module", "-dist_listen"];
/// Those of distribution over TLS.
const OF_TLS: [&str; 3] = ["-proto_dist", "-ssl_dist_optfile", "-ssl_dist_opt"];
/// Settings of the kernel that give way.
const PLACES: [&str; 3] = ["inet_dist_listen_min", "inet_dist_listen_max", "inet_dist_use_interface"];
const NAMES: [&str; 2] = ["-name", "-sname"];

/// The lines that stay, of a text that has a flag or several in a line. `node` takes the place of a name that it says.
pub fn kept(text: &str, is_tls: bool, node: Option<&str>) -> Vec<String> {
    text.lines().filter_map(|line| of_line(line, is_tls, node)).collect()
}

/// None where nothing of it is left. A line that has nothing to give way is not touched.
fn of_line(line: &str, is_tls: bool, node: Option<&str>) -> Option<String> {
    if line.trim_start().starts_with('#') {
        return Some(line.to_owned());
    }
    let groups = groups(line);
    let kept: Vec<_> = groups.iter().filter_map(|group| of_group(group, is_tls, node)).collect();
    if kept == groups {
        return Some(line.to_owned());
    }
    let words: Vec<_> = kept.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The words of a line, each flag with what belongs to it.
fn groups(line: &str) -> Vec<Vec<&str>> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for word in line.split_whitespace() {
        match groups.last_mut() {
            // A number below zero is no flag.
            Some(group) if !is_flag(word) => group.push(word),
            _ => groups.push(vec![word]),
        }
    }
    groups
}

fn is_flag(word: &str) -> bool {
    word.starts_with(['-', '+']) && !word[1..].starts_with(|c: char| c.is_ascii_digit())
}

fn of_group<'a>(group: &[&'a str], is_tls: bool, node: Option<&'a str>) -> Option<Vec<&'a str>> {
    let (flag, rest) = group.split_first()?;
    if WAYS.contains(flag) || is_tls && OF_TLS.contains(flag) {
        return None;
    }
    if let (true, Some(node)) = (NAMES.contains(flag), node) {
        return Some(vec!["-name", node]);
    }
    if *flag != "-kernel" || !rest.iter().any(|word| PLACES.contains(word)) {
        return Some(group.to_vec());
    }
    let pairs: Vec<_> = rest.chunks(2).filter(|pair| !PLACES.contains(&pair[0])).flatten().copied().collect();
    (!pairs.is_empty()).then(|| std::iter::once(*flag).chain(pairs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_once_gives_way_and_nothing_else() {
        let table = [
            ("-start_epmd false -erl_epmd_port 6789", false, ""),
            ("-start_epmd false -erl_epmd_port 6789 -dist_listen false", false, ""),
            ("# -erl_epmd_port 1", false, "# -erl_epmd_port 1"),
            ("+K true  -setcookie x", false, "+K true"),
            ("+P 1  +Q \"a  b\"", false, "+P 1  +Q \"a  b\""),
            ("-kernel inet_dist_listen_min 9200 inet_dist_listen_max 9299", false, ""),
            (
                "-kernel net_ticktime 9 inet_dist_listen_min 1 logger_level info",
                false,
                "-kernel net_ticktime 9 logger_level info",
            ),
            ("-proto_dist inet_tls", false, "-proto_dist inet_tls"),
            ("-proto_dist inet_tls\n-ssl_dist_opt server_certfile x client_certfile y", true, ""),
            ("-sname x +zdbbl 4", false, "-name a@b +zdbbl 4"),
            ("-app level -1", false, "-app level -1"),
        ];
        for (text, is_tls, expected) in table {
            assert_eq!(kept(text, is_tls, Some("a@b")).join("\n"), expected, "{text}");
        }
        assert_eq!(kept("-sname x", false, None), ["-sname x"]);
    }
}
