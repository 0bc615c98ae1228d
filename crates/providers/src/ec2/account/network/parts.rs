//! The parts of a network, as they are found by tag.

use super::{Ec2, Ours};
use crate::ec2::action::{Gateway, Group, Login, RouteTable, SubnetFound, Vpc, Which};
use crate::provider::{Key, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub vpcs: Vec<Vpc>,
    pub subnets: Vec<SubnetFound>,
    pub gateways: Vec<Gateway>,
    pub tables: Vec<RouteTable>,
    pub groups: Vec<Group>,
    pub logins: Vec<Login>,
}

/// What there is under this key, the same order every time.
pub(super) async fn look(ec2: &Ec2, key: &Key) -> Result<Parts> {
    let (ours, client) = (Ours::of(ec2, key), &ec2.client);
    let filters = ours.filters();
    let which = || Which::Filters(&filters);
    let mut parts = Parts {
        vpcs: client.vpcs(which()).await?,
        subnets: client.subnets(which()).await?,
        gateways: client.gateways(which()).await?,
        tables: client.route_tables(which()).await?,
        groups: client.groups(which()).await?,
        logins: client.logins(which()).await?,
    };
    parts.vpcs.sort_by(|a, b| a.id.cmp(&b.id));
    parts.subnets.sort_by(|a, b| (&a.range, &a.id).cmp(&(&b.range, &b.id)));
    parts.gateways.sort_by(|a, b| a.id.cmp(&b.id));
    parts.tables.sort_by(|a, b| a.id.cmp(&b.id));
    parts.groups.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(parts)
}

impl Parts {
    /// These and those; what both know, as those say.
    pub fn and(self, those: Self) -> Self {
        let Self { vpcs, subnets, gateways, tables, groups, logins } = self;
        Self {
            vpcs: joined(vpcs, those.vpcs, |vpc| &vpc.id),
            subnets: joined(subnets, those.subnets, |subnet| &subnet.id),
            gateways: joined(gateways, those.gateways, |gateway| &gateway.id),
            tables: joined(tables, those.tables, |table| &table.id),
            groups: joined(groups, those.groups, |group| &group.id),
            logins: joined(logins, those.logins, |login| &login.name),
        }
    }

    /// These, without those.
    pub fn but(mut self, those: &Self) -> Self {
        self.vpcs.retain(|vpc| those.vpcs.iter().all(|other| other.id != vpc.id));
        self.subnets.retain(|subnet| those.subnets.iter().all(|other| other.id != subnet.id));
        self.gateways.retain(|gateway| those.gateways.iter().all(|other| other.id != gateway.id));
        self.tables.retain(|table| those.tables.iter().all(|other| other.id != table.id));
        self.groups.retain(|group| those.groups.iter().all(|other| other.id != group.id));
        self.logins.retain(|login| !those.logins.contains(login));
        self
    }
}

fn joined<T>(mut these: Vec<T>, those: Vec<T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    these.retain(|one| those.iter().all(|other| id(other) != id(one)));
    these.extend(those);
    these
}
