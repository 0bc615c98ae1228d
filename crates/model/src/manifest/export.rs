//! From the model back to `lace.toml`. What [`super::parse`] reads from it is what was written.
//!
//! A service without families comes back with one, named after it: a manifest cannot say less.

use crate::application::{ApplicationSpec, FamilySpec, Overlap, ServiceSpec, TaskSpec};
use crate::beam::{Beam, BeamNames};
use crate::check::{Check, Probe};
use crate::revision::{FileSpec, VolumeSpec};
use crate::rollout::{RolloutPolicy, Share};
use crate::route::{RouteSpec, RouteTls};
use crate::scale::{IDLE_USUAL, ScalePolicy};
use crate::{AppName, Name, ServiceName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// Writes a manifest that makes the application again. Secrets are named, never shown.
pub fn to_toml(app: &AppName, spec: &ApplicationSpec) -> String {
    let mut doc = DocumentMut::new();
    let mut application = Table::new();
    application.insert("name", app.as_str().into());
    doc.insert("application", Item::Table(application));
    let mut services = table_of_tables();
    for (name, service) in &spec.services {
        services.insert(name.as_str(), Item::Table(service_table(name, service)));
    }
    if !services.is_empty() {
        doc.insert("service", Item::Table(services));
    }
    doc.to_string()
}

fn table_of_tables() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// Puts what is there under its key.
fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.into()));
    }
}

fn service_table(name: &ServiceName, service: &ServiceSpec) -> Table {
    let mut table = Table::new();
    what_runs(&mut table, service);
    families(&mut table, name, service);
    surroundings(&mut table, service);
    conduct(&mut table, service);
    if let Some(tasks) = &service.tasks {
        table.insert("task", Item::Table(task_tables(tasks)));
    }
    table
}

fn what_runs(table: &mut Table, service: &ServiceSpec) {
    let release = service.release.as_ref().map(|r| match &r.version {
        Some(version) => format!("{}@{version}", r.name),
        None => r.name.to_string(),
    });
    put(table, "package", service.package.as_ref().map(ToString::to_string));
    put(table, "settings", service.settings.as_ref().map(named));
    put(table, "links", service.links.as_ref().map(named));
    put(table, "release", release);
    put(table, "command", service.start.as_deref().map(words));
    put(table, "templates", service.templates.as_deref().map(words));
}

/// What each node finds around it.
fn surroundings(table: &mut Table, service: &ServiceSpec) {
    put(table, "env", service.env.as_ref().map(|env| inline(env.iter().map(|(k, v)| (k.as_str(), v)))));
    put(table, "secrets", service.secrets.as_deref().map(words));
    let files = service.files.as_ref();
    put(table, "files", files.map(|all| inline(all.iter().map(|(path, f)| (path.as_str(), file(f))))));
    put(table, "needs", service.needs.as_deref().map(shown));
    put(table, "firewall", service.firewall.as_deref().map(shown));
    put(table, "routes", service.routes.as_ref().map(|all| all.iter().map(door).collect::<Array>()));
    put(table, "volumes", service.volumes.as_ref().map(|all| all.iter().map(volume).collect::<Array>()));
}

/// How nodes come, live and go.
fn conduct(table: &mut Table, service: &ServiceSpec) {
    put(table, "isolation", service.isolation.map(|isolation| word(&isolation)));
    put(table, "beam", service.beam.as_ref().map(beam));
    put(table, "bootstrap", bootstrap(service));
    let before = service.before.as_ref();
    put(table, "before", before.map(|all| all.iter().map(|command| words(command)).collect::<Array>()));
    put(table, "check", service.check.as_ref().map(check));
    put(table, "live", service.live.as_ref().map(check));
    put(table, "stop", stop(service));
    put(table, "rollout", service.rollout.as_ref().map(rollout));
    put(table, "restart", service.restart.map(|b| inline([("backoff", format!("{}..{}", b.min, b.max))])));
    put(table, "state", service.state.map(|state| word(&state)));
}

fn rollout(rollout: &RolloutPolicy) -> InlineTable {
    let mut table = inline([
        ("strategy", word(&rollout.strategy)),
        ("max_unavailable", share(rollout.max_unavailable)),
        ("healthy_for", text(rollout.healthy_for)),
        ("deadline", text(rollout.deadline)),
        ("revert", rollout.revert.into()),
    ]);
    // A word about blue-green only, and it has a usual value.
    if rollout.keep != RolloutPolicy::default().keep {
        table.insert("keep", text(rollout.keep));
    }
    if let Some(most) = rollout.max_errors {
        table.insert("max_errors", share(most));
    }
    if !rollout.steps.is_empty() {
        table.insert("steps", rollout.steps.iter().map(|step| share(*step)).collect::<Array>().into());
    }
    if let Some(pause) = rollout.pause {
        table.insert("pause", text(pause));
    }
    table
}

fn share(share: Share) -> toml_edit::Value {
    match share {
        Share::Count(number) => whole(number),
        Share::Percent(_) => text(share),
    }
}

fn families(table: &mut Table, service: &Name, spec: &ServiceSpec) {
    if let (1, Some(only)) = (spec.families.len(), spec.families.get(service)) {
        return sizing(table, only);
    }
    let mut families = table_of_tables();
    for (name, family) in &spec.families {
        let mut inner = Table::new();
        sizing(&mut inner, family);
        families.insert(name.as_str(), Item::Table(inner));
    }
    if !families.is_empty() {
        table.insert("family", Item::Table(families));
    }
}

fn sizing(table: &mut Table, family: &FamilySpec) {
    put(table, "count", family.count.map(whole));
    put(table, "cpu", family.cpu.map(|cpu| f64::from(cpu.0) / 1000.0));
    put(table, "memory", family.memory.map(text));
    put(table, "disk", family.disk.map(text));
    put(table, "pids", family.pids.map(whole));
    put(table, "select", family.select.map(|select| word(&select)));
    put(table, "per_host", family.per_host.map(whole));
    put(table, "pools", family.pools.as_deref().map(shown));
    put(table, "where", family.condition.clone());
    put(table, "scale", family.scale.as_ref().map(scale));
}

fn inline<'a, V: Into<Value>>(pairs: impl IntoIterator<Item = (&'a str, V)>) -> InlineTable {
    pairs.into_iter().map(|(key, value)| (key, value.into())).collect()
}

fn named<V: Display>(all: &BTreeMap<String, V>) -> InlineTable {
    inline(all.iter().map(|(name, value)| (name.as_str(), text(value))))
}

fn words(list: &[String]) -> Array {
    list.iter().map(String::as_str).collect()
}

fn shown<T: Display>(list: &[T]) -> Array {
    list.iter().map(T::to_string).collect()
}

fn text(value: impl Display) -> Value {
    value.to_string().into()
}

fn whole(n: u32) -> Value {
    i64::from(n).into()
}

/// The name that a word of a closed set has in JSON, which is the one that the manifest uses.
fn word(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.into(),
        _ => String::new().into(),
    }
}

fn file(file: &FileSpec) -> Value {
    let mut table = inline([("content", &file.content)]);
    if file.mode != 0o644 {
        table.insert("mode", format!("{:04o}", file.mode).into());
    }
    if file.verbatim {
        table.insert("verbatim", true.into());
    }
    table.into()
}

fn scale(policy: &ScalePolicy) -> InlineTable {
    let mut table = inline([("min", whole(policy.min)), ("max", whole(policy.max))]);
    table.extend(policy.target.map(|target| ("target", text(target))));
    table.extend((policy.idle != IDLE_USUAL).then(|| ("idle", text(policy.idle))));
    table
}

/// Only what differs from the usual.
fn door(route: &RouteSpec) -> InlineTable {
    let mut table = inline([("port", whole(route.port.into()))]);
    table.extend(route.host.as_deref().map(|host| ("host", Value::from(host))));
    table.extend((route.path != "/").then(|| ("path", Value::from(route.path.as_str()))));
    table.extend(route.listen.map(|port| ("listen", whole(port.into()))));
    table.extend((route.tls != RouteTls::default()).then(|| ("tls", word(&route.tls))));
    table.extend(route.sticky.then(|| ("sticky", Value::from(true))));
    table.extend(route.log.then(|| ("log", Value::from(true))));
    table.extend(route.concurrency.map(|most| ("concurrency", whole(most))));
    let parts = route.families.iter().map(|(family, weight)| (family.as_str(), whole((*weight).into())));
    table.extend((!route.families.is_empty()).then(|| ("families", Value::from(inline(parts)))));
    table
}

fn volume(volume: &VolumeSpec) -> InlineTable {
    let mut table =
        inline([("name", text(&volume.name)), ("size", text(volume.size)), ("at", text(&volume.at))]);
    table.extend(volume.backup.as_deref().map(|backup| ("backup", Value::from(backup))));
    table.extend(volume.keep.map(|keep| ("keep", whole(keep))));
    table
}

/// Only what differs from the usual.
fn bootstrap(service: &ServiceSpec) -> Option<Value> {
    let command = words(service.bootstrap.as_deref()?);
    if command.is_empty() {
        return Some(Value::from("none"));
    }
    let each_start = service.bootstrap_each_start.filter(|each| *each);
    if service.bootstrap_with.is_none() && each_start.is_none() {
        return Some(command.into());
    }
    let mut table = inline([("command", Value::from(command))]);
    table.extend(service.bootstrap_with.as_deref().map(|with| ("with", text(with))));
    table.extend(each_start.map(|each| ("each_start", Value::from(each))));
    Some(table.into())
}

fn beam(beam: &Beam) -> InlineTable {
    let usual = Beam::default();
    let mut table = InlineTable::new();
    let mut say = |key: &str, differs: bool, value: Value| {
        if differs {
            table.insert(key, value);
        }
    };
    say("name", beam.name.is_some(), text(beam.name.as_deref().unwrap_or_default()));
    say("names", beam.names != BeamNames::Dns, word(&beam.names));
    say("failover", beam.failover.is_some(), text(beam.failover.as_deref().unwrap_or_default()));
    say("backups", beam.backups != usual.backups, whole(beam.backups));
    say("votes", beam.votes != usual.votes, beam.votes.into());
    say("takeover", beam.takeover != usual.takeover, beam.takeover.into());
    say("failover_timeout", beam.failover_timeout != usual.failover_timeout, text(beam.failover_timeout));
    say("net_ticktime", beam.net_ticktime != usual.net_ticktime, whole(beam.net_ticktime));
    say("sync_timeout", beam.sync_timeout != usual.sync_timeout, text(beam.sync_timeout));
    say("join", beam.join != usual.join, beam.join.into());
    say("applications", !beam.applications.is_empty(), words(&beam.applications).into());
    say("replace_loopback", beam.replace_loopback, true.into());
    say("epmd", beam.epmd, true.into());
    say("connect_all", !beam.connect_all, false.into());
    say("cluster_size", beam.cluster_size != usual.cluster_size, whole(beam.cluster_size));
    say("gateways", beam.gateways != usual.gateways, whole(beam.gateways));
    say("global_groups", beam.global_groups, true.into());
    let mut groups = InlineTable::new();
    for (name, group) in &beam.groups {
        groups.insert(name, text(group));
    }
    say("global_groups", !beam.groups.is_empty(), groups.into());
    say("tls", beam.tls, true.into());
    say("tls_lifetime", beam.tls_lifetime != usual.tls_lifetime, text(beam.tls_lifetime));
    table
}

fn check(check: &Check) -> InlineTable {
    let probe: (&str, Value) = match &check.probe {
        Probe::Http { port, path } => ("http", format!(":{port}{path}").into()),
        Probe::Tcp { port } => ("tcp", format!(":{port}").into()),
        Probe::Exec { argv } => ("exec", words(argv).into()),
    };
    inline([
        probe,
        ("interval", text(check.interval)),
        ("timeout", text(check.timeout)),
        ("failures", whole(check.failures)),
        ("grace", text(check.grace)),
    ])
}

fn stop(service: &ServiceSpec) -> Option<InlineTable> {
    let mut table = InlineTable::new();
    if let Some(stop) = &service.stop {
        table.extend([("signal", Value::from(stop.signal.as_str())), ("timeout", text(stop.timeout))]);
    }
    table.extend(service.stop_command.as_deref().map(|command| ("command", words(command))));
    (!table.is_empty()).then_some(table)
}

fn task_tables(tasks: &BTreeMap<Name, TaskSpec>) -> Table {
    let mut all = Table::new();
    all.set_implicit(!tasks.is_empty());
    for (name, task) in tasks {
        let mut table = Table::new();
        put(&mut table, "command", Some(words(&task.command)));
        put(&mut table, "schedule", Some(task.schedule.as_str()));
        put(&mut table, "overlap", (task.overlap != Overlap::Skip).then(|| word(&task.overlap)));
        put(&mut table, "timezone", task.timezone.as_deref());
        all.insert(name.as_str(), Item::Table(table));
    }
    all
}
