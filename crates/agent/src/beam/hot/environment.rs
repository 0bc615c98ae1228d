//! The applications of a runtime with their settings, before and after.

use super::config::{Settings, canonical};
use super::parcel::Parcel;
use lace_beam::{Call, Link, Term};
use std::collections::BTreeMap;

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
            let Some(name) = name.as_atom() else { continue };
            found.versions.insert(name.to_owned(), version.as_text().unwrap_or_default());
            let env = asked(Call::new("application", "get_all_env", vec![Term::atom(name)])).await?;
            for pair in env.as_list().unwrap_or_default() {
                if let Some([key, value]) = pair.as_tuple()
                    && let Some(key) = key.as_atom()
                {
                    found.settings.insert((name.to_owned(), key.to_owned()), canonical(value));
                }
            }
        }
        Ok(found)
    }
}

impl Environment {
    /// Gives the runtime again what applications had set for themselves while they ran: the release handler drops all that
    /// no configuration says. What changed since is left alone.
    pub async fn restore(&self, link: &Link, parcel: &Parcel) -> Result<(), String> {
        let now = Self::of(link).await?;
        let is_lost = |key: &&(String, String)| {
            !now.settings.contains_key(*key)
                && !parcel.former.contains_key(*key)
                && self.versions.get(&key.0) == now.versions.get(&key.0)
        };
        for key in self.settings.keys().filter(is_lost) {
            let words = [Term::atom(&key.0), Term::atom(&key.1), self.settings[key].clone()];
            let call = Call::new("application", "set_env", words.into());
            link.call(call).await.map_err(|e| format!("{} {} cannot be kept: {e}", key.0, key.1))?;
        }
        Ok(())
    }

    /// What of a configuration it has as that says: only that can be asked for again.
    pub fn kept_of(&self, said: &Settings) -> Settings {
        let is_kept = |(key, value): &(&(String, String), &Term)| self.settings.get(*key) == Some(*value);
        said.iter().filter(is_kept).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Is everything there that a configuration says, `new` for what is installed now, and did nothing else change?
///
/// # Errors
/// Names the settings that are in doubt. A change is explained by a configuration, old or new, that names the setting,
/// and by another version of its application.
pub fn compare(
    (before, after): (&Environment, &Environment),
    new: &Settings,
    old: &Settings,
) -> Result<(), String> {
    let mut doubts = Vec::new();
    for (key, value) in new {
        if after.versions.contains_key(&key.0) && after.settings.get(key) != Some(value) {
            doubts.push(format!("{} {} is not as its sys.config says", key.0, key.1));
        }
    }
    let all =
        before.settings.keys().chain(after.settings.keys().filter(|k| !before.settings.contains_key(*k)));
    for key in all {
        let is_explained = new.contains_key(key)
            || old.contains_key(key)
            || before.versions.get(&key.0) != after.versions.get(&key.0);
        if before.settings.get(key) != after.settings.get(key) && !is_explained {
            let how = if after.settings.contains_key(key) { "changed" } else { "is gone" };
            doubts.push(format!("{} {} {how}, and no sys.config says so", key.0, key.1));
        }
    }
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
        let after = environment(after.0, after.1);
        let found = compare((&before, &after), &settings(new), &settings(&[("game", "b", 1)]));
        match (&found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn what_no_configuration_explains_is_a_doubt() {
        let (tick, a) = (("kernel", "tick", 8), ("game", "a", 1));
        check(("1", &[tick, a, ("game", "b", 1)]), &[], Ok(()));
        check(("1", &[tick, a]), &[], Ok(()));
        check(("1", &[tick, ("game", "a", 2)]), &[("game", "a", 2)], Ok(()));
        check(("2", &[tick]), &[], Ok(()));
        check(("1", &[tick]), &[], Err("game a is gone"));
        check(("2", &[a]), &[], Err("kernel tick is gone"));
        check(("2", &[tick, a]), &[("game", "c", 1)], Err("game c is not as its sys.config says"));
        check(("1", &[tick, a, ("game", "new", 1)]), &[], Err("game new changed"));
    }
}
