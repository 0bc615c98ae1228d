//! Takes parts of networks away, in the order that they need: what others lean on goes last.

use super::Ec2;
use super::parts::Parts;
use crate::ec2::action::Answer;
use crate::provider::Result;

/// All of them. What is gone already is done.
pub(super) async fn sweep(ec2: &Ec2, parts: &Parts) -> Result<()> {
    let client = &ec2.client;
    for association in parts.tables.iter().flat_map(|table| &table.subnets) {
        gone(client.disassociate(&association.1).await)?;
    }
    for subnet in &parts.subnets {
        gone(client.delete_subnet(&subnet.id).await)?;
    }
    for table in &parts.tables {
        gone(client.delete_route_table(&table.id).await)?;
    }
    for gateway in &parts.gateways {
        for vpc in &gateway.vpcs {
            gone(client.detach_gateway(&gateway.id, vpc).await)?;
        }
        gone(client.delete_gateway(&gateway.id).await)?;
    }
    for group in &parts.groups {
        gone(client.delete_group(&group.id).await)?;
    }
    for login in &parts.logins {
        gone(client.delete_login(&login.name).await)?;
    }
    for vpc in &parts.vpcs {
        gone(client.delete_vpc(&vpc.id).await)?;
    }
    Ok(())
}

fn gone(done: Answer<()>) -> Result<()> {
    match done {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}
