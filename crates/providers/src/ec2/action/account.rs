//! Who we are, and what there is in the region.

use super::Answer;
use crate::ec2::client::{Client, garbled};
use crate::ec2::query::{Query, Service};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The user's or role's name of resource.
    pub arn: String,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Such as `eu-west-1a`.
    pub name: String,
    /// `available`, or why not.
    pub state: String,
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Such as `t3.small`.
    pub name: String,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Such as `x86_64`.
    pub architectures: Vec<String>,
}

impl Client {
    /// `sts:GetCallerIdentity`: needs no permission.
    pub async fn caller(&self) -> Answer<Caller> {
        let query = Query::new("GetCallerIdentity").of(Service::Sts);
        let answer = self.call(&query).await?;
        let bad = garbled(query.action);
        let result = answer.child("GetCallerIdentityResult").unwrap_or(&answer);
        let account = result.need("Account").map_err(&bad)?.to_owned();
        Ok(Caller { account, arn: result.need("Arn").map_err(&bad)?.to_owned() })
    }

    /// `DescribeRegions`: those that the account may use.
    pub async fn regions(&self) -> Answer<Vec<String>> {
        let answer = self.call(&Query::new("DescribeRegions")).await?;
        let names = answer.items("regionInfo").filter_map(|item| item.text("regionName"));
        Ok(names.map(str::to_owned).collect())
    }

    /// `DescribeAvailabilityZones`.
    pub async fn zones(&self) -> Answer<Vec<Zone>> {
        let query = Query::new("DescribeAvailabilityZones").filter(1, "zone-type", &["availability-zone"]);
        let answer = self.call(&query).await?;
        let zones = answer.items("availabilityZoneInfo");
        let zones = zones.filter_map(|item| {
            let state = item.text("zoneState").unwrap_or("available").to_owned();
            Some(Zone { name: item.text("zoneName")?.to_owned(), state })
        });
        Ok(zones.collect())
    }

    /// `DescribeInstanceTypes`: these, at most a hundred.
    pub async fn kinds(&self, names: &[String]) -> Answer<Vec<Kind>> {
        let query = Query::new("DescribeInstanceTypes").list("InstanceType", names);
        let answer = self.call(&query).await?;
        let bad = garbled(query.action);
        answer.items("instanceTypeSet").map(|item| kind(item).map_err(&bad)).collect()
    }

    /// `DescribeAccountAttributes`: what the account may have, by name, as far as it is told so.
    pub async fn attributes(&self) -> Answer<Vec<(String, u64)>> {
        let answer = self.call(&Query::new("DescribeAccountAttributes")).await?;
        let attributes = answer.items("accountAttributeSet");
        let figures = attributes.filter_map(|item| {
            let value = item.items("attributeValueSet").next()?.text("attributeValue")?;
            Some((item.text("attributeName")?.to_owned(), value.parse().ok()?))
        });
        Ok(figures.collect())
    }

    /// `DescribeImages`: is it there? Where not, that is its error.
    pub async fn image(&self, id: &str) -> Answer<bool> {
        let answer = self.call(&Query::new("DescribeImages").list("ImageId", [id])).await?;
        Ok(answer.items("imagesSet").next().is_some())
    }
}

fn kind(item: &crate::ec2::xml::Element) -> Result<Kind, String> {
    let figure = |set: &str, name: &str| {
        let text = item.child(set).and_then(|set| set.text(name)).unwrap_or_default();
        text.parse::<u64>().map_err(|_| format!("{set} has no figure {name}"))
    };
    let architectures =
        item.child("processorInfo").into_iter().flat_map(|info| info.items("supportedArchitectures"));
    Ok(Kind {
        name: item.need("instanceType")?.to_owned(),
        cpus: u32::try_from(figure("vCpuInfo", "defaultVCpus")?).map_err(|e| e.to_string())?,
        memory_mib: figure("memoryInfo", "sizeInMiB")?,
        architectures: architectures.map(|item| item.text.trim().to_owned()).collect(),
    })
}
