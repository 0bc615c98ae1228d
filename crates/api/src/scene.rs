//! The application around a target, as verbs see it.

use crate::reads::{self, Depth, Reads};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use lace_model::family::{Application, Family};
use lace_model::host::{Capacity, Host};
use lace_model::target::Target;
use lace_model::{FamilyPath, HostId, TargetPath};
use lace_planner::{LiveApplication, LiveService};
use std::collections::BTreeMap;

/// An application, its targets, and all hosts.
pub(crate) struct Scene {
    pub live: LiveApplication,
    application: Application,
    /// Advice only: they change often, and no verb depends on their revision.
    pub targets: BTreeMap<FamilyPath, Target>,
    hosts: BTreeMap<HostId, Host>,
    pub reads: Reads,
}

impl Scene {
    /// Reads the application of a target, with the wanted revision of each service.
    ///
    /// # Errors
    /// Not found where nothing lies under the target.
    pub async fn load(state: &ApiState, target: &TargetPath) -> Answer<Self> {
        Self::load_deep(state, target, Depth::Wanted).await
    }

    /// The same with as many revisions as are asked for.
    pub async fn load_deep(state: &ApiState, target: &TargetPath, depth: Depth) -> Answer<Self> {
        let app = target.app.clone();
        let (mut live, reads, targets, hosts) = state
            .store
            .snapshot_async(move |view| {
                let mut reads = Reads::default();
                let live = reads::live(view, &app, depth, &mut reads)?;
                Ok((live, reads, view.list::<Target>(&format!("{app}/"))?, view.list::<Host>("")?))
            })
            .await?;
        let Some(application) = live.app.take() else {
            return Err(Refusal::not_found(format_args!("application {}", target.app)).hint("lace app list"));
        };
        live.app = Some(application.clone());
        let targets = targets.into_iter().map(|row| (row.value.family.clone(), row.value)).collect();
        let hosts = hosts.into_iter().map(|row| (row.value.id, row.value)).collect();
        let scene = Self { live, application, targets, hosts, reads };
        if target.service.is_some() && scene.families(target).next().is_none() {
            let hint = format!("lace status {}", target.app);
            return Err(Refusal::not_found(target).hint(hint));
        }
        Ok(scene)
    }

    /// What each host can carry in all.
    pub fn capacities(&self) -> Vec<Capacity> {
        self.hosts.values().map(|host| host.capacity.clone()).collect()
    }

    /// The application.
    pub fn app(&self) -> &Application {
        &self.application
    }

    /// The name of a host, or its id where it is gone.
    pub fn host_name(&self, id: HostId) -> String {
        self.hosts.get(&id).map_or_else(|| id.to_string(), |h| h.name.to_string())
    }

    /// The families under a target (its index aside), each with its service.
    pub fn families<'a>(
        &'a self,
        target: &TargetPath,
    ) -> impl Iterator<Item = (&'a LiveService, &'a Family)> {
        let all = self.live.services.values().flat_map(|live| live.families.values().map(move |f| (live, f)));
        all.filter(|(_, family)| target.covers(&family.path))
    }

    /// The one family that a target means.
    pub fn one_family(&self, target: &TargetPath) -> Answer<(&LiveService, &Family)> {
        let mut found: Vec<_> = self.families(target).collect();
        // APP/SERVICE/N means the family that is named like its service, where there are others too.
        if target.index.is_some() && target.family.is_none() && found.len() > 1 {
            found.retain(|(_, f)| f.path.family == f.path.service);
        }
        match found[..] {
            [one] => Ok(one),
            [] => Err(Refusal::not_found(format_args!("family {target}"))),
            _ => {
                let names: Vec<_> = found.iter().map(|(_, f)| f.path.to_string()).collect();
                Err(Refusal::usage(format!("{target} has several families"))
                    .hint(format!("name one: {}", names.join(", "))))
            }
        }
    }

    /// The one service that a target means.
    pub fn one_service(&self, target: &TargetPath) -> Answer<&LiveService> {
        let of =
            |live: &&LiveService| target.service.as_ref().is_none_or(|s| *s == live.service.path.service);
        let found: Vec<_> = self.live.services.values().filter(of).collect();
        match found[..] {
            [one] => Ok(one),
            [] => Err(Refusal::not_found(format_args!("service {target}"))),
            _ => {
                let names: Vec<_> = found.iter().map(|s| s.service.path.to_string()).collect();
                Err(Refusal::usage(format!("{target} has several services"))
                    .hint(format!("name one: {}", names.join(", "))))
            }
        }
    }
}
