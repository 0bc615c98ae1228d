//! The applications of a runtime with their settings, before and after.

use super::config::{Settings, canonical};
use lace_beam::vm::Script;
use lace_beam::{Call, CallError, Link, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names that are told of settings in doubt.
const TOLD_MAX: usize = 5;

/// What runs, with what settings.
pub struct Environment {
    /// Versions of the loaded applications.
    pub versions: BTreeMap<String, String>,
    /// Their settings.
    pub settings: Settings,
}

impl Environment {
    /// Asks the runtime.
    pub async fn of(link: &Link) -> Result<Self, String> {
        let asked =
            |call: Call| async { link.call(call).await.map_err(|e| format!("application settings: {e}")) };
        let loaded = asked(Call::new("application", "loaded_applications", Vec::new())).await?;
        let mut found = Self { versions: BTreeMap::new(), settings: Settings::new() };
        for app in loaded.as_list().unwrap_or_default() {
            let [name, _, version] = app.as_tuple().unwrap_or_default() else { continue };
            let env = asked(Call::new("application", "get_all_env", vec![name.clone()])).await?;
            found.take(name, version, &env);
        }
        Ok(found)
    }

    fn take(&mut self, name: &Term, version: &Term, env: &Term) {
        let Some(name) = name.as_atom() else { return };
        self.versions.insert(name.to_owned(), version.as_text().unwrap_or_default());
        for pair in env.as_list().unwrap_or_default() {
            if let Some([key, value]) = pair.as_tuple()
                && let Some(key) = key.as_atom()
            {
                self.settings.insert((name.to_owned(), key.to_owned()), canonical(value));
            }
        }
    }
}

/// What was set before is noted in the runtime itself, for an agent that comes after this one, by a setting of this application:
/// none is called so, so that no release handler touches it, and it ends with the process that it is about.
const NOTE: [&str; 2] = ["lace_hot", "before"];

/// The runtime writes it down and gives it back: some values (functions) are good there alone.
const LEAVE: &str = "application:set_env(lace_hot, before, {Of, [{App, Vsn, application:get_all_env(App)}
    || {App, _, Vsn} <- application:loaded_applications()]}).";
const GIVE_BACK: &str = "{ok, {_, All}} = application:get_env(lace_hot, before),
    [application:set_env(App, Key, Value) || {App, _, Env} <- All, {Key, Value} <- Env, lists:member({App, Key}, Keys)], ok.";

/// For one of these.
const NOTE_WITHIN: Duration = Duration::from_secs(15);

impl Environment {
    /// Has the runtime note it; `of` is the release that has it.
    pub async fn leave(link: &Link, of: &str) -> Result<(), String> {
        evaluated(link, LEAVE, ("Of", Term::charlist(of))).await
    }

    /// What was noted by an agent that is gone, of a release.
    pub async fn left(link: &Link, of: &str) -> Result<Option<Self>, String> {
        let said = note(link, "get_env").await?;
        let noted = said.as_tuple().and_then(|said| said.get(1)).and_then(Term::as_tuple);
        let Some([release, apps]) = noted else { return Ok(None) };
        if release.as_text().as_deref() != Some(of) {
            return Ok(None);
        }
        let mut found = Self { versions: BTreeMap::new(), settings: Settings::new() };
        for app in apps.as_list().unwrap_or_default() {
            let [name, version, env] = app.as_tuple().unwrap_or_default() else { continue };
            found.take(name, version, env);
        }
        Ok(Some(found))
    }

    /// Forgets the note.
    pub async fn take_away(link: &Link) -> Result<(), String> {
        note(link, "unset_env").await.map(drop)
    }
}

async fn note(link: &Link, function: &str) -> Result<Term, String> {
    let call = Call::new("application", function, NOTE.map(Term::atom).into());
    link.call(call).await.map_err(|e| format!("the note of what was set before: {e}"))
}

async fn evaluated(link: &Link, source: &str, variable: (&str, Term)) -> Result<(), String> {
    let wrong = |e: CallError| format!("what was set before: {e}");
    let script = Script::prepare(link, source).await.map_err(wrong)?;
    script.run(link, &[variable], NOTE_WITHIN).await.map(drop).map_err(wrong)
}

/// What configurations and applications say of settings, on both sides of a change.
#[derive(Default)]
pub struct Said {
    /// The configuration of the release that is left.
    pub old: Settings,
    /// That of the one that is installed.
    pub new: Settings,
    /// What applications of the old release say themselves (`env` of their `.app` files).
    pub defaults: Settings,
    /// What is added to every node: as it is today, whatever was said when the release that is left began.
    pub ours: BTreeSet<Key>,
}

impl Environment {
    /// Gives the runtime again what nobody changed by a configuration: the release handler makes all settings anew out of
    /// `.app` files and sys.config, whatever was set while it ran.
    pub async fn restore(&self, link: &Link, said: &Said) -> Result<(), String> {
        let now = Self::of(link).await?;
        let lost = self.settings.iter().filter(|(key, value)| self.is_lost(&now, key, value, said));
        set(link, lost).await
    }

    /// Gives the runtime everything again that it had.
    pub async fn restore_all(&self, link: &Link) -> Result<(), String> {
        let now = Self::of(link).await?;
        let other = |(key, value): &(&Key, &Term)| {
            now.versions.contains_key(&key.0) && now.settings.get(*key) != Some(*value)
        };
        set(link, self.settings.iter().filter(other)).await
    }

    fn is_lost(&self, now: &Self, key: &Key, value: &Term, said: &Said) -> bool {
        let has = now.settings.get(key);
        let is_explained = said.old.get(key) != said.new.get(key) || said.ours.contains(key);
        if has == Some(value) || !now.versions.contains_key(&key.0) || is_explained {
            return false;
        }
        if said.new.contains_key(key) {
            return true;
        }
        // A default is the new version's to change; what somebody else set since is left alone, and looked at.
        let default = said.defaults.get(key);
        match has {
            None => self.versions.get(&key.0) == now.versions.get(&key.0) || default != Some(value),
            Some(has) => default == Some(has),
        }
    }

    /// Does it have what it had before, and nothing else?
    ///
    /// # Errors
    /// Names what differs.
    pub fn is_as(&self, before: &Self) -> Result<(), String> {
        let mut doubts = Vec::new();
        for (app, version) in &before.versions {
            match self.versions.get(app) {
                Some(has) if has == version => {}
                Some(has) => doubts.push(format!("{app} has version {has} instead of {version}")),
                None => doubts.push(format!("{app} is not loaded any more")),
            }
        }
        let keys = before.settings.keys().chain(self.settings.keys());
        let differs = |key: &&Key| before.settings.get(*key) != self.settings.get(*key);
        let names: std::collections::BTreeSet<_> = keys.filter(differs).collect();
        doubts.extend(names.into_iter().map(|(app, key)| format!("{app} {key} is not as it was")));
        told(doubts)
    }
}

/// Application and name.
pub type Key = (String, String);

/// Out of the note.
async fn set(link: &Link, settings: impl Iterator<Item = (&Key, &Term)>) -> Result<(), String> {
    let key = |((app, key), _): (&Key, &Term)| Term::tuple([Term::atom(app), Term::atom(key)]);
    let keys: Vec<_> = settings.map(key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    evaluated(link, GIVE_BACK, ("Keys", Term::List(keys))).await
}

/// The environment of the runtime's process.
pub async fn of_process(link: &Link) -> Result<BTreeMap<String, String>, String> {
    let asked = link.call(Call::new("os", "getenv", Vec::new())).await;
    let said = asked.map_err(|e| format!("its environment: {e}"))?;
    let pair = |line: &Term| {
        let line = line.as_text()?;
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Ok(said.as_list().unwrap_or_default().iter().filter_map(pair).collect())
}

/// Settings that the command line says: they count above every configuration (`application_controller`).
pub async fn of_command_line(link: &Link) -> Result<BTreeSet<Key>, String> {
    let asked = link.call(Call::new("init", "get_arguments", Vec::new())).await;
    let said = asked.map_err(|e| format!("its command line: {e}"))?;
    let mut found = BTreeSet::new();
    for flag in said.as_list().unwrap_or_default() {
        let [app, words] = flag.as_tuple().unwrap_or_default() else { continue };
        let (Some(app), Some(words)) = (app.as_atom(), words.as_list()) else { continue };
        let keys = words.iter().step_by(2).filter_map(Term::as_text);
        found.extend(keys.map(|key| (app.to_owned(), key)));
    }
    Ok(found)
}

/// Is everything there that the new configuration says, and did nothing else change?
///
/// # Errors
/// Names the settings that are in doubt. A change is explained by configurations that say different things of the setting,
/// by another version of its application, and by the command line (`above`), which no configuration outdoes.
pub fn compare(
    (before, after): (&Environment, &Environment),
    said: &Said,
    above: &BTreeSet<Key>,
) -> Result<(), String> {
    let mut doubts = Vec::new();
    for (key, value) in said.new.iter().filter(|(key, _)| !above.contains(*key)) {
        let has = after.settings.get(key);
        let is_kept = said.old.get(key) == Some(value) && has == before.settings.get(key);
        if after.versions.contains_key(&key.0) && has != Some(value) && !is_kept {
            doubts.push(format!("{} {} is not as its sys.config says", key.0, key.1));
        }
    }
    let all =
        before.settings.keys().chain(after.settings.keys().filter(|k| !before.settings.contains_key(*k)));
    for key in all {
        let is_explained = said.old.get(key) != said.new.get(key)
            || above.contains(key)
            || said.ours.contains(key)
            || before.versions.get(&key.0) != after.versions.get(&key.0);
        if before.settings.get(key) != after.settings.get(key) && !is_explained {
            let how = if after.settings.contains_key(key) { "changed" } else { "is gone" };
            doubts.push(format!("{} {} {how}, and no sys.config says so", key.0, key.1));
        }
    }
    told(doubts)
}

fn told(mut doubts: Vec<String>) -> Result<(), String> {
    if doubts.is_empty() {
        return Ok(());
    }
    let more = doubts.len().saturating_sub(TOLD_MAX);
    doubts.truncate(TOLD_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(format!("settings in doubt: {}{more}", doubts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str, i64)]) -> Settings {
        pairs.iter().map(|(app, key, n)| ((app.to_string(), key.to_string()), Term::Int(*n))).collect()
    }

    fn environment(version: &str, pairs: &[(&str, &str, i64)]) -> Environment {
        let versions = [("kernel", "8"), ("game", version)].map(|(a, v)| (a.to_owned(), v.to_owned()));
        Environment { versions: versions.into(), settings: settings(pairs) }
    }

    fn check(after: (&str, &[(&str, &str, i64)]), new: &[(&str, &str, i64)], expected: Result<(), &str>) {
        let before = environment("1", &[("kernel", "tick", 8), ("game", "a", 1), ("game", "b", 1)]);
        let said = Said { new: settings(new), old: settings(&[("game", "b", 1)]), ..Said::default() };
        let above = BTreeSet::from([("kernel".to_owned(), "port".to_owned())]);
        let found = compare((&before, &environment(after.0, after.1)), &said, &above);
        match (&found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn what_no_configuration_explains_is_a_doubt() {
        let (tick, a, b) = (("kernel", "tick", 8), ("game", "a", 1), ("game", "b", 1));
        check(("1", &[tick, a, b]), &[], Ok(()));
        check(("1", &[tick, a]), &[], Ok(()));
        check(("1", &[tick, ("game", "a", 2)]), &[("game", "a", 2)], Ok(()));
        check(("2", &[tick]), &[], Ok(()));
        check(("1", &[tick]), &[], Err("game a is gone"));
        check(("2", &[a]), &[], Err("kernel tick is gone"));
        check(("2", &[tick, a]), &[("game", "c", 1)], Err("game c is not as its sys.config says"));
        check(("1", &[tick, a, ("game", "new", 1)]), &[], Err("game new changed"));
        // Said the same by both: it has to stay.
        check(("1", &[tick, a, ("game", "b", 2)]), &[b], Err("game b"));
        // The command line counts above what a configuration says.
        check(("1", &[tick, a, b, ("kernel", "port", 1)]), &[b, ("kernel", "port", 2)], Ok(()));
    }

    #[test]
    fn what_was_set_while_it_ran_is_lost_and_a_default_is_not() {
        let said = Said {
            old: settings(&[("game", "step", 1), ("game", "mode", 1)]),
            new: settings(&[("game", "step", 1), ("game", "mode", 2)]),
            defaults: settings(&[("game", "d", 1), ("kernel", "k", 1)]),
            ..Said::default()
        };
        let lost = |version: &str, before: (&str, &str, i64), now: &[(&str, &str, i64)]| {
            let then = environment("1", &[before]);
            let (key, value) = then.settings.iter().next().expect("one");
            then.is_lost(&environment(version, now), key, value, &said)
        };
        // Another value than both configurations say.
        assert!(lost("2", ("game", "step", 5), &[("game", "step", 1)]));
        // What the configurations change is theirs.
        assert!(!lost("2", ("game", "mode", 5), &[("game", "mode", 2)]));
        // Set by the application itself, and no default of it.
        assert!(lost("2", ("game", "own", 5), &[]) && lost("1", ("game", "own", 5), &[]));
        assert!(!lost("2", ("game", "d", 1), &[]) && lost("1", ("game", "d", 1), &[]));
        assert!(lost("2", ("game", "d", 7), &[("game", "d", 1)]));
        assert!(lost("1", ("kernel", "k", 7), &[("kernel", "k", 1)]));
        // What somebody set since.
        assert!(!lost("1", ("kernel", "k", 7), &[("kernel", "k", 9)]));
    }

    #[test]
    fn what_went_back_is_as_it_was_in_all() {
        let before = environment("1", &[("game", "a", 1)]);
        assert_eq!(environment("1", &[("game", "a", 1)]).is_as(&before), Ok(()));
        let told = environment("2", &[("game", "a", 2), ("game", "b", 1)]).is_as(&before).unwrap_err();
        assert!(
            told.contains("game has version 2 instead of 1; game a is not as it was; game b is"),
            "{told}"
        );
    }
}
