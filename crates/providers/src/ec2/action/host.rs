//! Machines.

use super::{Answer, Tag, Which};
use crate::ec2::client::{Client, garbled};
use crate::ec2::query::Query;
use crate::ec2::xml::Element;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::Ipv4Addr;

/// A machine as it shall be.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// What it boots from.
    pub image: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Where it is.
    pub subnet: &'a str,
    /// The rules that it is under.
    pub group: &'a str,
    /// Who may log in.
    pub login: Option<&'a str>,
    /// The script that it boots with.
    pub user_data: &'a str,
    /// Asking again with the same token finds the first machine: up to 64 signs.
    pub token: &'a str,
    /// Cheaper, and taken away when somebody pays more.
    pub spot: bool,
    /// Size of its first disk in GiB, and the device's name.
    pub disk: Option<(u32, &'a str)>,
    /// Its tags.
    pub tags: &'a [Tag],
    /// The tags of its disks.
    pub disk_tags: &'a [Tag],
}

/// A machine that is there, or was lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Such as `i-1`.
    pub id: String,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    pub state: String,
    /// Why it is so.
    pub reason: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Its zone.
    pub zone: String,
    /// The VPC that it is in.
    pub vpc: Option<String>,
    /// Its address inside.
    pub private: Option<Ipv4Addr>,
    /// Its address outside.
    pub public: Option<Ipv4Addr>,
    /// Does EC2 drop packets that are not from or for its own address?
    pub checked: bool,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Machine {
    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// `RunInstances`: one machine.
    pub async fn run(&self, run: &Run<'_>) -> Answer<Machine> {
        let query = Query::new("RunInstances").set("MinCount", 1).set("MaxCount", 1);
        let query = query.set("ImageId", run.image).set("InstanceType", run.kind).set("SubnetId", run.subnet);
        let query = query.set("SecurityGroupId.1", run.group).some("KeyName", run.login);
        let query = query.set("UserData", STANDARD.encode(run.user_data)).set("ClientToken", run.token);
        let query = query.tags(1, "instance", run.tags).tags(2, "volume", run.disk_tags);
        let query = match run.spot {
            true => query
                .set("InstanceMarketOptions.MarketType", "spot")
                .set("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time"),
            false => query,
        };
        let query = match run.disk {
            Some((gib, device)) => query
                .set("BlockDeviceMapping.1.DeviceName", device)
                .set("BlockDeviceMapping.1.Ebs.VolumeSize", gib)
                .set("BlockDeviceMapping.1.Ebs.DeleteOnTermination", true),
            None => query,
        };
        // Only who has a session may read the user data: a program in a node has none.
        let query = query.set("MetadataOptions.HttpTokens", "required");
        let query = query.set("MetadataOptions.HttpPutResponseHopLimit", 1);
        let answer = self.call(&query).await?;
        let first = answer.items("instancesSet").next().ok_or_else(|| "it has no machine".to_owned());
        first.and_then(machine).map_err(garbled(query.action))
    }

    /// `DescribeInstances`: also those that were terminated within about an hour.
    pub async fn machines(&self, which: Which<'_>) -> Answer<Vec<Machine>> {
        let query = Query::new("DescribeInstances");
        let read = |item: &Element| item.items("instancesSet").map(machine).collect::<Result<Vec<_>, _>>();
        let reservations = self.found(query, which, "InstanceId", "reservationSet", 1_000, read).await?;
        Ok(reservations.into_iter().flatten().collect())
    }

    /// `TerminateInstances`.
    pub async fn terminate(&self, ids: &[&str]) -> Answer<()> {
        self.done(&Query::new("TerminateInstances").list("InstanceId", ids)).await
    }

    /// `ModifyInstanceAttribute`: the machine may carry packets of its nodes, which have addresses of their own.
    pub async fn carry_all(&self, id: &str) -> Answer<()> {
        let query = Query::new("ModifyInstanceAttribute").fresh().set("InstanceId", id);
        self.done(&query.set("SourceDestCheck.Value", false)).await
    }

    /// `DescribeImages`: the name of an image's first disk.
    pub async fn image_disk(&self, id: &str) -> Answer<String> {
        let query = Query::new("DescribeImages").list("ImageId", [id]);
        let answer = self.call(&query).await?;
        let image = answer.items("imagesSet").next();
        let device = image.and_then(|image| image.text("rootDeviceName")).unwrap_or("/dev/sda1");
        Ok(device.to_owned())
    }
}

fn machine(item: &Element) -> Result<Machine, String> {
    let ip = |name: &str| item.text(name).and_then(|text| text.parse().ok());
    let state = item.child("instanceState").ok_or_else(|| "a machine has no instanceState".to_owned())?;
    let reason = item.child("stateReason").and_then(|reason| reason.text("message"));
    let zone = item.child("placement").and_then(|place| place.text("availabilityZone"));
    let tags = item.items("tagSet").filter_map(|tag| {
        Some((tag.text("key")?.to_owned(), tag.text("value").unwrap_or_default().to_owned()))
    });
    Ok(Machine {
        id: item.need("instanceId")?.to_owned(),
        state: state.need("name")?.to_owned(),
        reason: reason.map(str::to_owned),
        kind: item.text("instanceType").unwrap_or_default().to_owned(),
        zone: zone.unwrap_or_default().to_owned(),
        vpc: item.text("vpcId").map(str::to_owned),
        private: ip("privateIpAddress"),
        public: ip("ipAddress"),
        checked: item.text("sourceDestCheck") != Some("false"),
        tags: tags.collect(),
    })
}
