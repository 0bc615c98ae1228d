//! `lace volume create`, `attach`, `detach`, `resize`: what volumes a service has, without a manifest. Its nodes change one after
//! the other, as for every new revision; what a volume holds stays whoever has it.

use super::Volumes;
use crate::command::family::service_of;
use crate::command::service::change::change;
use crate::command::{Outcome, Session, confirm};
use lace_model::application::ServiceSpec;
use lace_model::revision::VolumeSpec;
use lace_model::{ByteSize, Code, Name, Problem, TargetPath};
use lace_wire::client::Client;

/// Where a volume is seen in nodes where nobody says.
const USUAL_PLACE: &str = "/media";
/// Former revisions that are asked where a volume was.
const LOOKED_BACK_MAX: usize = 50;

/// The volumes of a service: those that it says itself, and all that its nodes have, those of its package among them.
struct Had {
    said: Vec<VolumeSpec>,
    all: Vec<VolumeSpec>,
}

impl Had {
    async fn of(client: &Client, target: &TargetPath) -> Result<Self, Problem> {
        let service = service_of(target)?;
        let spec = client.export(&target.app).await?.services.remove(&service);
        let missing = || Problem::not_found(format_args!("service {target}")).hint("lace service list");
        let said = spec.ok_or_else(missing)?.volumes.unwrap_or_default();
        Ok(Self { said, all: client.revision(target).await?.spec.volumes })
    }

    fn find(&self, name: &Name) -> Option<&VolumeSpec> {
        self.all.iter().find(|volume| volume.name == *name)
    }

    fn missing(&self, which: &Volumes) -> Problem {
        let known: Vec<_> = self.all.iter().map(|volume| volume.name.as_str()).collect();
        let hint = match known.is_empty() {
            true => format!("lace volume create {} NAME SIZE", which.target),
            false => format!("it has {}", known.join(", ")),
        };
        Problem::not_found(format_args!("volume {} of {}", which.name, which.target)).hint(hint)
    }
}

/// What a service says of its volumes, changed by what it says at that moment.
async fn say(
    s: &mut Session,
    target: &TargetPath,
    edit: impl Fn(&mut Vec<VolumeSpec>) -> Result<(), Problem>,
) -> Outcome {
    change(s, target, |now| {
        let mut volumes = now.volumes.clone().unwrap_or_default();
        edit(&mut volumes)?;
        Ok(ServiceSpec { volumes: Some(volumes), ..ServiceSpec::default() })
    })
    .await
}

/// This one in the place of the former one of its name.
fn put(volumes: &mut Vec<VolumeSpec>, volume: &VolumeSpec) {
    match volumes.iter_mut().find(|known| known.name == volume.name) {
        Some(known) => *known = volume.clone(),
        None => volumes.push(volume.clone()),
    }
}

fn has_already(which: &Volumes) -> Problem {
    let text = format!("{} has a volume {} already", which.target, which.name);
    Problem::new(Code::Conflict, text).hint(format!("lace volume resize {which} SIZE"))
}

/// A new one for each node. What a former one of this name holds is not given away unawares.
pub async fn create(s: &mut Session, which: &Volumes, size: ByteSize, at: Option<String>) -> Outcome {
    let client = s.client()?;
    let had = Had::of(&client, &which.target).await?;
    if had.find(&which.name).is_some() {
        return Err(has_already(which));
    }
    let kept = client.volumes(Some(&which.target)).await?;
    if kept.iter().any(|volume| volume.name == which.name) {
        let text = format!("a former volume {} of {} is kept, with what is in it", which.name, which.target);
        return Err(Problem::new(Code::Conflict, text)
            .hint(format!("lace volume attach {which} gives it back; lace volume delete {which} ends it")));
    }
    let at = at.unwrap_or_else(|| format!("{USUAL_PLACE}/{}", which.name));
    let volume = VolumeSpec { name: which.name.clone(), size, at, backup: None, keep: None };
    say(s, &which.target, |volumes| match volumes.iter().any(|known| known.name == volume.name) {
        true => Err(has_already(which)),
        false => {
            volumes.push(volume.clone());
            Ok(())
        }
    })
    .await
}

/// One that was detached comes back where it was, with what is in it.
pub async fn attach(s: &mut Session, which: &Volumes, at: Option<String>) -> Outcome {
    let client = s.client()?;
    let had = Had::of(&client, &which.target).await?;
    if let Some(there) = had.find(&which.name) {
        let text = format!("{} has volume {} at {} already", which.target, which.name, there.at);
        return Err(Problem::new(Code::Conflict, text));
    }
    let kept = client.volumes(Some(&which.target)).await?;
    let size =
        kept.iter().filter(|volume| volume.name == which.name).map(|volume| volume.size.unwrap_or(0)).max();
    let Some(size) = size else {
        return Err(Problem::not_found(format_args!(
            "volume {} of {} that is kept",
            which.name, which.target
        ))
        .hint(format!("lace volume create {} {} SIZE", which.target, which.name)));
    };
    let former = former(&client, which).await?;
    let usual = VolumeSpec {
        name: which.name.clone(),
        size: ByteSize(size),
        at: format!("{USUAL_PLACE}/{}", which.name),
        backup: None,
        keep: None,
    };
    let mut volume = former.unwrap_or(usual);
    volume.size = volume.size.max(ByteSize(size));
    volume.at = at.unwrap_or(volume.at);
    say(s, &which.target, |volumes| {
        put(volumes, &volume);
        Ok(())
    })
    .await
}

/// As the last revision said it that had it.
async fn former(client: &Client, which: &Volumes) -> Result<Option<VolumeSpec>, Problem> {
    for line in client.history(&which.target).await?.into_iter().take(LOOKED_BACK_MAX) {
        let revision = client.revision_number(&which.target, line.number).await?;
        if let Some(found) = revision.spec.volumes.into_iter().find(|volume| volume.name == which.name) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Nodes have it no more; what is in it stays where it is.
pub async fn detach(s: &mut Session, which: &Volumes) -> Outcome {
    let client = s.client()?;
    let had = Had::of(&client, &which.target).await?;
    if had.find(&which.name).is_none() {
        return Err(had.missing(which));
    }
    if !had.said.iter().any(|volume| volume.name == which.name) {
        let text =
            format!("volume {} of {} is its package's, which cannot be without it", which.name, which.target);
        return Err(Problem::new(Code::Conflict, text));
    }
    confirm::destructive(s, &format!("this takes volume {} from the nodes of {}", which.name, which.target))?;
    say(s, &which.target, |volumes| {
        volumes.retain(|volume| volume.name != which.name);
        Ok(())
    })
    .await
}

/// A larger one; what is in it stays.
pub async fn resize(s: &mut Session, which: &Volumes, size: ByteSize) -> Outcome {
    let client = s.client()?;
    let had = Had::of(&client, &which.target).await?;
    let Some(volume) = had.find(&which.name).cloned() else { return Err(had.missing(which)) };
    if size < volume.size {
        let text = format!(
            "volume {} of {} has {} already, and volumes only grow",
            which.name,
            which.target,
            volume.size.human()
        );
        return Err(Problem::new(Code::Usage, text)
            .hint("a smaller one: create another, copy what is in it, delete this one"));
    }
    let volume = VolumeSpec { size, ..volume };
    say(s, &which.target, |volumes| {
        put(volumes, &volume);
        Ok(())
    })
    .await
}
