//! The eleven service types of ConPaaS: what a manifest may say of each, and what there is for it here.

/// Keys of every service.
pub const COMMON: [&str; 6] = ["Type", "ServiceName", "Cloud", "Start", "StartupScript", "StartupInstances"];

/// A service type.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// As `Type` says it.
    pub name: &'static str,
    /// The roles that `StartupInstances` may count.
    pub roles: &'static [&'static str],
    /// Keys beside [`COMMON`].
    pub keys: &'static [&'static str],
    /// Our package that does the same; or what to do, for there is none yet.
    pub package: Result<&'static str, &'static str>,
}

const fn none(
    name: &'static str,
    roles: &'static [&'static str],
    keys: &'static [&'static str],
    instead: &'static str,
) -> Kind {
    Kind { name, roles, keys, package: Err(instead) }
}

/// All of them (ConPaaS, "Manifests", and the importer of its director).
pub const KINDS: [Kind; 11] = [
    Kind {
        name: "generic",
        roles: &["master", "node"],
        keys: &["Archive", "StartRole"],
        package: Ok("generic"),
    },
    none(
        "php",
        &["proxy", "web", "backend"],
        &["Archive"],
        "a site without PHP: package web-static; else bring PHP as a generic service",
    ),
    none("java", &["proxy", "web", "backend"], &["Archive"], "bring its server as a generic service"),
    none("mysql", &["mysql", "glb"], &["Dump", "Password"], "bring it as a generic service with a volume"),
    none(
        "xtreemfs",
        &["osd"],
        &["VolumeStartup"],
        "storage of a node: volumes of a service (lace volume --help)",
    ),
    none(
        "scalaris",
        &["scalaris"],
        &["Archive"],
        "values by keys: package redis, for programs that speak its protocol",
    ),
    none("hadoop", &["workers"], &[], "bring it as a generic service: master and nodes"),
    none("selenium", &["node"], &[], "bring it as a generic service: master and nodes"),
    none("taskfarm", &["node"], &[], "commands that end: lace run"),
    none("htc", &[], &["ManifestStatus"], "commands that end: lace run"),
    none("flink", &["master", "worker"], &[], "bring it as a generic service: master and nodes"),
];

/// The type of a name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
