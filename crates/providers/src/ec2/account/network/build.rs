//! The steps that make a network. Each finds its part, or makes it and adds it to the parts.

use super::Ec2;
use super::parts::Parts;
use super::range::Range;
use crate::ec2::action::{Gateway, Group, Login, RouteTable, Rule, SubnetFound, Tag, Vpc, Which};
use crate::ec2::fault::Fault;
use crate::ec2::sign::sha256_hex;
use crate::provider::{Error, Network, NetworkWanted, Result, Subnet};
use std::collections::BTreeSet;

pub(super) async fn build(ec2: &Ec2, wanted: &NetworkWanted, parts: &mut Parts) -> Result<Network> {
    let step = Step { ec2, wanted, tags: ec2.tags(&wanted.key, &format!("lace {}", wanted.key)) };
    let (vpc, subnets) = match &wanted.adopt {
        Some(id) => step.adopted(id).await?,
        None => step.own(parts).await?,
    };
    let group = step.group(&vpc, parts).await?;
    let login = step.login(parts).await?;
    let (key, adopted) = (wanted.key.clone(), wanted.adopt.is_some());
    Ok(Network { key, id: vpc.id, range: vpc.range, subnets, group, login, adopted })
}

struct Step<'a> {
    ec2: &'a Ec2,
    wanted: &'a NetworkWanted,
    tags: Vec<Tag>,
}

/// A VPC of our own.
impl Step<'_> {
    async fn own(&self, parts: &mut Parts) -> Result<(Vpc, Vec<Subnet>)> {
        let vpc = self.vpc(parts).await?;
        let gateway = self.gateway(&vpc, parts).await?;
        let table = self.table(&vpc, &gateway, parts).await?;
        let mut subnets = Vec::new();
        for zone in self.zones(parts) {
            subnets.push(self.subnet(&vpc, &table, &zone, parts).await?);
        }
        Ok((vpc, subnets))
    }

    /// Those of the subnets that are there, then those that are wanted besides.
    fn zones(&self, parts: &Parts) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let there = parts.subnets.iter().map(|subnet| &subnet.zone);
        there.chain(&self.wanted.zones).filter(|zone| seen.insert(*zone)).cloned().collect()
    }

    async fn vpc(&self, parts: &mut Parts) -> Result<Vpc> {
        let client = &self.ec2.client;
        Range::read(&self.wanted.range).map_err(Error::invalid)?;
        let vpc = match parts.vpcs.first() {
            Some(vpc) => vpc.clone(),
            None => {
                self.ec2.room_for(&["vpcs", "gateways"]).await?;
                let vpc = client.create_vpc(&self.wanted.range, &self.tags).await?;
                parts.vpcs.push(vpc.clone());
                vpc
            }
        };
        client.name_machines(&vpc.id).await?;
        Ok(vpc)
    }

    async fn gateway(&self, vpc: &Vpc, parts: &mut Parts) -> Result<String> {
        let client = &self.ec2.client;
        let gateway = match parts.gateways.first() {
            Some(gateway) => gateway.clone(),
            None => {
                let gateway = Gateway { id: client.create_gateway(&self.tags).await?, vpcs: Vec::new() };
                parts.gateways.push(gateway.clone());
                gateway
            }
        };
        if !gateway.vpcs.contains(&vpc.id) {
            done_already(client.attach_gateway(&gateway.id, &vpc.id).await, "Resource.AlreadyAssociated")?;
            if let Some(known) = parts.gateways.first_mut() {
                known.vpcs.push(vpc.id.clone());
            }
        }
        Ok(gateway.id)
    }

    async fn table(&self, vpc: &Vpc, gateway: &str, parts: &mut Parts) -> Result<RouteTable> {
        let client = &self.ec2.client;
        let table = match parts.tables.first() {
            Some(table) => table.clone(),
            None => {
                let id = client.create_route_table(&vpc.id, &self.tags).await?;
                let table = RouteTable { id, vpc: vpc.id.clone(), world: None, subnets: Vec::new() };
                parts.tables.push(table.clone());
                table
            }
        };
        if table.world.is_none() {
            done_already(client.open_route_table(&table.id, gateway).await, "RouteAlreadyExists")?;
        }
        Ok(table)
    }

    async fn subnet(&self, vpc: &Vpc, table: &RouteTable, zone: &str, parts: &mut Parts) -> Result<Subnet> {
        let client = &self.ec2.client;
        let found = parts.subnets.iter().find(|subnet| subnet.zone == zone).cloned();
        let subnet = match found {
            Some(subnet) => subnet,
            None => {
                let range = self.free_range(vpc, parts)?;
                let id = client.create_subnet(&vpc.id, zone, &range, &self.tags).await?;
                let (vpc, zone) = (vpc.id.clone(), zone.to_owned());
                let subnet = SubnetFound { id, vpc, zone, range, public: false };
                parts.subnets.push(subnet.clone());
                subnet
            }
        };
        if !subnet.public {
            client.open_subnet(&subnet.id).await?;
        }
        if table.subnets.iter().all(|(id, _)| *id != subnet.id) {
            client.associate(&table.id, &subnet.id).await?;
        }
        Ok(Subnet { id: subnet.id, zone: subnet.zone, range: subnet.range })
    }

    fn free_range(&self, vpc: &Vpc, parts: &Parts) -> Result<String> {
        let taken: Vec<String> = parts.subnets.iter().map(|subnet| subnet.range.clone()).collect();
        let whole = Range::read(&vpc.range).map_err(Error::invalid)?;
        whole.free(&taken).ok_or_else(|| Error::LimitReached {
            which: format!("zones in a network of {}", vpc.range),
            allowed: Some(256),
            used: Some(taken.len() as u64),
            raise: "make another network".to_owned(),
        })
    }
}

/// Somebody else's VPC.
impl Step<'_> {
    async fn adopted(&self, id: &str) -> Result<(Vpc, Vec<Subnet>)> {
        let client = &self.ec2.client;
        let found = client.vpcs(Which::Ids(&[id])).await?.into_iter().next();
        let vpc = found.ok_or_else(|| Error::not_found(format_args!("VPC {id}")))?;
        let mut there = client.subnets(Which::Filters(&[("vpc-id", &[id])])).await?;
        there.sort_by(|a, b| a.id.cmp(&b.id));
        let subnet = |zone: &String| {
            let found = there.iter().find(|subnet| subnet.zone == *zone);
            let lacks = || {
                Error::invalid(format_args!("{id} has no subnet in {zone}: make one, or name other zones"))
            };
            found.ok_or_else(lacks).map(|subnet| Subnet {
                id: subnet.id.clone(),
                zone: zone.clone(),
                range: subnet.range.clone(),
            })
        };
        let subnets = self.wanted.zones.iter().map(subnet).collect::<Result<_>>()?;
        Ok((vpc, subnets))
    }
}

/// Who comes in.
impl Step<'_> {
    async fn group(&self, vpc: &Vpc, parts: &mut Parts) -> Result<String> {
        let (client, key) = (&self.ec2.client, &self.wanted.key);
        let group = match parts.groups.first() {
            Some(group) => group.clone(),
            None => {
                let name = format!("lace-{}-{key}", self.ec2.installation);
                let about = format!("machines of lace in {key}");
                let id = client.create_group(&vpc.id, &name, &about, &self.tags).await?;
                let group = Group { id, vpc: vpc.id.clone(), rules: Vec::new() };
                parts.groups.push(group.clone());
                group
            }
        };
        if group.vpc != vpc.id {
            let what = format!("network {key} is in {} already: delete it, or choose another key", group.vpc);
            return Err(Error::invalid(what));
        }
        self.rules(&group).await?;
        Ok(group.id)
    }

    /// What is wanted and not there is added, each by itself: a group refuses all of a list that has one that it knows. What
    /// is there and not wanted goes.
    async fn rules(&self, group: &Group) -> Result<()> {
        let client = &self.ec2.client;
        let range = |protocol: &str, from, to, range: &String| {
            let (protocol, range) = (protocol.to_owned(), range.clone());
            Rule::Range { protocol, from, to, range }
        };
        let ports = self.wanted.ports.iter();
        let ports = ports.flat_map(|p| p.sources.iter().map(|from| range(p.protocol, p.from, p.to, from)));
        let wanted: BTreeSet<Rule> = ports.chain([Rule::Group(group.id.clone())]).collect();
        for rule in wanted.iter().filter(|rule| !group.rules.contains(rule)) {
            let done = client.let_in(&group.id, std::slice::from_ref(rule)).await;
            done_already(done, "InvalidPermission.Duplicate")?;
        }
        let ours = |rule: &&Rule| **rule != Rule::Other && !wanted.contains(rule);
        for rule in group.rules.iter().filter(ours) {
            client.keep_out(&group.id, std::slice::from_ref(rule)).await?;
        }
        Ok(())
    }

    /// Its name has a digest of the key in it: another key is another login.
    async fn login(&self, parts: &mut Parts) -> Result<Option<String>> {
        let Some(public) = &self.wanted.login else { return Ok(None) };
        let digest = sha256_hex(public.trim().as_bytes());
        let digest = digest.get(..12).unwrap_or_default();
        let name = format!("lace-{}-{}-{digest}", self.ec2.installation, self.wanted.key);
        if parts.logins.iter().all(|login| login.name != name) {
            let made = self.ec2.client.import_login(&name, public.trim(), &self.tags).await;
            done_already(made, "InvalidKeyPair.Duplicate")?;
            parts.logins.push(Login { name: name.clone() });
        }
        Ok(Some(name))
    }
}

/// What is there already is as good as done.
fn done_already(done: std::result::Result<(), Fault>, code: &str) -> Result<()> {
    match done {
        Err(fault) if fault.is(code) => Ok(()),
        other => Ok(other?),
    }
}
