//! From a checked tree into the model. What [`super::shape`] has refused is passed over here without a word.

use super::format::{self, Joining};
use super::mistake::Mistakes;
use super::tree::{Key, Node};
use super::{Budget, FileRef, Later, Manifest, ReleaseSource, keys};
use crate::application::{FamilySpec, Overlap, ServiceSpec, TaskSpec};
use crate::beam::Beam;
use crate::check::{Check, Probe};
use crate::package::PackageRef;
use crate::release::ReleaseRef;
use crate::revision::{Backoff, FileSpec, StopSpec, VolumeSpec};
use crate::rollout::{RolloutPolicy, Share};
use crate::route::{self, RouteSpec};
use crate::scale::{IDLE_USUAL, ScalePolicy};
use crate::{Name, ServiceName};
use std::collections::BTreeMap;

/// The budget.
pub(super) fn budget(tree: &Node) -> Option<Budget> {
    let node = tree.get("application")?.get("budget")?;
    let monthly = node.get("monthly")?.number()?;
    let at_limit = node.text_of("at_limit").unwrap_or_else(|| "refuse".into());
    Some(Budget { monthly_micro: (monthly * 1e6).round() as u64, at_limit })
}

/// The keys of features that are not there yet.
pub(super) fn later(tree: &Node) -> Vec<Later> {
    let mut all = Vec::new();
    if let Some(budget) = tree.get("application").and_then(|app| app.get("budget")) {
        all.push(Later { service: None, family: None, key: "budget".into(), line: budget.place.line });
    }
    for (service, node) in tree.each("service") {
        let name = Name::new(service.name.clone()).ok();
        later_of(node, name.as_ref(), None, &mut all);
        for (family, node) in node.each("family") {
            later_of(node, name.as_ref(), Name::new(family.name.clone()).ok().as_ref(), &mut all);
        }
    }
    all.sort_by_key(|later| later.line);
    all
}

fn later_of(node: &Node, service: Option<&Name>, family: Option<&Name>, all: &mut Vec<Later>) {
    for (key, _) in node.fields().into_iter().flatten() {
        if keys::SERVICE.keys.iter().any(|known| known.later && known.name == key.name) {
            let (service, family) = (service.cloned(), family.cloned());
            all.push(Later { service, family, key: key.name.clone(), line: key.place.line });
        }
    }
}

/// One service; its source and files go into the manifest.
pub(super) fn service(
    name: &ServiceName,
    node: &Node,
    manifest: &mut Manifest,
    mistakes: &mut Mistakes,
) -> ServiceSpec {
    let mut spec = plain(node);
    spec.families = families(name, node, mistakes);
    if let Some(files) = node.get("files") {
        spec.files = Some(inline_files(files));
        manifest.files.extend(file_refs(name, files));
    }
    if let Some(source) = release(name, node, &mut spec, mistakes) {
        manifest.sources.insert(name.clone(), source);
    }
    join(node, &mut spec);
    manifest.packages.extend(super::package::said(name, node));
    spec
}

/// The keys that need no second thought.
fn plain(node: &Node) -> ServiceSpec {
    ServiceSpec {
        package: node.text_of("package").as_deref().and_then(PackageRef::of),
        settings: node.get("settings").map(|_| scalars(node, "settings")),
        links: node.get("links").map(|_| links(node)),
        start: node.words_of("command"),
        stop_command: node.get("stop").and_then(|stop| stop.words_of("command")),
        env: node.get("env").map(|_| scalars(node, "env")),
        secrets: node.words_of("secrets"),
        templates: node.words_of("templates"),
        firewall: listed(node, "firewall", |opening| opening.text()?.parse().ok()),
        volumes: listed(node, "volumes", volume),
        isolation: node.word_of("isolation"),
        beam: node.get("beam").map(beam),
        before: listed(node, "before", Node::words),
        check: node.get("check").and_then(check),
        live: node.get("live").and_then(check),
        stop: node.get("stop").and_then(stop),
        restart: node.get("restart").and_then(restart),
        rollout: node.get("rollout").map(rollout),
        state: node.word_of("state"),
        needs: listed(node, "needs", |need| Name::new(need.text()?).ok()),
        tasks: node.get("task").map(|_| tasks(node)),
        routes: listed(node, "routes", door),
        ..ServiceSpec::default()
    }
}

fn scalars(node: &Node, key: &str) -> BTreeMap<String, String> {
    node.each(key).filter_map(|(key, value)| Some((key.name.clone(), value.scalar()?))).collect()
}

fn links(node: &Node) -> BTreeMap<String, ServiceName> {
    let named = node.each("links");
    named.filter_map(|(key, value)| Some((key.name.clone(), Name::new(value.text()?).ok()?))).collect()
}

fn listed<T>(node: &Node, key: &str, item: impl Fn(&Node) -> Option<T>) -> Option<Vec<T>> {
    Some(node.get(key)?.list()?.iter().filter_map(item).collect())
}

fn families(service: &Name, node: &Node, mistakes: &mut Mistakes) -> BTreeMap<Name, FamilySpec> {
    let Some(tables) = node.get("family") else {
        // A package brings families of its own.
        let sized = keys::sizing_keys().any(|key| node.get(key).is_some());
        let alone = sized || node.get("package").is_none();
        return alone.then(|| (service.clone(), family(node))).into_iter().collect();
    };
    for (key, _) in node.fields().into_iter().flatten() {
        if keys::sizing_keys().any(|sizing| sizing == key.name) {
            let path = format!("service.{service}.{}", key.name);
            let hint = format!("write it under [service.{service}.family.NAME]");
            mistakes.hint(key.place, &path, "the service has families, so this belongs to one of them", hint);
        }
    }
    let named =
        |(key, node): &(super::tree::Key, Node)| Some((Name::new(key.name.clone()).ok()?, family(node)));
    tables.fields().into_iter().flatten().filter_map(named).collect()
}

fn family(node: &Node) -> FamilySpec {
    FamilySpec {
        count: node.u32_of("count"),
        cpu: node.parsed_of("cpu"),
        memory: node.parsed_of("memory"),
        disk: node.parsed_of("disk"),
        pids: node.u32_of("pids"),
        select: node.word_of("select"),
        per_host: node.u32_of("per_host"),
        pools: node.words_of("pools").map(|names| names.iter().filter_map(|n| n.parse().ok()).collect()),
        condition: node.text_of("where"),
        scale: node.get("scale").and_then(scale),
    }
}

fn scale(node: &Node) -> Option<ScalePolicy> {
    Some(ScalePolicy {
        min: node.u32_of("min")?,
        max: node.u32_of("max")?,
        target: node.parsed_of("target"),
        idle: node.parsed_of("idle").unwrap_or(IDLE_USUAL),
    })
}

fn inline_files(files: &Node) -> BTreeMap<String, FileSpec> {
    let inline = |node: &Node| {
        let content = node.text_of("content")?;
        Some(FileSpec { content, mode: mode(node), verbatim: node.flag_of("verbatim").unwrap_or(false) })
    };
    let fields = files.fields().into_iter().flatten();
    fields.filter_map(|(key, node)| Some((key.name.clone(), inline(node)?))).collect()
}

fn mode(node: &Node) -> u32 {
    node.text_of("mode").and_then(|text| format::mode(&text)).unwrap_or(0o644)
}

fn file_refs(service: &Name, files: &Node) -> Vec<FileRef> {
    let one = |(key, node): &(super::tree::Key, Node)| {
        let from = node.text().map(str::to_owned).or_else(|| node.text_of("from"))?;
        Some(FileRef {
            service: service.clone(),
            at: key.name.clone(),
            from,
            mode: mode(node),
            verbatim: node.flag_of("verbatim").unwrap_or(false),
            place: node.place,
        })
    };
    files.fields().into_iter().flatten().filter_map(one).collect()
}

/// A release by name goes into the spec, one by path becomes a source.
fn release(
    service: &Name,
    node: &Node,
    spec: &mut ServiceSpec,
    mistakes: &mut Mistakes,
) -> Option<ReleaseSource> {
    let said = node.get("release")?;
    if let Some((name, version)) = said.text().and_then(format::release) {
        spec.release = Some(ReleaseRef { name, version });
        return None;
    }
    said.fields()?;
    let path = format!("service.{service}.release");
    if said.get("path").is_some() {
        return source(said);
    }
    match said.parsed_of("name") {
        Some(name) => release_by_name(name, said, &path, spec, mistakes),
        None if said.get("name").is_none() => {
            mistakes.hint(said.place, &path, "it has neither a name nor a path", r#"write { path = "." }"#);
        }
        None => {}
    }
    None
}

fn source(said: &Node) -> Option<ReleaseSource> {
    Some(ReleaseSource {
        path: said.text_of("path")?,
        build: listed(said, "build", Node::words).unwrap_or_default(),
        output: said.text_of("output"),
        name: said.parsed_of("name"),
        version: said.text_of("version"),
        kind: said.word_of("kind"),
        start: said.words_of("start"),
        stop: said.words_of("stop"),
        templates: said.words_of("templates").unwrap_or_default(),
    })
}

/// `start`, `stop` and `templates` beside a name are the service's own, over those of the release.
fn release_by_name(name: Name, said: &Node, path: &str, spec: &mut ServiceSpec, mistakes: &mut Mistakes) {
    spec.release = Some(ReleaseRef { name, version: said.text_of("version") });
    for key in ["build", "output", "kind"] {
        if let Some(said) = said.get(key) {
            mistakes.add(said.place, &format!("{path}.{key}"), "this belongs to a release with a path");
        }
    }
    let own = [
        ("start", "command", &mut spec.start),
        ("stop", "stop.command", &mut spec.stop_command),
        ("templates", "templates", &mut spec.templates),
    ];
    for (key, other, field) in own {
        let Some(words) = said.words_of(key) else { continue };
        if field.is_some() {
            mistakes.add(said.place, &format!("{path}.{key}"), format!("said twice: `{other}` says it too"));
        }
        *field = Some(words);
    }
}

fn join(node: &Node, spec: &mut ServiceSpec) {
    let Some(said) = node.get("bootstrap") else {
        return;
    };
    match said.text().and_then(format::bootstrap) {
        Some(Joining::First) => spec.beam.get_or_insert_default().join = true,
        Some(Joining::None) => spec.bootstrap = Some(Vec::new()),
        Some(Joining::Command(words)) => spec.bootstrap = Some(words),
        None if said.fields().is_some() => {
            spec.bootstrap = said.words_of("command");
            spec.bootstrap_with = said.text_of("with");
            spec.bootstrap_each_start = said.flag_of("each_start");
        }
        None => spec.bootstrap = said.words(),
    }
}

fn volume(node: &Node) -> Option<VolumeSpec> {
    Some(VolumeSpec {
        name: node.parsed_of("name")?,
        size: node.parsed_of("size")?,
        at: node.text_of("at")?,
        backup: node.text_of("backup"),
        keep: node.u32_of("keep"),
    })
}

fn port_of(node: &Node, key: &str) -> Option<u16> {
    node.u32_of(key).and_then(|port| port.try_into().ok())
}

fn weight((family, node): &(Key, Node)) -> Option<(Name, u16)> {
    Some((Name::new(family.name.clone()).ok()?, node.whole()?.try_into().ok()?))
}

fn door(node: &Node) -> Option<RouteSpec> {
    let usual = RouteSpec::new(port_of(node, "port")?);
    Some(RouteSpec {
        host: node.text_of("host").and_then(|host| route::host_name(&host).ok()),
        path: node.text_of("path").and_then(|path| route::path_prefix(&path).ok()).unwrap_or(usual.path),
        listen: port_of(node, "listen"),
        tls: node.word_of("tls").unwrap_or_default(),
        sticky: node.flag_of("sticky").unwrap_or(false),
        log: node.flag_of("log").unwrap_or(false),
        families: node.each("families").filter_map(weight).collect(),
        concurrency: node.u32_of("concurrency"),
        ..usual
    })
}

fn beam(node: &Node) -> Beam {
    let usual = Beam::default();
    Beam {
        name: node.text_of("name"),
        names: node.word_of("names").unwrap_or_default(),
        failover: node.text_of("failover"),
        backups: node.u32_of("backups").unwrap_or(usual.backups),
        votes: node.flag_of("votes").unwrap_or(usual.votes),
        takeover: node.flag_of("takeover").unwrap_or(usual.takeover),
        failover_timeout: node.parsed_of("failover_timeout").unwrap_or(usual.failover_timeout),
        net_ticktime: node.u32_of("net_ticktime").unwrap_or(usual.net_ticktime),
        sync_timeout: node.parsed_of("sync_timeout").unwrap_or(usual.sync_timeout),
        join: node.flag_of("join").unwrap_or(usual.join),
        applications: node.words_of("applications").unwrap_or_default(),
        replace_loopback: node.flag_of("replace_loopback").unwrap_or(usual.replace_loopback),
        epmd: node.flag_of("epmd").unwrap_or(usual.epmd),
        connect_all: node.flag_of("connect_all").unwrap_or(usual.connect_all),
        cluster_size: node.u32_of("cluster_size").unwrap_or(usual.cluster_size),
        gateways: node.u32_of("gateways").unwrap_or(usual.gateways),
        global_groups: node.flag_of("global_groups").unwrap_or(usual.global_groups),
        groups: node
            .each("global_groups")
            .filter_map(|(name, range)| Some((name.name.clone(), range.text()?.parse().ok()?)))
            .collect(),
        tls: node.flag_of("tls").unwrap_or(usual.tls),
        tls_lifetime: node.parsed_of("tls_lifetime").unwrap_or(usual.tls_lifetime),
    }
}

fn check(node: &Node) -> Option<Check> {
    let http = node.text_of("http").and_then(|door| format::http_door(&door));
    let tcp = node.text_of("tcp").and_then(|door| format::tcp_door(&door));
    let probe = http
        .map(|(port, path)| Probe::Http { port, path })
        .or(tcp.map(|port| Probe::Tcp { port }))
        .or_else(|| node.words_of("exec").map(|argv| Probe::Exec { argv }))?;
    let usual = Check::new(probe);
    Some(Check {
        interval: node.parsed_of("interval").unwrap_or(usual.interval),
        timeout: node.parsed_of("timeout").unwrap_or(usual.timeout),
        failures: node.u32_of("failures").unwrap_or(usual.failures),
        grace: node.parsed_of("grace").unwrap_or(usual.grace),
        ..usual
    })
}

/// `stop` with a command alone says nothing about signal and timeout.
fn stop(node: &Node) -> Option<StopSpec> {
    let alone =
        node.get("command").is_some() && node.get("signal").is_none() && node.get("timeout").is_none();
    let usual = StopSpec::default();
    (!alone).then(|| StopSpec {
        signal: node.text_of("signal").unwrap_or(usual.signal),
        timeout: node.parsed_of("timeout").unwrap_or(usual.timeout),
    })
}

fn restart(node: &Node) -> Option<Backoff> {
    let Some(text) = node.text_of("backoff") else {
        return Some(Backoff::default());
    };
    format::span_range(&text).map(|(min, max)| Backoff { min, max })
}

fn step(node: &Node) -> Option<Share> {
    node.scalar()?.parse().ok()
}

fn rollout(node: &Node) -> RolloutPolicy {
    let usual = RolloutPolicy::default();
    RolloutPolicy {
        strategy: node.word_of("strategy").unwrap_or_default(),
        max_unavailable: node.parsed_of("max_unavailable").unwrap_or(usual.max_unavailable),
        healthy_for: node.parsed_of("healthy_for").unwrap_or(usual.healthy_for),
        deadline: node.parsed_of("deadline").unwrap_or(usual.deadline),
        revert: node.flag_of("revert").unwrap_or(usual.revert),
        max_errors: node.parsed_of("max_errors"),
        keep: node.parsed_of("keep").unwrap_or(usual.keep),
        steps: node.get("steps").and_then(Node::list).into_iter().flatten().filter_map(step).collect(),
        pause: node.parsed_of("pause"),
    }
}

fn tasks(node: &Node) -> BTreeMap<Name, TaskSpec> {
    let task = |node: &Node| {
        Some(TaskSpec {
            command: node.words_of("command")?,
            schedule: node.text_of("schedule")?,
            overlap: node.word_of("overlap").unwrap_or(Overlap::Skip),
            timezone: node.text_of("timezone"),
        })
    };
    let named = node.each("task");
    named.filter_map(|(key, node)| Some((Name::new(key.name.clone()).ok()?, task(node)?))).collect()
}
