//! Who we are there, what there is, and how much of it may be had.

use super::Ec2;
use crate::ec2::action::Which;
use crate::ec2::limit;
use crate::provider::{Account, Error, HostKind, Limit, Result};

/// Kinds that are asked for in one question.
const KINDS_AT_ONCE: usize = 100;
/// States of machines that count against the limit.
const COUNTED: [&str; 2] = ["pending", "running"];

impl Ec2 {
    /// Who we are; and EC2 itself lets us look, not only the service that knows everybody.
    pub(super) async fn who(&self) -> Result<Account> {
        let caller = self.client.caller().await?;
        self.client.regions().await?;
        let user = caller.arn.rsplit(':').next().unwrap_or(&caller.arn).to_owned();
        Ok(Account { id: caller.account, user, source: self.client.credentials().await?.source })
    }

    pub(super) async fn open_zones(&self) -> Result<Vec<String>> {
        let zones = self.client.zones().await?;
        Ok(zones.into_iter().filter(|zone| zone.state == "available").map(|zone| zone.name).collect())
    }

    pub(super) async fn kinds_of(&self, names: &[String]) -> Result<Vec<HostKind>> {
        let mut all = Vec::new();
        for names in names.chunks(KINDS_AT_ONCE) {
            let kinds = self.client.kinds(names).await?;
            if let Some(name) = names.iter().find(|name| kinds.iter().all(|kind| kind.name != **name)) {
                return Err(Error::invalid(format_args!("there is no kind of machine {name}")));
            }
            all.extend(kinds.into_iter().map(|kind| HostKind {
                name: kind.name,
                cpus: kind.cpus,
                memory_mib: kind.memory_mib,
                architectures: kind.architectures,
            }));
        }
        Ok(all)
    }

    /// Those that can be counted. What else there is to reach is told when EC2 refuses.
    pub(super) async fn all_limits(&self) -> Result<Vec<Limit>> {
        let told = self.client.attributes().await?;
        let told = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, figure)| *figure);
        let mut limits = vec![
            self.limit("vpcs", None, self.client.vpcs(Which::Filters(&[])).await?.len()),
            self.limit("gateways", None, self.client.gateways(Which::Filters(&[])).await?.len()),
        ];
        let addresses = self.client.addresses(Which::Filters(&[]), super::KEY).await?.len();
        limits.push(self.limit("addresses", told("vpc-max-elastic-ips"), addresses));
        limits.extend(self.hosts_limit().await?);
        Ok(limits.into_iter().flatten().collect())
    }

    /// Machines are limited by processors, which EC2 tells nobody here: counted where somebody gave a figure.
    async fn hosts_limit(&self) -> Result<Option<Option<Limit>>> {
        if !self.limits.contains_key("hosts") {
            return Ok(None);
        }
        let there = self.client.machines(Which::Filters(&[("instance-state-name", &COUNTED)])).await?;
        Ok(Some(self.limit("hosts", None, there.len())))
    }

    fn limit(&self, name: &'static str, told: Option<u64>, used: usize) -> Option<Limit> {
        let known = limit::ALL.iter().find(|known| known.name == name)?;
        let allowed = self.limits.get(name).copied().or(told).unwrap_or(known.usual);
        Some(Limit { name, which: known.which, allowed, used: Some(used as u64), raise: known.raise })
    }

    /// Refuses, before anything is made, what would be one more than may be had.
    pub(super) async fn room_for(&self, names: &[&str]) -> Result<()> {
        let full = |limit: &Limit| names.contains(&limit.name) && limit.used >= Some(limit.allowed);
        match self.all_limits().await?.into_iter().find(full) {
            None => Ok(()),
            Some(Limit { which, allowed, used, raise, .. }) => Err(Error::LimitReached {
                which: which.to_owned(),
                allowed: Some(allowed),
                used,
                raise: raise.to_owned(),
            }),
        }
    }

    /// Refuses a machine more than the figure that somebody gave.
    pub(super) async fn room_for_host(&self) -> Result<()> {
        let Some(Some(limit)) = self.hosts_limit().await? else { return Ok(()) };
        match limit.used >= Some(limit.allowed) {
            false => Ok(()),
            true => Err(Error::LimitReached {
                which: "machines that lace may have here".to_owned(),
                allowed: Some(limit.allowed),
                used: limit.used,
                raise: "raise the figure that was given for this account, or remove hosts".to_owned(),
            }),
        }
    }
}
