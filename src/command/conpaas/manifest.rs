//! What a manifest of ConPaaS is as one of ours.

use super::file::{File, Said};
use lace_model::Name;
use lace_release::name_from;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Most signs of a name before its number: both are a name.
const STEM_CHARS_MAX: usize = 30;

/// A manifest of ours, and what it cannot say.
#[derive(Debug)]
pub struct Converted {
    /// The manifest.
    pub text: String,
    /// The services in the order of the file, by the names that they have here.
    pub services: Vec<(Name, Said)>,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

/// Where a service's code lies, from the manifest's place.
pub fn code_path(service: &Name) -> String {
    format!("code-{service}")
}

/// Converts a file; `unnamed` is the application where it names none.
pub fn of(file: File, unnamed: &str) -> Converted {
    let mut notes = file.notes;
    let application = file.application.unwrap_or_else(|| {
        notes.push(format!("the file names no application; it is {} here", name_from(unnamed)));
        unnamed.to_owned()
    });
    let mut taken = BTreeSet::new();
    let mut services = Vec::new();
    for said in file.services {
        let name = free(&name_from(&said.name), &mut taken);
        if name.as_str() != said.name {
            notes.push(format!("service {:?} is {name} here", said.name));
        }
        services.push((name, said));
    }
    let app = name_from(&application);
    if app.as_str() != application && application != unnamed {
        notes.push(format!("application {application:?} is {app} here"));
    }
    let tables = services.iter().map(|(name, said)| (name.to_string(), Value::Table(table(name, said))));
    let whole = Table::from_iter([
        pair("application", Table::from_iter([pair("name", app.as_str())])),
        pair("service", tables.collect::<Table>()),
    ]);
    Converted { text: whole.to_string(), services, notes }
}

/// Services of ConPaaS may share a name: the second has a number.
fn free(name: &Name, taken: &mut BTreeSet<Name>) -> Name {
    let numbered = (2..)
        .map(|n| name_from(&format!("{}-{n}", &name.as_str()[..name.as_str().len().min(STEM_CHARS_MAX)])));
    let name = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
    let name = name.unwrap_or_else(|| unreachable!("there are more numbers than services"));
    taken.insert(name.clone());
    name
}

fn table(name: &Name, said: &Said) -> Table {
    let mut service = Table::from_iter([pair("package", said.package)]);
    if said.archive.is_some() {
        let release = [pair("path", code_path(name)), pair("name", name.as_str()), pair("kind", "generic")];
        service.extend([pair("release", Table::from_iter(release))]);
    }
    let pools = said.cloud.as_deref().map(|cloud| vec![Value::from(name_from(cloud).as_str())]);
    let mut families = Table::new();
    for (role, count) in &said.counts {
        families.insert(role.clone(), Value::Table(Table::from_iter([pair("count", i64::from(*count))])));
    }
    if let Some(pools) = pools {
        // Nodes of all roles, whether the file counts them or not.
        for role in super::kinds::find(said.package).map_or(&[][..], |kind| kind.roles) {
            let family = families.entry(*role).or_insert_with(|| Value::Table(Table::new()));
            family.as_table_mut().into_iter().for_each(|family| {
                family.insert("pools".into(), pools.clone().into());
            });
        }
    }
    if !families.is_empty() {
        service.extend([pair("family", families)]);
    }
    service
}

fn pair(key: &str, value: impl Into<Value>) -> (String, Value) {
    (key.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::super::file::read;
    use super::*;

    const FILE: &str = r#"{
      "Description": "two kinds of work",
      "Application": "New full application",
      "Services": [
        { "Type": "generic", "ServiceName": "Meaningful Generic service name", "Cloud": "default", "Start": 0,
          "Archive": "http://mywebsite.com/archive.tar.gz", "StartupInstances": { "master": "1", "node": "3" } },
        { "Type": "generic", "Cloud": "EC2 Ireland" },
        { "Type": "generic" }
      ]
    }"#;

    #[test]
    fn what_becomes_of_a_file_is_as_expected() {
        let converted = of(read(FILE).expect("good"), "file");
        lace_model::manifest::parse(&converted.text, &Default::default()).expect("a manifest of ours");
        let all = format!("{}\n# {}\n", converted.text, converted.notes.join("\n# "));
        insta::assert_snapshot!(all, @r#"
        [application]
        name = "new-full-application"

        [service.generic]
        package = "generic"

        [service.generic.family.master]
        pools = ["ec2-ireland"]

        [service.generic.family.node]
        pools = ["ec2-ireland"]

        [service.generic-2]
        package = "generic"

        [service.meaningful-generic-service-name]
        package = "generic"

        [service.meaningful-generic-service-name.family.master]
        count = 1

        [service.meaningful-generic-service-name.family.node]
        count = 3

        [service.meaningful-generic-service-name.release]
        kind = "generic"
        name = "meaningful-generic-service-name"
        path = "code-meaningful-generic-service-name"

        # service "Meaningful Generic service name" is meaningful-generic-service-name here
        # service "generic" is generic-2 here
        # application "New full application" is new-full-application here
        "#);
    }

    #[test]
    fn names_are_free_and_fit() {
        let long = "a".repeat(200);
        let service = format!(r#"{{"Type": "generic", "ServiceName": "{long}"}}"#);
        let text =
            format!(r#"{{"Services": [{service}, {service}, {{"Type": "generic", "ServiceName": "☃"}}]}}"#);
        let converted = of(read(&text).expect("good"), "Media Wiki");
        lace_model::manifest::parse(&converted.text, &Default::default()).expect("a manifest of ours");
        assert_eq!(converted.services.len(), 3);
        assert!(converted.services[1].0.as_str().ends_with("-2"));
        assert_eq!(converted.services[2].0.as_str(), "app");
        assert!(converted.text.contains("media-wiki"));
    }
}
