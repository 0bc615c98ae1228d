//! What a person's request writes: the objects, what the operation then waits for, and what is told.

use lace_model::event::NewEvent;
use lace_model::family::{Application, Family, Service};
use lace_model::operation::Goal;
use lace_model::revision::Revision;
use lace_model::{FamilyPath, Millis};

/// Who does something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    /// The name of the person or the token.
    pub actor: String,
    /// When.
    pub now: Millis,
}

/// Objects to put in one commit (each as a whole, under its key), and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The application, where it is new or changes.
    pub application: Option<Application>,
    /// Services.
    pub services: Vec<Service>,
    /// Families. Those with `deleting` go when their nodes are gone.
    pub families: Vec<Family>,
    /// Revisions: new ones, and old ones whose mark changes.
    pub revisions: Vec<Revision>,
    /// What the operation waits for.
    pub goals: Vec<Goal>,
    /// Events.
    pub events: Vec<NewEvent>,
}

impl Edit {
    /// Is there nothing to write?
    pub fn is_empty(&self) -> bool {
        self.application.is_none()
            && self.services.is_empty()
            && self.families.is_empty()
            && self.revisions.is_empty()
    }

    /// Adds another edit's objects.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.application = other.application.or(self.application);
        self.services.extend(other.services);
        self.families.extend(other.families);
        self.revisions.extend(other.revisions);
        self.goals.extend(other.goals);
        self.events.extend(other.events);
        self
    }
}

/// The goal of a family as it is wanted; which restart its processes have seen does not count.
pub fn goal_of(family: &Family) -> Goal {
    let ready = if family.running { family.count } else { 0 };
    Goal { family: family.path.clone(), revision: Some(family.revision), restart: 0, ready }
}

/// The goal of a family that goes.
pub fn goal_gone(path: &FamilyPath) -> Goal {
    Goal { family: path.clone(), revision: None, restart: 0, ready: 0 }
}
