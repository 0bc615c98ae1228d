//! `lace open`: where a service is reached.

use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::route::RouteView;

/// `lace open`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  curl $(lace open shop/web)")]
pub struct OpenArgs {
    /// What shall be reached
    pub target: TargetPath,
}

/// Runs `lace open`.
pub async fn run(args: OpenArgs, s: &mut Session) -> Outcome {
    let routes = s.client()?.routes(Some(&args.target)).await?;
    let urls: Vec<&str> = routes.iter().filter_map(|route| route.url.as_deref()).collect();
    match (urls.first(), routes.is_empty()) {
        (Some(url), _) => s.out.line(url),
        (None, true) => {
            return Err(Problem::new(Code::NotFound, format!("{} has no port to come in by", args.target))
                .hint("give it a check with a port, or a route: lace route add TARGET HOST --port P"));
        }
        (None, false) => {
            return Err(Problem::new(Code::NotFound, "this installation has no door")
                .hint("start it with one: lace up --door 127.0.0.1:7480"));
        }
    }
    Ok(Exit::DONE)
}

/// Says to a person where things are reached; no word where that cannot be said.
pub async fn tell(s: &mut Session, target: Option<&TargetPath>) {
    let Ok(client) = s.client() else { return };
    let routes: Vec<RouteView> = client.routes(target).await.unwrap_or_default();
    for route in &routes {
        if let Some(url) = &route.url {
            let repair = if route.maintenance { " (maintenance)" } else { "" };
            s.out.note(format!("{} is at {url}{repair}", route.service));
        }
    }
}
