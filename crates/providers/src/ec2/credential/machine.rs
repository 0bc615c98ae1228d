//! The role of the machine that we run on (instance metadata, version 2).
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>.

use super::Credentials;
use serde::Deserialize;
use std::time::Duration;

/// Where it is told, on every machine of EC2.
pub(super) const USUAL: &str = "http://169.254.169.254";
/// Elsewhere nothing answers there: who asks does not wait longer, for all questions together.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const ROLES: &str = "latest/meta-data/iam/security-credentials/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: jiff::Timestamp,
}

/// Asks the machine for its role's credentials. Errors in words.
pub(super) async fn ask(http: &reqwest::Client, at: &str) -> Result<Credentials, String> {
    match tokio::time::timeout(ANSWER_WITHIN, told(http, at)).await {
        Ok(told) => told,
        Err(_) => {
            Err("this machine has no role at EC2 (its metadata did not answer within a second)".to_owned())
        }
    }
}

async fn told(http: &reqwest::Client, at: &str) -> Result<Credentials, String> {
    let session =
        http.put(format!("{at}/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let session = text(session).await?;
    let get =
        |path: String| http.get(format!("{at}/{path}")).header("x-aws-ec2-metadata-token", session.trim());
    let role = text(get(ROLES.to_owned())).await?;
    let role = role.lines().next().unwrap_or_default().trim();
    let credentials = text(get(format!("{ROLES}{role}"))).await?;
    let told: Told = serde_json::from_str(&credentials)
        .map_err(|_| format!("what this machine tells of its role {role} cannot be read"))?;
    Ok(Credentials {
        id: told.access_key_id,
        secret: told.secret_access_key,
        token: Some(told.token),
        ends: Some(told.expiration.into()),
        source: "machine",
    })
}

async fn text(request: reqwest::RequestBuilder) -> Result<String, String> {
    let lost = |_| "this machine has no role at EC2 (its metadata does not answer)".to_owned();
    let mut answer = request.send().await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(format!(
            "this machine has no role at EC2 (its metadata answers {})",
            answer.status().as_u16()
        ));
    }
    let mut whole = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        if whole.len() + part.len() > ANSWER_BYTES_MAX {
            return Err("what this machine tells of its role is too long".to_owned());
        }
        whole.extend_from_slice(&part);
    }
    String::from_utf8(whole).map_err(|_| "what this machine tells of its role is no text".to_owned())
}
