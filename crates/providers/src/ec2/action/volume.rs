//! Volumes.

use super::{Answer, Tag, Which};
use crate::ec2::client::Client;
use crate::ec2::query::Query;
use crate::ec2::xml::Element;

/// What is said of a volume that is still on its way from its machine.
const TAKEN_OFF: [&str; 2] = ["VolumeInUse", "IncorrectState"];

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFound {
    /// Such as `vol-1`.
    pub id: String,
    /// `creating`, `available`, `in-use`, `deleting`, `error`.
    pub state: String,
    /// Its zone.
    pub zone: String,
    /// Its size in GiB.
    pub size_gib: u32,
    /// The machine that has it, and as which device.
    pub machine: Option<(String, String)>,
    /// Our id of it.
    pub key: Option<String>,
}

impl Client {
    /// `DescribeVolumes`; `key` is the tag with our id.
    pub async fn volumes(&self, which: Which<'_>, key: &str) -> Answer<Vec<VolumeFound>> {
        let query = Query::new("DescribeVolumes");
        self.found(query, which, "VolumeId", "volumeSet", 1_000, |item| volume(item, key)).await
    }

    /// `CreateVolume`: asking again with the same token finds the first volume.
    pub async fn create_volume(
        &self,
        zone: &str,
        size_gib: u32,
        kind: &str,
        token: &str,
        tags: &[Tag],
    ) -> Answer<String> {
        let query = Query::new("CreateVolume").set("AvailabilityZone", zone).set("Size", size_gib);
        let query = query.set("VolumeType", kind).set("ClientToken", token).tags(1, "volume", tags);
        self.made(&query, "", "volumeId").await
    }

    /// `AttachVolume`, as this device.
    pub async fn attach(&self, id: &str, machine: &str, device: &str) -> Answer<()> {
        let query = Query::new("AttachVolume").set("VolumeId", id).set("InstanceId", machine);
        self.done(&query.set("Device", device)).await
    }

    /// `DetachVolume`, whatever the machine does with it.
    pub async fn detach(&self, id: &str, machine: &str) -> Answer<()> {
        let query = Query::new("DetachVolume").set("VolumeId", id).set("InstanceId", machine);
        self.done(&query.set("Force", true)).await
    }

    /// `DeleteVolume`; one that is being taken off its machine is waited for.
    pub async fn erase(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteVolume").not_yet(&TAKEN_OFF).set("VolumeId", id)).await
    }
}

fn volume(item: &Element, key: &str) -> Result<VolumeFound, String> {
    let size = item.need("size")?;
    let attached = item.items("attachmentSet").find(|at| at.text("status") != Some("detached"));
    let machine = attached.and_then(|at| {
        Some((at.text("instanceId")?.to_owned(), at.text("device").unwrap_or_default().to_owned()))
    });
    Ok(VolumeFound {
        id: item.need("volumeId")?.to_owned(),
        state: item.need("status")?.to_owned(),
        zone: item.need("availabilityZone")?.to_owned(),
        size_gib: size.parse().map_err(|_| format!("{size:?} is no size"))?,
        machine,
        key: item.tag(key).map(str::to_owned),
    })
}
