//! Public addresses that stay.

use super::{Answer, Tag, Which};
use crate::ec2::client::{Client, garbled};
use crate::ec2::query::Query;
use crate::ec2::xml::Element;
use std::net::Ipv4Addr;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticAddress {
    /// Such as `eipalloc-1`.
    pub id: String,
    /// The address.
    pub ip: Ipv4Addr,
    /// The machine that it leads to.
    pub machine: Option<String>,
    /// What ends that.
    pub association: Option<String>,
    /// Our id of it.
    pub key: Option<String>,
}

impl Client {
    /// `DescribeAddresses`; `key` is the tag with our id.
    pub async fn addresses(&self, which: Which<'_>, key: &str) -> Answer<Vec<ElasticAddress>> {
        let query = which.put(Query::new("DescribeAddresses"), "AllocationId");
        let answer = self.call(&query).await?;
        let items = answer.items("addressesSet");
        items.map(|item| address(item, key).map_err(garbled(query.action))).collect()
    }

    /// `AllocateAddress`: another one each time.
    pub async fn allocate(&self, tags: &[Tag]) -> Answer<(String, Ipv4Addr)> {
        let query = Query::once("AllocateAddress").set("Domain", "vpc").tags(1, "elastic-ip", tags);
        let answer = self.call(&query).await?;
        ip(&answer).map_err(garbled(query.action))
    }

    /// `AssociateAddress`: also away from where it leads.
    pub async fn lead(&self, id: &str, machine: &str) -> Answer<()> {
        let query = Query::new("AssociateAddress").set("AllocationId", id).set("InstanceId", machine);
        self.done(&query.set("AllowReassociation", true)).await
    }

    /// `DisassociateAddress`.
    pub async fn unlead(&self, association: &str) -> Answer<()> {
        self.done(&Query::new("DisassociateAddress").set("AssociationId", association)).await
    }

    /// `ReleaseAddress`.
    pub async fn release(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("ReleaseAddress").set("AllocationId", id)).await
    }
}

fn ip(item: &Element) -> Result<(String, Ipv4Addr), String> {
    let ip = item.need("publicIp")?;
    let ip = ip.parse().map_err(|_| format!("{ip:?} is no address"))?;
    Ok((item.need("allocationId")?.to_owned(), ip))
}

fn address(item: &Element, key: &str) -> Result<ElasticAddress, String> {
    let (id, ip) = ip(item)?;
    let text = |name: &str| item.text(name).map(str::to_owned);
    let key = item.tag(key).map(str::to_owned);
    Ok(ElasticAddress { id, ip, machine: text("instanceId"), association: text("associationId"), key })
}
