//! The configuration of a release as a runtime has it: its sys.config, and over it what is added to every node.
//!
//! The release handler reads the sys.config of the new release alone, and takes one that cannot be read for an empty one:
//! every setting would be gone without a word. So it is rendered, and read here first.

use lace_beam::Term;
use lace_beam::term::parse::parse_all;
use lace_beam::term::print::print;
use std::collections::BTreeMap;

/// Settings by application and name.
pub type Settings = BTreeMap<(String, String), Term>;

/// One sys.config out of the release's text and the node's own file.
pub fn merged(text: &str, own: &str) -> Result<String, String> {
    let Term::List(mut sections) = read("sys.config", text)? else { return Err(no_list("sys.config")) };
    let Term::List(ours) = read("beam.config", own)? else { return Err(no_list("beam.config")) };
    for section in ours {
        let Some((name, settings)) = named(&section) else { continue };
        let name = name.to_owned();
        let ours = settings.to_vec();
        match sections.iter_mut().find(|section| named(section).is_some_and(|(known, _)| known == name)) {
            Some(section) => *section = with(section, &name, ours),
            None => sections.push(Term::tuple([Term::atom(&name), Term::List(ours)])),
        }
    }
    Ok(format!("{}.\n", print(&Term::List(sections), None)))
}

fn with(section: &Term, name: &str, ours: Vec<Term>) -> Term {
    let key = |pair: &Term| pair.as_tuple().and_then(|pair| Some(pair.first()?.as_atom()?.to_owned()));
    let keys: Vec<_> = ours.iter().filter_map(key).collect();
    let theirs = named(section).map(|(_, settings)| settings.to_vec()).unwrap_or_default();
    let kept = theirs.into_iter().filter(|pair| key(pair).is_none_or(|key| !keys.contains(&key)));
    Term::tuple([Term::atom(name), Term::List(kept.chain(ours).collect())])
}

/// All settings of a configuration's text.
pub fn settings(text: &str) -> Result<Settings, String> {
    let mut found = Settings::new();
    let read = read("sys.config", text)?;
    for section in read.as_list().ok_or_else(|| no_list("sys.config"))? {
        let Some((app, settings)) = named(section) else { continue };
        for pair in settings {
            if let Some([key, value]) = pair.as_tuple()
                && let Some(key) = key.as_atom()
            {
                found.insert((app.to_owned(), key.to_owned()), canonical(value));
            }
        }
    }
    Ok(found)
}

/// What an application's `.app` file says in its `env`; nothing where it cannot be read.
pub fn own_settings(app: &str, text: &str) -> Settings {
    let read = parse_all(text).unwrap_or_default();
    let Some([_, _, parts]) = read.first().and_then(Term::as_tuple) else { return Settings::new() };
    let env = parts.as_list().unwrap_or_default().iter().find_map(|part| match part.as_tuple() {
        Some([key, value]) if key.as_atom() == Some("env") => value.as_list(),
        _ => None,
    });
    let pair = |pair: &Term| match pair.as_tuple() {
        Some([key, value]) => Some(((app.to_owned(), key.as_atom()?.to_owned()), canonical(value))),
        _ => None,
    };
    env.unwrap_or_default().iter().filter_map(pair).collect()
}

fn named(section: &Term) -> Option<(&str, &[Term])> {
    let [name, settings] = section.as_tuple()? else { return None };
    Some((name.as_atom()?, settings.as_list()?))
}

fn read(what: &str, text: &str) -> Result<Term, String> {
    let mut terms = parse_all(text).map_err(|error| format!("{what} of the release: {error}"))?;
    match terms.len() {
        1 => Ok(terms.remove(0)),
        others => Err(format!("{what} of the release holds {others} terms instead of one list")),
    }
}

fn no_list(what: &str) -> String {
    format!("{what} of the release is no list of applications")
}

/// The same value always in the same form: a map has no order.
pub fn canonical(term: &Term) -> Term {
    match term {
        Term::List(elements) => Term::List(elements.iter().map(canonical).collect()),
        Term::Tuple(elements) => Term::Tuple(elements.iter().map(canonical).collect()),
        Term::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().map(|(k, v)| (canonical(k), canonical(v))).collect();
            pairs.sort_by_cached_key(|(key, _)| print(key, None));
            Term::Map(pairs)
        }
        other => other.clone(),
    }
}

/// relx's way: `${NAME}` and `${NAME:-usual}` of the process's environment.
pub fn expanded(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, tail) = after.split_once('}').ok_or("sys.config.src: a ${ without its }")?;
        let (name, usual) = inside.split_once(":-").map_or((inside, ""), |(name, usual)| (name, usual));
        out.push_str(before);
        out.push_str(env.get(name).map_or(usual, String::as_str));
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_beam::term::parse::parse;

    fn term(text: &str) -> Term {
        parse(text, None).expect("a term")
    }

    #[test]
    fn what_lace_adds_is_in_the_new_configuration_and_the_rest_stays() {
        let theirs = "%% ours\n[{kernel,[{logger_level,notice},{permissions,[]}]},{game,[{a,#{x => 1}}]}].\n";
        let ours = "[{kernel,[{permissions,[{'ball',false}]},{sync_nodes_timeout,5}]}].";
        let made = settings(&merged(theirs, ours).unwrap()).unwrap();
        let get = |app: &str, key: &str| made.get(&(app.to_owned(), key.to_owned())).cloned();
        assert_eq!(get("kernel", "permissions"), Some(term("[{ball,false}]")));
        assert_eq!(get("kernel", "logger_level"), Some(term("notice")));
        assert_eq!(get("kernel", "sync_nodes_timeout"), Some(term("5")));
        assert_eq!(get("game", "a"), Some(term("#{x => 1}")));
        assert!(merged("[{a,[${X}]}].", ours).unwrap_err().starts_with("sys.config of the release"));
        assert!(merged("{a,[]}.", ours).unwrap_err().contains("no list"));
    }

    #[test]
    fn templates_of_relx_take_the_environment_or_what_is_usual() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expanded("x${A}y${B:-2}z${C}", &env).unwrap(), "x1y2z");
        assert!(expanded("${A", &env).is_err());
    }
}
