//! What the browser loads besides pages: our style, and the bundle that esbuild made, both inside the binary.
//!
//! The bundle's folder is not in the repository. A binary built without it has style and pages, and says so.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};
use std::fmt::Write;
use std::sync::LazyLock;

/// What esbuild made of `web/src` and the packages of the lock file.
#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Bundle;

/// Our own files that need no bundling.
#[derive(Embed)]
#[folder = "web/plain"]
struct Plain;

/// Is the browser's bundle in this binary?
pub fn is_bundled() -> bool {
    Bundle::get("app.js").is_some()
}

/// Changes with each file, so that browsers may keep what they have for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Bundle::iter().chain(Plain::iter()).collect();
    names.sort();
    let mut all = Vec::new();
    for name in names {
        all.extend(find(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    let digest = lace_model::Digest::of(&all);
    digest.0.iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
});

/// Where the browser finds a file.
pub fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

fn find(name: &str) -> Option<EmbeddedFile> {
    Bundle::get(name).or_else(|| Plain::get(name))
}

/// `GET /assets/{version}/{name}`.
pub async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(file) = find(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let keep = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, kind_of(&name)),
        (header::CACHE_CONTROL, keep),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
