//! Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>.

use ring::{digest, hmac};
use std::fmt::Write;

/// What is signed: a POST or GET of path `/` without a query.
pub(super) struct Request<'a> {
    pub method: &'a str,
    /// Names in small letters, sorted, with their values trimmed.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

/// Who signs for what.
pub(super) struct Signer<'a> {
    pub id: &'a str,
    pub secret: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    /// As `20150830T123600Z`.
    pub time: &'a str,
}

impl Signer<'_> {
    /// The value of the header `authorization`.
    pub fn authorization(&self, request: &Request<'_>) -> String {
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let (names, scope) = (names.join(";"), self.scope());
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.time,
            sha256_hex(canonical(request, &names).as_bytes())
        );
        let signature = hex(keyed(self.key().as_ref(), &to_sign).as_ref());
        let id = self.id;
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    fn date(&self) -> &str {
        self.time.get(..8).unwrap_or(self.time)
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }

    fn key(&self) -> hmac::Tag {
        let first = keyed(format!("AWS4{}", self.secret).as_bytes(), self.date());
        [self.region, self.service, "aws4_request"].iter().fold(first, |key, text| keyed(key.as_ref(), text))
    }
}

fn canonical(request: &Request<'_>, names: &str) -> String {
    let mut text = format!("{}\n/\n\n", request.method);
    for (name, value) in request.headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("\n{names}\n{}", sha256_hex(request.body)));
    text
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// The digest of these bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let Ok(()) = write!(text, "{byte:02x}") else { unreachable!("writing to memory") };
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Request, Signer, hex};

    /// The credentials and the time of AWS's own test suite for signatures.
    fn example() -> Signer<'static> {
        Signer {
            id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "service",
            time: "20150830T123600Z",
        }
    }

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        let plain: &[(&str, &str)] = &[("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let form: &[(&str, &str)] = &[
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Headers, &[u8], &str); 3] = [
            ("GET", plain, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", plain, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "POST",
                form,
                b"Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (method, headers, body, signature) in cases {
            let said = example().authorization(&Request { method, headers, body });
            assert!(said.ends_with(&format!("Signature={signature}")), "{method}: {said}");
            assert!(said.contains("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, Signed"));
        }
    }

    #[test]
    fn keys_are_derived_as_in_the_published_example() {
        let iam = Signer { service: "iam", ..example() };
        let key = hex(iam.key().as_ref());
        assert_eq!(key, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}
