//! What a CCL file and its build are as a manifest of ours.

use super::super::manifest::{Located, ManifestArgs, understand};
use super::build::Built;
use super::config::{Config, Failover};
use lace_beam::Term;
use lace_beam::term::parse::parse_all;
use lace_model::{Code, Problem};
use std::path::Path;
use toml::{Table, Value};

/// Erlang's own; none of these moves between nodes.
const PLAIN: [&str; 3] = ["start_clean.rel", "start_sasl.rel", "no_dot_erlang.rel"];
/// A `.rel` file above this is none, in bytes.
const REL_BYTES_MAX: u64 = 1 << 20;

/// The manifest of the cluster, its release in the directory that was built.
pub fn of(config: &Config, built: &Built, pool: Option<&str>) -> Result<Located, Problem> {
    let application = match &config.failover {
        Some(failover) => Some(moving(config, failover, &applications(&built.path))?),
        None => None,
    };
    if let Some(start) = &config.start {
        super::super::upload::words(start)
            .map_err(|why| Problem::new(Code::InvalidManifest, format!("ccl_start: {why}")))?;
    }
    let text = text(config, application.as_deref(), pool);
    understand(&text, built.path.clone(), Path::new("the cluster's manifest"), &ManifestArgs::default())
}

/// The manifest's text.
fn text(config: &Config, application: Option<&str>, pool: Option<&str>) -> String {
    let name = config.name.as_str();
    let mut release = Table::from_iter([pair("path", "."), pair("name", name)]);
    if let Some(start) = &config.start {
        let words = super::super::upload::words(start).unwrap_or_default();
        release.insert("start".to_owned(), Value::Array(words.into_iter().map(Value::String).collect()));
    }
    let mut beam = Table::from_iter([pair("name", config.node.as_str()), pair("replace_loopback", true)]);
    if let (Some(application), Some(failover)) = (application, &config.failover) {
        beam.insert("failover".to_owned(), application.into());
        beam.insert("backups".to_owned(), i64::from(failover.backups).into());
    }
    let mut service = Table::from_iter([
        ("release".to_owned(), Value::Table(release)),
        pair("count", i64::from(config.size)),
        pair("memory", "256MiB"),
        ("beam".to_owned(), Value::Table(beam)),
    ]);
    if let Some(pool) = pool {
        service.insert("pools".to_owned(), Value::Array(vec![pool.into()]));
        // As CCL had it: an instance for each node.
        service.insert("per_host".to_owned(), 1.into());
    }
    let services = Table::from_iter([(name.to_owned(), Value::Table(service))]);
    let whole = Table::from_iter([
        ("application".to_owned(), Value::Table(Table::from_iter([pair("name", name)]))),
        ("service".to_owned(), Value::Table(services)),
    ]);
    whole.to_string()
}

fn pair(key: &str, value: impl Into<Value>) -> (String, Value) {
    (key.to_owned(), value.into())
}

/// The application that moves: the one that the file names, else the one named like the project or the node.
fn moving(config: &Config, failover: &Failover, built: &[String]) -> Result<String, Problem> {
    let has = |name: &str| built.iter().any(|known| known == name);
    if let Some(said) = &failover.application {
        if built.is_empty() || has(said) {
            return Ok(said.clone());
        }
    } else {
        let likely = [config.project.replace('-', "_"), config.node.clone(), config.project.clone()];
        if let Some(found) = likely.iter().find(|name| has(name)) {
            return Ok(found.clone());
        }
    }
    let wanted = failover.application.as_deref().unwrap_or(&config.node);
    Err(Problem::new(
        Code::InvalidManifest,
        format!("the release has no application {wanted} that could fail over"),
    )
    .details([format!("its applications: {}", built.join(", "))])
    .hint("name it in the file: {ccl_failoverapp, NAME}."))
}

/// The applications of a release, as its `.rel` file names them; none where it has no such file.
fn applications(release: &Path) -> Vec<String> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let started = read(&release.join("releases/start_erl.data"));
    let version = started.split_whitespace().nth(1).unwrap_or_default();
    let places = [release.join("releases").join(version), release.join("releases")];
    let files = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
    let rels = files.filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        let small = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= REL_BYTES_MAX);
        small && name.ends_with(".rel") && !PLAIN.contains(&name.as_str())
    });
    rels.map(|file| of_rel(&read(&file.path()))).find(|found| !found.is_empty()).unwrap_or_default()
}

/// `{release, {NAME, VERSION}, {erts, VERSION}, [{APPLICATION, VERSION}, ...]}.`
fn of_rel(text: &str) -> Vec<String> {
    let terms = parse_all(text).unwrap_or_default();
    let listed = match terms.first().and_then(Term::as_tuple) {
        Some([_, _, _, listed]) => listed.as_list().unwrap_or_default(),
        _ => return Vec::new(),
    };
    let name = |entry: &Term| entry.as_tuple()?.first()?.as_atom().map(str::to_owned);
    listed.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::config::read;
    use super::*;

    const FILE: &str = "{git_url, \"/src/m8-ball\"}. {ccl_clustersize, 3}. {ccl_failovernodename, oracle}.";

    #[test]
    fn the_application_that_moves_is_found() {
        let config = read(FILE, "here").expect("good").config;
        let check = |built: &[&str], said: Option<&str>, expected: Option<&str>| {
            let built: Vec<String> = built.iter().map(ToString::to_string).collect();
            let failover = Failover { backups: 2, application: said.map(str::to_owned) };
            assert_eq!(moving(&config, &failover, &built).ok().as_deref(), expected, "{built:?} {said:?}");
        };
        check(&["kernel", "m8_ball"], None, Some("m8_ball"));
        check(&["kernel", "oracle"], None, Some("oracle"));
        check(&["kernel", "x"], None, None);
        check(&["kernel", "x"], Some("x"), Some("x"));
        check(&["kernel", "x"], Some("y"), None);
        check(&[], Some("y"), Some("y"));
    }

    #[test]
    fn a_rel_file_names_its_applications() {
        let rel = "{release,{\"m8ball\",\"1\"},{erts,\"13\"},\n [{kernel,\"8\"},{m8ball,\"1\",permanent}]}.";
        assert_eq!(of_rel(rel), ["kernel", "m8ball"]);
        assert_eq!(of_rel("nonsense"), Vec::<String>::new());
    }

    #[test]
    fn the_manifest_says_what_the_file_says() {
        let config = read(FILE, "here").expect("good").config;
        assert!(text(&config, None, Some("m8ball-ec2")).contains("pools = [\"m8ball-ec2\"]"));
        let text = text(&config, Some("oracle"), None);
        let manifest = lace_model::manifest::parse(&text, &Default::default()).expect(&text);
        let service = manifest.spec.services.values().next().expect("one");
        let beam = service.beam.clone().expect("beam");
        assert_eq!(
            (beam.name.as_deref(), beam.failover.as_deref(), beam.backups),
            (Some("oracle"), Some("oracle"), 2)
        );
        assert!(beam.replace_loopback);
        assert_eq!(service.families.values().next().and_then(|f| f.count), Some(3));
    }
}
