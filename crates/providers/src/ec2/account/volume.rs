//! Volumes.

use super::{Ec2, KEY, OURS, Ours, host};
use crate::ec2::action::{VolumeFound, Which};
use crate::provider::{Error, Key, Result, Volume, VolumeWanted};

/// What everybody means who says nothing.
const USUAL: &str = "gp3";
/// Devices that EC2 keeps free for volumes.
const DEVICES: std::ops::RangeInclusive<char> = 'f'..='p';

pub(super) async fn create(ec2: &Ec2, wanted: &VolumeWanted) -> Result<Volume> {
    let key = &wanted.key;
    if let Some(found) = with_key(ec2, key).await? {
        return Ok(seen(found, key.clone()));
    }
    if wanted.size_gib == 0 {
        return Err(Error::invalid(format_args!("volume {key} of 0 GiB")));
    }
    let (kind, token) = (wanted.kind.as_deref().unwrap_or(USUAL), ec2.token(key));
    let tags = ec2.tags(key, &format!("lace {key}"));
    let id = ec2.client.create_volume(&wanted.zone, wanted.size_gib, kind, &token, &tags).await?;
    let (zone, size_gib) = (wanted.zone.clone(), wanted.size_gib);
    Ok(Volume { id, key: key.clone(), zone, size_gib, attached: None })
}

async fn with_key(ec2: &Ec2, key: &Key) -> Result<Option<VolumeFound>> {
    let ours = Ours::of(ec2, key);
    let found = ec2.client.volumes(Which::Filters(&ours.filters()), KEY).await?.into_iter();
    Ok(found.filter(there).min_by(|a, b| a.id.cmp(&b.id)))
}

fn there(volume: &VolumeFound) -> bool {
    !matches!(volume.state.as_str(), "deleting" | "deleted")
}

pub(super) async fn all(ec2: &Ec2) -> Result<Vec<Volume>> {
    let installation = [ec2.installation.as_str()];
    let found = ec2.client.volumes(Which::Filters(&[(OURS, &installation)]), KEY).await?.into_iter();
    // The disks of machines have no key, and go with their machine.
    Ok(found
        .filter(there)
        .filter_map(|one| Some((one.key.as_deref()?.parse().ok()?, one)))
        .map(|(key, one)| seen(one, key))
        .collect())
}

pub(super) async fn attach(ec2: &Ec2, key: &Key, to: &Key) -> Result<()> {
    let found = with_key(ec2, key).await?;
    let volume = found.ok_or_else(|| Error::not_found(format_args!("volume {key}")))?;
    let machine = host::living(ec2, to).await?;
    match &volume.machine {
        Some((id, _)) if *id == machine.id => return Ok(()),
        Some((id, _)) => return Err(Error::in_use(format_args!("volume {key} is attached to {id}"))),
        None => {}
    }
    if volume.zone != machine.zone {
        let what = format!("volume {key} is in zone {}, machine {to} in {}", volume.zone, machine.zone);
        return Err(Error::invalid(what));
    }
    let id = [machine.id.as_str()];
    let others = ec2.client.volumes(Which::Filters(&[("attachment.instance-id", &id)]), KEY).await?;
    let taken =
        |device: &String| others.iter().any(|o| o.machine.as_ref().is_some_and(|(_, at)| at == device));
    let device = DEVICES.map(|letter| format!("/dev/sd{letter}")).find(|device| !taken(device));
    let device = device.ok_or_else(|| Error::LimitReached {
        which: "volumes of one machine".to_owned(),
        allowed: Some(DEVICES.count() as u64),
        used: Some(DEVICES.count() as u64),
        raise: "attach it to another machine".to_owned(),
    })?;
    Ok(ec2.client.attach(&volume.id, &machine.id, &device).await?)
}

/// Taking it off takes EC2 a moment: deleting is asked for until that is over, within the time of one call.
pub(super) async fn delete(ec2: &Ec2, key: &Key) -> Result<()> {
    let Some(volume) = with_key(ec2, key).await? else { return Ok(()) };
    if let Some((machine, _)) = &volume.machine {
        match ec2.client.detach(&volume.id, machine).await {
            Err(fault) if fault.is_not_found() || fault.is("IncorrectState") => {}
            other => other?,
        }
    }
    match ec2.client.erase(&volume.id).await {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

fn seen(found: VolumeFound, key: Key) -> Volume {
    let attached = found.machine.map(|(id, _)| id);
    Volume { id: found.id, key, zone: found.zone, size_gib: found.size_gib, attached }
}
