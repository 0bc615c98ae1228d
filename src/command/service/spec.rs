//! `lace service create`, `set`, `link`, `unlink`, `list`, `show`: services of packages made and changed without a manifest.

use super::change::change;
use crate::command::family::{about_service, release_ref, service_of};
use crate::command::{Exit, Outcome, Session, key, watch};
use clap::Args;
use lace_model::application::ServiceSpec;
use lace_model::manifest::nearest;
use lace_model::package::PackageRef;
use lace_model::release::ReleaseRef;
use lace_model::{AppName, Code, Name, Problem, ServiceName, TargetPath};
use lace_wire::api::PushView;
use lace_wire::client::Client;
use serde::Serialize;
use std::collections::BTreeMap;

/// `lace service create`.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// APP/NAME
    target: TargetPath,
    /// Its package: NAME or NAME@VERSION
    #[arg(long, value_name = "PACKAGE", value_parser = package_ref)]
    package: PackageRef,
    /// The release that it runs, where its package takes one: NAME[@VERSION]
    #[arg(long, value_name = "NAME[@V]", value_parser = release_ref)]
    release: Option<ReleaseRef>,
    /// A setting of the package, or NAME=@FILE (may be said again)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::command::manifest::pair)]
    settings: Vec<(String, String)>,
}

/// `lace service set`.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// The service
    target: TargetPath,
    /// Settings of its package, or NAME=@FILE
    #[arg(value_name = "NAME=VALUE", value_parser = crate::command::manifest::pair, required_unless_present = "unset")]
    settings: Vec<(String, String)>,
    /// A setting that has its default again (may be said again)
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

fn package_ref(text: &str) -> Result<PackageRef, String> {
    PackageRef::of(text).ok_or_else(|| format!("{text:?} is neither NAME nor NAME@VERSION of a package"))
}

/// Makes a service; one that is there is not changed.
pub(super) async fn create(args: CreateArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let (app, name) = (&args.target.app, service_of(&args.target)?);
    if live(&client, app).await?.contains_key(&name) {
        return Err(Problem::new(Code::Conflict, format!("service {app}/{name} is there already"))
            .hint(format!("lace service set {app}/{name} NAME=VALUE changes it")));
    }
    let settings = Some(super::values(args.settings)?).filter(|settings| !settings.is_empty());
    let spec = ServiceSpec {
        package: Some(args.package),
        release: args.release,
        settings,
        ..ServiceSpec::default()
    };
    let accepted = client.apply(&about_service(&args.target, spec)?).await?;
    watch::accepted(s, accepted).await
}

/// Changes settings; those that are not named stay as they are.
pub(super) async fn set(args: SetArgs, s: &mut Session) -> Outcome {
    let said = super::values(args.settings)?;
    change(s, &args.target, |now| {
        let mut settings = now.settings.clone().unwrap_or_default();
        for name in &args.unset {
            settings.remove(name).ok_or_else(|| {
                let hint = nearest(name, settings.keys().map(String::as_str));
                Problem::not_found(format_args!("setting {name} that is said for {}", args.target)).hint(hint)
            })?;
        }
        settings.extend(said.clone());
        Ok(ServiceSpec { settings: Some(settings), ..ServiceSpec::default() })
    })
    .await
}

/// Lets a service use what another one provides.
pub(super) async fn link(
    from: &TargetPath,
    to: &TargetPath,
    name: Option<String>,
    s: &mut Session,
) -> Outcome {
    if from.app != to.app {
        let text = format!("{from} and {to} are of two applications: links stay within one");
        return Err(Problem::new(Code::Usage, text));
    }
    let provider = service_of(to)?;
    let name = name.unwrap_or_else(|| provider.as_str().replace('-', "_"));
    change(s, from, |now| {
        let mut links = now.links.clone().unwrap_or_default();
        links.insert(name.clone(), provider.clone());
        Ok(ServiceSpec { links: Some(links), ..ServiceSpec::default() })
    })
    .await
}

/// Takes a link away, by its name or by the service that it leads to.
pub(super) async fn unlink(from: &TargetPath, to: &str, s: &mut Session) -> Outcome {
    let service = to.rsplit('/').next().unwrap_or(to);
    change(s, from, |now| {
        let mut links = now.links.clone().unwrap_or_default();
        let before = links.len();
        if links.remove(to).is_none() {
            links.retain(|_, provider| provider.as_str() != service);
        }
        if links.len() == before {
            let hint = nearest(to, links.keys().map(String::as_str));
            return Err(Problem::not_found(format_args!("link {to} of {from}")).hint(hint));
        }
        Ok(ServiceSpec { links: Some(links), ..ServiceSpec::default() })
    })
    .await
}

/// A service for people.
#[derive(Serialize)]
struct Line {
    service: String,
    /// NAME@VERSION; none: it runs without one.
    package: Option<String>,
    release: Option<String>,
    settings: BTreeMap<String, String>,
    links: BTreeMap<String, ServiceName>,
}

/// One service, and how releases of it are pushed.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    push: PushView,
}

impl Line {
    fn of(app: &AppName, name: &ServiceName, spec: ServiceSpec) -> Self {
        Self {
            service: format!("{app}/{name}"),
            package: spec.package.map(|package| package.to_string()),
            release: spec.release.map(|release| match release.version {
                Some(version) => format!("{}@{version}", release.name),
                None => release.name.to_string(),
            }),
            settings: spec.settings.unwrap_or_default(),
            links: spec.links.unwrap_or_default(),
        }
    }
}

/// The services of an application, or of all.
pub(super) async fn list(app: Option<Name>, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let apps: Vec<AppName> = match app {
        Some(app) => vec![app],
        None => client.apps().await?.into_iter().map(|app| app.name).collect(),
    };
    let mut lines = Vec::new();
    for app in &apps {
        // One that was deleted since it was listed has none.
        let services = match client.export(app).await {
            Err(problem) if problem.code == Code::NotFound && apps.len() > 1 => continue,
            other => other?.services,
        };
        lines.extend(services.into_iter().map(|(name, spec)| Line::of(app, &name, spec)));
    }
    s.out.list(&lines, &["service", "package", "release", "links"], |line| {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let links: Vec<_> = line.links.iter().map(|(name, to)| format!("{name} = {to}")).collect();
        vec![
            line.service.as_str().into(),
            dash(&line.package).into(),
            dash(&line.release).into(),
            links.join(", ").into(),
        ]
    });
    Ok(Exit::DONE)
}

/// One service: what was said of it.
pub(super) async fn show(target: &TargetPath, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let spec = one(&client, target).await?;
    let line = Line::of(&target.app, &service_of(target)?, spec);
    let shown = Shown { line, push: client.pushes(target).await? };
    s.out.item(&shown, |Shown { line, push }| {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let mut text = format!(
            "service  {}\npackage  {}\nrelease  {}\n",
            line.service,
            dash(&line.package),
            dash(&line.release)
        );
        line.settings.iter().for_each(|(name, value)| text.push_str(&format!("setting  {name} = {value}\n")));
        line.links.iter().for_each(|(name, to)| text.push_str(&format!("link     {name} = {to}\n")));
        key::how(push, target).iter().for_each(|line| text.push_str(&format!("push     {line}\n")));
        text
    });
    Ok(Exit::DONE)
}

async fn live(client: &Client, app: &AppName) -> Result<BTreeMap<ServiceName, ServiceSpec>, Problem> {
    match client.export(app).await {
        Ok(spec) => Ok(spec.services),
        Err(problem) if problem.code == Code::NotFound => Ok(BTreeMap::new()),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn one(client: &Client, target: &TargetPath) -> Result<ServiceSpec, Problem> {
    let name = service_of(target)?;
    let mut services = client.export(&target.app).await?.services;
    services.remove(&name).ok_or_else(|| {
        let hint = nearest(name.as_str(), services.keys().map(Name::as_str));
        Problem::not_found(format_args!("service {}/{name}", target.app)).hint(hint)
    })
}
