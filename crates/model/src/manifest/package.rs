//! What a service says of its package, with its places: compared with the package once that is known.

use super::mistake::{Mistakes, nearest};
use super::tree::Node;
use super::{Mistake, Place, keys};
use crate::package::{Package, PackageRef, ReleaseWish};
use crate::{Name, ServiceName};

/// What one service says of its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSaid {
    /// The service.
    pub service: ServiceName,
    /// The package that it names.
    pub package: PackageRef,
    /// Where it names it.
    pub place: Place,
    settings: Vec<Setting>,
    families: Vec<Family>,
    /// Where it names a release.
    release: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    name: String,
    name_place: Place,
    /// None where a variable has no value here.
    value: Option<String>,
    value_place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Family {
    /// None for what stands in the service itself.
    name: Option<Name>,
    place: Place,
    count: Option<(u32, Place)>,
}

/// What the service says; nothing where it has no package.
pub(super) fn said(service: &ServiceName, node: &Node) -> Option<PackageSaid> {
    let named = node.get("package")?;
    let count = |node: &Node| Some((node.u32_of("count")?, node.get("count")?.place));
    let sized = keys::sizing_keys().find_map(|key| node.get(key));
    let own = sized.map(|sized| Family { name: None, place: sized.place, count: count(node) });
    let families = node.each("family").filter_map(|(key, family)| {
        let name = Some(Name::new(key.name.clone()).ok()?);
        Some(Family { name, place: key.place, count: count(family) })
    });
    let settings = node.each("settings").map(|(key, value)| Setting {
        name: key.name.clone(),
        name_place: key.place,
        value: value.scalar(),
        value_place: value.place,
    });
    Some(PackageSaid {
        service: service.clone(),
        package: PackageRef::of(named.text()?)?,
        place: named.place,
        settings: settings.collect(),
        families: families.chain(own).collect(),
        release: node.get("release").map(|release| release.place),
    })
}

/// A package and a command of one's own say the same thing twice.
pub(super) fn check(service: &str, node: &Node, mistakes: &mut Mistakes) {
    if let (Some(_), Some(said)) = (node.get("package"), node.get("command")) {
        let hint = "leave one of them out: the package says what runs";
        mistakes.hint(said.place, &format!("service.{service}.command"), "the service has a package", hint);
    }
}

impl PackageSaid {
    /// Everything in which the service does not fit its package: settings, families, a release.
    pub fn mistakes(&self, package: &Package) -> Vec<Mistake> {
        let mut mistakes = Mistakes::default();
        self.of_settings(package, &mut mistakes);
        self.families.iter().for_each(|family| self.of_family(family, package, &mut mistakes));
        let path = format!("service.{}.release", self.service);
        match (package.release, self.release) {
            (ReleaseWish::None, Some(place)) => {
                mistakes.hint(
                    place,
                    &path,
                    format!("package {} takes no release", package.name),
                    "leave it out",
                );
            }
            (ReleaseWish::Required, None) => {
                let message = format!("package {} is nothing without a release", package.name);
                mistakes.hint(self.place, &path, message, r#"write release = { path = "." }"#);
            }
            _ => {}
        }
        mistakes.into_sorted()
    }

    fn of_settings(&self, package: &Package, mistakes: &mut Mistakes) {
        let known = || package.settings.keys().map(String::as_str);
        for said in &self.settings {
            let path = format!("service.{}.settings.{}", self.service, said.name);
            match (package.settings.get(&said.name), &said.value) {
                (None, _) => {
                    let message = format!("package {} has no such setting", package.name);
                    mistakes.hint(said.name_place, &path, message, nearest(&said.name, known()));
                }
                (Some(setting), Some(text)) => {
                    if let Err(message) = setting.value(text) {
                        mistakes.hint(
                            said.value_place,
                            &path,
                            message,
                            format!("wanted: {}", setting.wanted()),
                        );
                    }
                }
                (Some(_), None) => {}
            }
        }
        let is_said = |name: &str| self.settings.iter().any(|said| said.name == name);
        for (name, setting) in package.settings.iter().filter(|(_, setting)| setting.default.is_none()) {
            if !is_said(name) {
                let path = format!("service.{}.settings.{name}", self.service);
                let hint = format!("write settings = {{ {name} = ... }} ({})", setting.wanted());
                mistakes.hint(self.place, &path, "the setting has no value", hint);
            }
        }
    }

    fn of_family(&self, family: &Family, package: &Package, mistakes: &mut Mistakes) {
        let known = || package.roles.keys().map(Name::as_str);
        let only = package.roles.keys().next().filter(|_| package.roles.len() == 1);
        let name = family.name.as_ref().or(only);
        let Some(name) = name else {
            let path = format!("service.{}", self.service);
            let hint = format!("write it under [service.{}.family.ROLE]: {}", self.service, list(known()));
            let message = format!("package {} has several roles", package.name);
            return mistakes.hint(family.place, &path, message, hint);
        };
        let path = format!("service.{}.family.{name}", self.service);
        let Some(role) = package.roles.get(name) else {
            let message = format!("package {} has no such role", package.name);
            return mistakes.hint(family.place, &path, message, nearest(name.as_str(), known()));
        };
        if let Some((count, place)) = family.count.filter(|(n, _)| *n < role.min || *n > role.max) {
            let message = format!("{count} nodes: the role has {}", role.bounds());
            mistakes.add(place, &format!("{path}.count"), message);
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
