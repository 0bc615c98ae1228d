//! Machines: one for a key, ever.

use super::{Ec2, INSTALLATION, KEY, OURS, Ours};
use crate::ec2::action::{Machine, Run, Tag, Which};
use crate::provider::{
    EPOCH, Error, HostWanted, Instance, InstanceState, Key, Result, Stranger, Subnet, USER_DATA_BYTES_MAX,
};

/// More tags than these, and EC2's own, no thing may have.
const TAGS_MAX: usize = 40;
/// States of machines that are not gone.
const STATES: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

pub(super) async fn create(ec2: &Ec2, wanted: &HostWanted) -> Result<Instance> {
    let subnet = fits(wanted)?;
    let found = with_key(ec2, &wanted.key).await?;
    let machine = match (found.iter().find(|machine| lives(machine)), found.is_empty()) {
        (Some(machine), _) => machine.clone(),
        (None, false) => return Err(was_deleted(&wanted.key)),
        (None, true) => {
            ec2.room_for_host().await?;
            run(ec2, wanted, subnet).await?
        }
    };
    if !lives(&machine) {
        return Err(was_deleted(&wanted.key));
    }
    if machine.checked {
        ec2.client.carry_all(&machine.id).await?;
    }
    Ok(seen(machine, wanted.key.clone()))
}

/// Where it shall be, if it can be.
fn fits(wanted: &HostWanted) -> Result<&Subnet> {
    if wanted.user_data.len() > USER_DATA_BYTES_MAX {
        let bytes = wanted.user_data.len();
        let what = format!("user data of {bytes} bytes: there may be {USER_DATA_BYTES_MAX}");
        return Err(Error::invalid(what));
    }
    if wanted.tags.len() > TAGS_MAX {
        return Err(Error::invalid(format_args!("{} tags: there may be {TAGS_MAX}", wanted.tags.len())));
    }
    let mut subnets = wanted.network.subnets.iter();
    let fitting = subnets.find(|subnet| wanted.zone.as_ref().is_none_or(|zone| subnet.zone == *zone));
    fitting.ok_or_else(|| {
        let zone = wanted.zone.as_deref().unwrap_or("any zone");
        Error::invalid(format_args!("network {} has no subnet in {zone}", wanted.network.key))
    })
}

async fn run(ec2: &Ec2, wanted: &HostWanted, subnet: &Subnet) -> Result<Machine> {
    let mut tags = ec2.tags(&wanted.key, &wanted.name);
    tags.extend(wanted.tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    let disk_tags: Vec<Tag> = tags.iter().filter(|(key, _)| key != KEY).cloned().collect();
    let device = match wanted.disk_gib {
        Some(_) => ec2.client.image_disk(&wanted.image).await?,
        None => String::new(),
    };
    let run = Run {
        image: &wanted.image,
        kind: &wanted.kind,
        subnet: &subnet.id,
        group: &wanted.network.group,
        login: wanted.network.login.as_deref(),
        user_data: &wanted.user_data,
        token: &ec2.token(&wanted.key),
        spot: wanted.spot,
        disk: wanted.disk_gib.map(|gib| (gib, device.as_str())),
        tags: &tags,
        disk_tags: &disk_tags,
    };
    Ok(ec2.client.run(&run).await?)
}

/// Machines of ours with this key, the oldest first by id; also such as were terminated lately.
async fn with_key(ec2: &Ec2, key: &Key) -> Result<Vec<Machine>> {
    let ours = Ours::of(ec2, key);
    let mut found = ec2.client.machines(Which::Filters(&ours.filters())).await?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// The one of this key that lives.
pub(super) async fn living(ec2: &Ec2, key: &Key) -> Result<Machine> {
    let found = with_key(ec2, key).await?.into_iter().find(lives);
    found.ok_or_else(|| Error::not_found(format_args!("machine {key}")))
}

pub(super) async fn all(ec2: &Ec2) -> Result<Vec<Instance>> {
    let installation = [ec2.installation.as_str()];
    let filters: [(&str, &[&str]); 2] = [(OURS, &installation), ("instance-state-name", &STATES)];
    let found = ec2.client.machines(Which::Filters(&filters)).await?.into_iter();
    let ours = found.filter(|machine| machine.tag(INSTALLATION) == Some(&ec2.installation));
    Ok(ours
        .filter_map(|machine| Some((machine.tag(KEY)?.parse().ok()?, machine)))
        .map(|(key, m)| seen(m, key))
        .collect())
}

/// What bears the tag of an installation that is not ours.
pub(super) async fn strangers(ec2: &Ec2) -> Result<Vec<Stranger>> {
    let filters: [(&str, &[&str]); 2] = [("tag-key", &[INSTALLATION]), ("instance-state-name", &STATES)];
    let found = ec2.client.machines(Which::Filters(&filters)).await?.into_iter();
    let of = |machine: Machine| {
        let installation = machine.tag(INSTALLATION).filter(|of| *of != ec2.installation)?.to_owned();
        Some(Stranger { id: machine.id, installation })
    };
    Ok(found.filter_map(of).collect())
}

pub(super) async fn delete(ec2: &Ec2, key: &Key) -> Result<()> {
    let found = with_key(ec2, key).await?;
    let ids: Vec<&str> = found.iter().filter(|m| lives(m)).map(|machine| machine.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    match ec2.client.terminate(&ids).await {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

fn lives(machine: &Machine) -> bool {
    !matches!(state(&machine.state), InstanceState::Leaving | InstanceState::Gone)
}

fn was_deleted(key: &Key) -> Error {
    Error::invalid(format_args!("the machine {key} was deleted: choose another key"))
}

fn state(word: &str) -> InstanceState {
    match word {
        "pending" => InstanceState::Pending,
        "running" => InstanceState::Running,
        "stopping" | "stopped" => InstanceState::Stopped,
        "shutting-down" => InstanceState::Leaving,
        _ => InstanceState::Gone,
    }
}

fn seen(machine: Machine, key: Key) -> Instance {
    let epoch = machine.tag(EPOCH).and_then(|epoch| epoch.parse().ok());
    let Machine { id, reason, zone, kind, private, public, .. } = machine;
    Instance { id, key, state: state(&machine.state), reason, zone, kind, private, public, epoch }
}
