//! A manifest of ConPaaS as it is written: JSON of an application and its services.
//!
//! ConPaaS passed over keys that it did not know and failed in the middle of what it made. Here the whole file is read first,
//! and every mistake is told with its path.

use super::kinds::{self, COMMON, KINDS, Kind};
use lace_model::manifest::nearest;
use serde_json::{Map, Value};

/// Largest file, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Most services of a file.
const SERVICES_MAX: usize = 200;
/// Most nodes of a role.
const NODES_MAX: u32 = 10_000;
/// Keys of the file as a whole.
const KEYS: [&str; 3] = ["Application", "Description", "Services"];
/// The cloud that means any.
const ANY_CLOUD: &str = "default";

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The application, where it is named.
    pub application: Option<String>,
    /// Its services, in the order of the file.
    pub services: Vec<Said>,
    /// What means nothing here.
    pub notes: Vec<String>,
}

/// A service whose type has a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// The package.
    pub package: &'static str,
    /// Its name for people; the type where it has none.
    pub name: String,
    /// A cloud that is not just any.
    pub cloud: Option<String>,
    /// Shall it run?
    pub starts: bool,
    /// Where the script of its nodes' first start is.
    pub startup: Option<String>,
    /// Where its code is.
    pub archive: Option<String>,
    /// How many nodes of which role.
    pub counts: Vec<(String, u32)>,
}

/// Reads a file.
///
/// # Errors
/// All mistakes, each with the path of what it is about.
pub fn read(text: &str) -> Result<File, Vec<String>> {
    if text.len() > BYTES_MAX {
        return Err(vec![format!("{} bytes; at most {BYTES_MAX} are read", text.len())]);
    }
    let value: Value = serde_json::from_str(text).map_err(|e| vec![format!("it is not JSON: {e}")])?;
    let mut reader = Reader::default();
    reader.file(&value);
    if reader.wrong.is_empty() { Ok(reader.file) } else { Err(reader.wrong) }
}

#[derive(Default)]
struct Reader {
    file: File,
    wrong: Vec<String>,
}

impl Reader {
    fn wrong(&mut self, path: &str, why: impl std::fmt::Display) {
        self.wrong.push(format!("{path}: {why}"));
    }

    fn file(&mut self, value: &Value) {
        let Some(table) = value.as_object() else {
            return self.wrong.push(
                "it is no manifest of ConPaaS: { \"Application\": ..., \"Services\": [...] } is wanted"
                    .into(),
            );
        };
        self.unknown("", table, &KEYS, &[]);
        self.file.application = self.text("", table, "Application");
        self.text("", table, "Description");
        let services = match table.get("Services") {
            Some(Value::Array(services)) if !services.is_empty() => services,
            _ => return self.wrong("Services", "a list of services is wanted"),
        };
        if services.len() > SERVICES_MAX {
            return self.wrong("Services", format!("{} services; at most {SERVICES_MAX}", services.len()));
        }
        for (index, service) in services.iter().enumerate() {
            let said = self.service(&format!("Services[{index}]"), service);
            self.file.services.extend(said);
        }
    }

    fn service(&mut self, at: &str, value: &Value) -> Option<Said> {
        let Some(table) = value.as_object() else {
            self.wrong(at, "a service is wanted: { \"Type\": ... }");
            return None;
        };
        let kind = self.kind(at, table)?;
        self.unknown(at, table, &COMMON, kind.keys);
        let cloud = self.text(at, table, "Cloud").filter(|cloud| cloud != ANY_CLOUD);
        let said = Said {
            package: kind.package.unwrap_or_default(),
            name: self.text(at, table, "ServiceName").unwrap_or_else(|| kind.name.to_owned()),
            cloud,
            starts: self.starts(at, table),
            startup: self.address(at, table, "StartupScript"),
            archive: self.address(at, table, "Archive"),
            counts: self.counts(at, table, kind),
        };
        if self.text(at, table, "StartRole").is_some() {
            self.file.notes.push(format!("{at}.StartRole means nothing here: nodes of all roles start"));
        }
        match kind.package {
            Ok(_) => Some(said),
            Err(instead) => {
                self.wrong(
                    &format!("{at}.Type"),
                    format!("there is no package for {:?} yet ({instead})", kind.name),
                );
                None
            }
        }
    }

    fn kind(&mut self, at: &str, table: &Map<String, Value>) -> Option<&'static Kind> {
        let path = format!("{at}.Type");
        let Some(name) = self.text(at, table, "Type") else {
            if !table.contains_key("Type") {
                self.wrong(&path, "it is missing");
            }
            return None;
        };
        let kind = kinds::find(&name);
        if kind.is_none() {
            let hint = nearest(&name, KINDS.iter().map(|kind| kind.name));
            self.wrong(&path, format!("{name:?} is no service type of ConPaaS ({hint})"));
        }
        kind
    }

    fn unknown(&mut self, at: &str, table: &Map<String, Value>, common: &[&str], own: &[&str]) {
        let known: Vec<&str> = common.iter().chain(own).copied().collect();
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = nearest(key, known.iter().copied());
            self.wrong(&joined(at, key), format!("unknown key ({hint})"));
        }
    }

    /// A text that is not empty: the front end writes empty ones for what nobody said.
    fn text(&mut self, at: &str, table: &Map<String, Value>, key: &str) -> Option<String> {
        match table.get(key) {
            None => None,
            Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Some(_) => {
                self.wrong(&joined(at, key), "a text is wanted");
                None
            }
        }
    }

    fn address(&mut self, at: &str, table: &Map<String, Value>, key: &str) -> Option<String> {
        let text = self.text(at, table, key)?;
        if !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
            self.wrong(&joined(at, key), "an address that begins with http:// or https:// is wanted");
        }
        Some(text)
    }

    /// 0 or 1. Without the key it starts, as with ConPaaS 2; ConPaaS 1 did not start it.
    fn starts(&mut self, at: &str, table: &Map<String, Value>) -> bool {
        let number = |value: &Value| match value {
            Value::Bool(flag) => Some(u32::from(*flag)),
            other => whole(other),
        };
        match table.get("Start").map(number) {
            None | Some(Some(1)) => true,
            Some(Some(0)) => false,
            _ => {
                self.wrong(&joined(at, "Start"), "0 or 1 is wanted");
                true
            }
        }
    }

    fn counts(&mut self, at: &str, table: &Map<String, Value>, kind: &Kind) -> Vec<(String, u32)> {
        let path = joined(at, "StartupInstances");
        let roles = match table.get("StartupInstances") {
            None => return Vec::new(),
            Some(Value::Object(roles)) => roles,
            Some(_) => {
                self.wrong(&path, "roles and how many nodes of each are wanted: { \"node\": \"2\" }");
                return Vec::new();
            }
        };
        let mut counts = Vec::new();
        for (role, value) in roles {
            let path = joined(&path, role);
            match whole(value) {
                _ if !kind.roles.contains(&role.as_str()) => {
                    let hint = nearest(role, kind.roles.iter().copied());
                    self.wrong(&path, format!("unknown role ({hint})"));
                }
                Some(count) if count > NODES_MAX => self.wrong(&path, format!("at most {NODES_MAX} nodes")),
                Some(count) if role == "master" && count != 1 => {
                    self.wrong(&path, "there is always one master")
                }
                Some(count) => counts.push((role.clone(), count)),
                None => self.wrong(&path, "a whole number is wanted"),
            }
        }
        counts
    }
}

/// ConPaaS wrote numbers as text.
fn whole(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_u64().and_then(|n| n.try_into().ok()),
    }
}

fn joined(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(service: &str) -> Result<File, Vec<String>> {
        read(&format!("{{\"Application\": \"x\", \"Services\": [{service}]}}"))
    }

    #[test]
    fn a_generic_service_is_read_whole() {
        let file = one(
            r#"{"Type": "generic", "ServiceName": "My work", "Cloud": "ec2", "Start": 0, "Archive": "http://x/y.zip",
                "StartupScript": "https://x/s.sh", "StartRole": "*", "StartupInstances": {"master": "1", "node": 3}}"#,
        )
        .expect("good");
        let said = &file.services[0];
        assert_eq!(
            (said.package, said.name.as_str(), said.cloud.as_deref()),
            ("generic", "My work", Some("ec2"))
        );
        assert_eq!((said.starts, said.archive.as_deref()), (false, Some("http://x/y.zip")));
        assert_eq!(said.startup.as_deref(), Some("https://x/s.sh"));
        assert_eq!(said.counts, [("master".to_owned(), 1), ("node".to_owned(), 3)]);
        assert!(file.notes[0].contains("Services[0].StartRole"));
        let usual =
            one(r#"{"Type": "generic", "Cloud": "default", "Archive": "", "Start": "1"}"#).expect("good");
        let usual = &usual.services[0];
        assert!(usual.starts && usual.cloud.is_none() && usual.archive.is_none());
        assert_eq!(usual.name, "generic");
    }

    #[test]
    fn every_type_is_known_by_name_and_what_has_no_package_is_told_at_once() {
        let all: Vec<String> = KINDS.iter().map(|kind| format!("{{\"Type\": {:?}}}", kind.name)).collect();
        let wrong = one(&all.join(",")).expect_err("most have none");
        assert_eq!(wrong.len(), KINDS.len() - 1, "{wrong:?}");
        for (index, kind) in KINDS.iter().enumerate().skip(1) {
            let begins = format!("Services[{index}].Type: there is no package for {:?} yet (", kind.name);
            assert!(wrong.iter().any(|text| text.starts_with(&begins)), "{begins}: {wrong:?}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_path() {
        let check = |service: &str, expected: &[&str]| {
            let wrong = one(service).expect_err(service);
            assert_eq!(wrong.len(), expected.len(), "{service}: {wrong:?}");
            for (text, part) in wrong.iter().zip(expected) {
                assert!(text.starts_with(part), "{service}: {part}: {wrong:?}");
            }
        };
        check("3", &["Services[0]: a service"]);
        check("{}", &["Services[0].Type: it is missing"]);
        check(r#"{"Type": 3}"#, &["Services[0].Type: a text"]);
        check(
            r#"{"Type": "genric"}"#,
            &["Services[0].Type: \"genric\" is no service type of ConPaaS (did you mean \"generic\"?)"],
        );
        check(
            r#"{"Type": "generic", "Archve": "http://x"}"#,
            &["Services[0].Archve: unknown key (did you mean \"Archive\"?)"],
        );
        check(r#"{"Type": "generic", "Archive": "/tmp/x"}"#, &["Services[0].Archive: an address"]);
        check(r#"{"Type": "generic", "Start": 2}"#, &["Services[0].Start: 0 or 1"]);
        check(
            r#"{"Type": "generic", "StartupInstances": {"master": 2, "node": "many", "worker": 1, "n": -1}}"#,
            &[
                "Services[0].StartupInstances.master: there is always one",
                "Services[0].StartupInstances.n: unknown role",
                "Services[0].StartupInstances.node: a whole number",
                "Services[0].StartupInstances.worker: unknown role",
            ],
        );
        check(r#"{"Type": "generic", "StartupInstances": [1]}"#, &["Services[0].StartupInstances: roles"]);
        check(
            r#"{"Type": "mysql", "Passwort": "x"}, {"Type": "php"}"#,
            &[
                "Services[0].Passwort: unknown key",
                "Services[0].Type: there is no package",
                "Services[1].Type",
            ],
        );
        for (text, part) in [
            ("", "it is not JSON"),
            ("[]", "it is no manifest"),
            ("{}", "Services: a list"),
            (r#"{"Services": []}"#, "Services: a list"),
            (r#"{"Services": [], "Aplication": "x"}"#, "Aplication: unknown key"),
        ] {
            let wrong = read(text).expect_err(text);
            assert!(wrong[0].starts_with(part), "{text}: {wrong:?}");
        }
        assert!(read(&format!("\"{}\"", "x".repeat(BYTES_MAX))).is_err());
        assert!(read(&"[".repeat(100_000)).is_err(), "depth has a bound");
    }
}
