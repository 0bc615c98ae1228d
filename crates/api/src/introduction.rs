//! Tells who serves a connection that somebody has shown on it who they are.

use std::sync::Arc;

/// Put into each request's extensions by who serves the connection; made by the guard.
#[derive(Clone)]
pub struct Introduction(Arc<dyn Fn() + Send + Sync>);

impl Introduction {
    /// One that tells `made`, each time.
    pub fn new(made: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(made))
    }

    /// A valid token or session came.
    pub fn made(&self) {
        (self.0)();
    }
}
