//! The package of a service as a form: its settings, and what it is linked to.

use crate::act::{target, usage};
use crate::field::{self, Field};
use crate::plan::{self, Change};
use crate::visit::Visit;
use axum::Form;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, ApplyRequest, ServiceSpec};
use lace_model::package::{Package, PackageRef, PackageUse, StoredPackage};
use lace_model::{Name, Problem, ServiceName, ServicePath};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where the form goes.
const TO: &str = "/act/settings";
/// Before the names of settings and of links in it.
const SETTING: &str = "setting.";
const LINK: &str = "link.";
/// Fields of a link that is new.
const NEW_NAME: &str = "new-link";
const NEW_TO: &str = "new-link-to";
/// The field that says what the form is about, so that an empty form says something.
const ABOUT: &str = "about";

/// What pages show of a service's package and links.
pub struct Sheet {
    pub settings: Vec<Field>,
    pub links: Vec<Link>,
    /// Services that another link could lead to: of a service without a package, which may link whatever it likes.
    pub others: Vec<ServiceName>,
}

/// One link.
pub struct Link {
    pub name: String,
    pub help: String,
    pub interface: Option<Name>,
    pub required: bool,
    pub to: Option<ServiceName>,
    /// Services that provide what it wants.
    pub offers: Vec<ServiceName>,
}

impl Link {
    pub fn is_to(&self, service: &ServiceName) -> bool {
        self.to.as_ref() == Some(service)
    }
}

impl Sheet {
    pub fn has_links(&self) -> bool {
        !self.links.is_empty() || !self.others.is_empty()
    }
}

/// The packages of an application's services, as far as they are there.
pub type Packages = BTreeMap<ServiceName, Package>;

/// What of a revision is looked at here.
#[derive(Deserialize)]
struct Pinned {
    spec: PinnedSpec,
}

#[derive(Deserialize)]
struct PinnedSpec {
    package: Option<PackageUse>,
}

/// Has a service name the version of its package that it runs: another one may have come since.
pub async fn pin(visit: &Visit, path: &ServicePath, spec: &mut ApplicationSpec) -> Result<(), Problem> {
    let Some(service) = spec.services.get_mut(&path.service).filter(|service| service.package.is_some())
    else {
        return Ok(());
    };
    let revision: Pinned = visit.about("/v1/revision", &path.to_string()).await?;
    let used = revision.spec.package.map(|used| PackageRef { name: used.name, version: Some(used.version) });
    service.package = used.or_else(|| service.package.clone());
    Ok(())
}

/// Asks for the packages of the services of an application, each once.
pub async fn of_all(visit: &Visit, spec: &ApplicationSpec) -> Packages {
    let mut read: BTreeMap<String, Option<Package>> = BTreeMap::new();
    let mut found = Packages::new();
    for (name, service) in &spec.services {
        let Some(key) = service.package.as_ref().map(PackageRef::to_string) else { continue };
        if !read.contains_key(&key) {
            let path = format!("/v1/packages/{}", crate::api::encoded(&key));
            // One that was deleted since is shown by nobody, and its services run on.
            let stored: Option<StoredPackage> = visit.get(&path).await.ok();
            read.insert(key.clone(), stored.map(|stored| stored.spec));
        }
        found.extend(read.get(&key).cloned().flatten().map(|package| (name.clone(), package)));
    }
    found
}

/// What a service's page shows of its package.
pub fn sheet(name: &ServiceName, service: &ServiceSpec, packages: &Packages) -> Sheet {
    let said = service.settings.clone().unwrap_or_default();
    let field =
        |(name, setting): (&String, _)| Field::of(SETTING, "set", name, setting, said.get(name).cloned());
    let own = packages.get(name);
    let offers = |wanted: Option<&Name>| {
        let fits = |package: &Package| match wanted {
            Some(interface) => package.provides.contains_key(interface),
            None => package.provides.len() == 1,
        };
        let others = packages.iter().filter(|(other, package)| *other != name && fits(package));
        others.map(|(other, _)| other.clone()).collect::<Vec<_>>()
    };
    Sheet {
        settings: own.iter().flat_map(|package| &package.settings).map(field).collect(),
        links: links(own, service, &offers),
        others: if service.package.is_none() { offers(None) } else { Vec::new() },
    }
}

/// The links that a package asks for, and those that are there.
fn links(
    own: Option<&Package>,
    service: &ServiceSpec,
    offers: &dyn Fn(Option<&Name>) -> Vec<ServiceName>,
) -> Vec<Link> {
    let said = service.links.clone().unwrap_or_default();
    let wanted = own.iter().flat_map(|package| &package.consumes).map(|(name, consumed)| Link {
        name: name.clone(),
        help: consumed.help.clone(),
        interface: Some(consumed.interface.clone()),
        required: consumed.required,
        to: said.get(name).cloned(),
        offers: offers(Some(&consumed.interface)),
    });
    let is_wanted = |name: &String| own.is_some_and(|package| package.consumes.contains_key(name));
    let free = said.iter().filter(|(name, _)| !is_wanted(name)).map(|(name, to)| Link {
        name: name.clone(),
        help: String::new(),
        interface: None,
        required: false,
        to: Some(to.clone()),
        offers: offers(None),
    });
    wanted.chain(free).collect()
}

/// `POST /act/settings`: settings or links of a service, planned first.
pub async fn set(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
    plan::answer(&visit, change(fields)).await
}

fn change(mut fields: Vec<(String, String)>) -> Result<Change, Problem> {
    let target = target(field::one(&fields, "target"))?;
    let service = target.service.clone().ok_or_else(|| usage(format!("{target} is not a service")))?;
    let spec = match field::one(&fields, ABOUT) {
        "settings" => {
            ServiceSpec { settings: Some(field::said(&fields, SETTING).collect()), ..ServiceSpec::default() }
        }
        "links" => ServiceSpec { links: Some(said_links(&fields)?), ..ServiceSpec::default() },
        other => return Err(usage(format!("a form about {other:?} is not known"))),
    };
    let spec = ApplicationSpec { services: [(service, spec)].into() };
    let plan = field::one(&fields, plan::DIGEST).to_owned();
    fields.retain(|(key, _)| key != plan::DIGEST);
    let request = ApplyRequest { app: target.app, spec, prune: false, delete_data: false, plan: None };
    Ok(Change { request, to: TO, fields, plan })
}

fn said_links(fields: &[(String, String)]) -> Result<BTreeMap<String, ServiceName>, Problem> {
    let (name, to) = (field::one(fields, NEW_NAME).trim(), field::one(fields, NEW_TO));
    let new =
        (!to.is_empty()).then(|| (if name.is_empty() { to.replace('-', "_") } else { name.into() }, to));
    let new = new.into_iter().map(|(name, to)| (name, to.to_owned()));
    let parsed = |(name, to): (String, String)| {
        let to = ServiceName::new(&to).map_err(|e| usage(format!("link {name}: {e}")))?;
        Ok((name, to))
    };
    field::said(fields, LINK).chain(new).map(parsed).collect()
}
