//! Ways in from outside.

use super::Client;
use crate::flow::FlowView;
use crate::route::RouteView;
use lace_model::{Problem, TargetPath};

impl Client {
    /// Ways in to everything, or to a target.
    ///
    /// # Errors
    /// What the controller says.
    pub async fn routes(&self, target: Option<&TargetPath>) -> Result<Vec<RouteView>, Problem> {
        self.ask(self.get(&["v1", "routes"]).query_some("target", target)).await
    }

    /// What doors carried lately, for everything or for a target.
    ///
    /// # Errors
    /// What the controller says.
    pub async fn flows(&self, target: Option<&TargetPath>) -> Result<Vec<FlowView>, Problem> {
        self.ask(self.get(&["v1", "flows"]).query_some("target", target)).await
    }
}
