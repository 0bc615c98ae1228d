//! Deeds on a target: forms become the API's verbs.

use crate::page;
use crate::visit::Visit;
use axum::Form;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, ApplyRequest, ServiceSpec};
use lace_model::revision::Opening;
use lace_model::{Code, Problem, ServicePath, TargetPath};
use lace_wire::api::{Accepted, RolloutStep, VerbRequest};
use serde::Deserialize;
use std::str::FromStr;

/// A form about a target.
#[derive(Deserialize)]
pub struct VerbForm {
    verb: String,
    target: String,
    #[serde(default)]
    count: String,
    #[serde(default)]
    save: Option<String>,
    #[serde(default)]
    to: String,
    #[serde(default)]
    release: String,
    #[serde(default)]
    hot: Option<String>,
    #[serde(default)]
    force: Option<String>,
    #[serde(default)]
    delete_data: Option<String>,
}

impl VerbForm {
    fn request(self) -> Result<VerbRequest, Problem> {
        let target: TargetPath = target(&self.target)?;
        let step = |step| VerbRequest::Rollout { target: target.clone(), step };
        Ok(match self.verb.as_str() {
            "scale" => VerbRequest::Scale { target, count: self.count, save: self.save.is_some() },
            "start" => VerbRequest::Start { target },
            "stop" => VerbRequest::Stop { target },
            "restart" => VerbRequest::Restart { target },
            "replace" => VerbRequest::Replace { target },
            "delete" => VerbRequest::Delete {
                target,
                force: self.force.is_some(),
                delete_data: self.delete_data.is_some(),
            },
            "rollback" => {
                let to = number(&self.to, "a revision")?;
                VerbRequest::Rollback { target, to, hot: self.hot.is_some() }
            }
            "failover" => VerbRequest::Failover { target, to: number(&self.to, "a node")? },
            "activate" => VerbRequest::Activate { target, release: self.release, hot: self.hot.is_some() },
            "pause" => step(RolloutStep::Pause),
            "resume" => step(RolloutStep::Resume),
            "promote" => step(RolloutStep::Promote),
            "promote-step" => step(RolloutStep::PromoteStep),
            "abort" => step(RolloutStep::Abort),
            other => return Err(usage(format!("there is no verb {other:?}"))),
        })
    }
}

/// A refusal of a form's words.
pub fn usage(message: impl Into<String>) -> Problem {
    Problem::new(Code::Usage, message)
}

/// A target from a form.
pub fn target(text: &str) -> Result<TargetPath, Problem> {
    text.parse().map_err(|e: lace_model::name::NameError| usage(e.to_string()))
}

fn number<N: FromStr>(text: &str, of: &str) -> Result<Option<N>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| usage(format!("{text:?} is not the number of {of}")))
}

/// `POST /act/verb`.
pub async fn verb(visit: Visit, Form(form): Form<VerbForm>) -> Response {
    page::accepted(act(&visit, form).await)
}

async fn act(visit: &Visit, form: VerbForm) -> Result<Accepted, Problem> {
    visit.post("/v1/verbs", &form.request()?).await
}

/// The whole of a service's openings, one a line.
#[derive(Deserialize)]
pub struct FirewallForm {
    target: String,
    openings: String,
}

/// `POST /act/firewall`.
pub async fn firewall(visit: Visit, Form(form): Form<FirewallForm>) -> Response {
    page::accepted(set_firewall(&visit, &form).await)
}

async fn set_firewall(visit: &Visit, form: &FirewallForm) -> Result<Accepted, Problem> {
    let target = target(&form.target)?;
    let service = target.service.clone().ok_or_else(|| usage(format!("{target} is not a service")))?;
    let lines = form.openings.lines().map(str::trim).filter(|line| !line.is_empty());
    let openings: Result<Vec<Opening>, _> =
        lines.map(|line| line.parse().map_err(|e: String| usage(e))).collect();
    let spec = ServiceSpec { firewall: Some(openings?), ..ServiceSpec::default() };
    apply(visit, ServicePath { app: target.app, service }, spec).await
}

/// Says something of one service; what is not said stays.
pub async fn apply(visit: &Visit, path: ServicePath, spec: ServiceSpec) -> Result<Accepted, Problem> {
    let ServicePath { app, service } = path;
    let spec = ApplicationSpec { services: [(service, spec)].into() };
    let door = format!("/v1/apps/{app}/apply");
    visit.post(&door, &ApplyRequest { app, spec, prune: false, delete_data: false, plan: None }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Result<VerbRequest, Problem> {
        let fields: serde_json::Map<_, _> =
            fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        serde_json::from_value::<VerbForm>(fields.into()).expect("a form").request()
    }

    #[test]
    fn forms_become_verbs() {
        let target: TargetPath = "shop/game".parse().expect("a target");
        let game = ("target", "shop/game");
        let hot = request(&[("verb", "activate"), game, ("release", "game@2"), ("hot", "on")]);
        assert_eq!(
            hot,
            Ok(VerbRequest::Activate { target: target.clone(), release: "game@2".into(), hot: true })
        );
        let moved = |to: &str| request(&[("verb", "failover"), game, ("to", to)]);
        assert_eq!(moved("2"), Ok(VerbRequest::Failover { target: target.clone(), to: Some(2) }));
        assert_eq!(moved(""), Ok(VerbRequest::Failover { target: target.clone(), to: None }));
        assert_eq!(moved("two").expect_err("no number").message, "\"two\" is not the number of a node");
        let step = request(&[("verb", "promote-step"), game]);
        assert_eq!(step, Ok(VerbRequest::Rollout { target, step: RolloutStep::PromoteStep }));
    }
}
