//! A browser: Debian's chromium behind chromedriver, spoken to by W3C WebDriver and, where that ends, by CDP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a page's state is waited for.
pub const WITHIN: Duration = Duration::from_secs(40);

/// The key of an element in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys in the words of WebDriver.
pub mod key {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
}

pub struct Browser {
    driver: Child,
    profile: tempfile::TempDir,
    url: String,
    session: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

impl Browser {
    /// A fresh browser with a profile of its own.
    pub fn start() -> Self {
        lace_wire::install_crypto();
        let profile = tempfile::Builder::new().prefix("lace-browser-").tempdir().expect("a directory");
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: scripts/install.sh --for test");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, profile, url, session: String::new(), runtime, client };
        browser.open_session();
        browser
    }

    fn open_session(&mut self) {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &profile,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let until = Instant::now() + WITHIN;
        let made = loop {
            match self.try_call("POST", "/session", &wanted) {
                Ok(made) => break made,
                Err(error) => assert!(Instant::now() < until, "chromedriver does not answer: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.session = format!("/session/{}", made["sessionId"].as_str().expect("a session"));
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = async { request.send().await?.json::<Value>().await };
        let mut answer = self.runtime.block_on(answer).map_err(|e| e.to_string())?;
        let value = answer["value"].take();
        match value.get("error") {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
            None => Ok(value),
        }
    }

    #[track_caller]
    fn call(&self, path: &str, body: Value) -> Value {
        let method = if body.is_null() { "GET" } else { "POST" };
        self.try_call(method, &format!("{}{path}", self.session), &body)
            .unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    #[track_caller]
    pub fn go(&self, url: &str) {
        self.call("/url", json!({"url": url}));
    }

    /// The value of a function's body.
    #[track_caller]
    pub fn js(&self, code: &str) -> Value {
        self.call("/execute/sync", json!({"script": code, "args": []}))
    }

    /// The value that a promise comes to.
    #[track_caller]
    pub fn js_later(&self, code: &str) -> Value {
        let code = format!(
            "const done = arguments[0]; (async () => {{ {code} }})().then(done, e => done(String(e)))"
        );
        self.call("/execute/async", json!({"script": code, "args": []}))
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    pub fn cdp(&self, command: &str, params: Value) -> Value {
        self.call("/goog/cdp/execute", json!({"cmd": command, "params": params}))
    }

    fn find(&self, css: &str) -> Result<String, String> {
        let asked = json!({"using": "css selector", "value": css});
        let found = self.try_call("POST", &format!("{}/element", self.session), &asked)?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| "no element".into())
    }

    /// Tries until it works: pages are swapped while a test looks at them.
    #[track_caller]
    fn at(&self, css: &str, act: impl Fn(&str) -> Result<Value, String>) -> Value {
        let until = Instant::now() + WITHIN;
        loop {
            match self.find(css).and_then(|id| act(&format!("{}/element/{id}", self.session))) {
                Ok(value) => return value,
                Err(error) => assert!(Instant::now() < until, "{css}: {error}\n{}", self.text()),
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    #[track_caller]
    pub fn click(&self, css: &str) {
        self.at(css, |element| self.try_call("POST", &format!("{element}/click"), &json!({})));
    }

    /// Types into an element, after what is there.
    #[track_caller]
    pub fn write(&self, css: &str, text: &str) {
        self.at(css, |element| self.try_call("POST", &format!("{element}/value"), &json!({"text": text})));
    }

    /// Replaces what is in a field.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        self.at(css, |element| self.try_call("POST", &format!("{element}/clear"), &json!({})));
        self.write(css, text);
    }

    /// Presses keys where the focus is.
    pub fn keys(&self, keys: &str) {
        let press = |key: char| {
            let key = key.to_string();
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        };
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.call("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    pub fn text(&self) -> String {
        self.js("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true, without reloading anything.
    #[track_caller]
    pub fn until(&self, what: &str, expression: &str) {
        let until = Instant::now() + WITHIN;
        while self.js(&format!("return Boolean({expression})")) != json!(true) {
            assert!(Instant::now() < until, "not within {WITHIN:?}: {what}\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page says something.
    #[track_caller]
    pub fn says(&self, words: &str) {
        let words = json!(words);
        self.until(&format!("the page says {words}"), &format!("document.body.innerText.includes({words})"));
    }

    /// What the console was told since it was last asked: policy violations, errors, failed loads.
    pub fn console(&self) -> Vec<String> {
        let lines = self.call("/se/log", json!({"type": "browser"}));
        let lines = lines.as_array().cloned().unwrap_or_default();
        let loud = lines.iter().filter(|l| l["level"] == "SEVERE" || l["level"] == "WARNING");
        loud.map(|l| l["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Size of the window as the page sees it.
    pub fn resize(&self, width: u32, height: u32, mobile: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.cdp("Emulation.setDeviceMetricsOverride", size);
    }

    pub fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.cdp("Emulation.setEmulatedMedia", media);
    }

    /// Keeps a picture of the whole page, as an artefact for people.
    pub fn picture(&self, dir: &Path, name: &str) {
        let shown = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.cdp("Page.captureScreenshot", shown);
        let bytes = STANDARD.decode(shot["data"].as_str().unwrap_or_default()).expect("a picture");
        std::fs::create_dir_all(dir).expect("a directory");
        std::fs::write(dir.join(format!("{name}.png")), bytes).expect("written");
    }

    /// The value of a cookie, with its attributes.
    pub fn cookie(&self, name: &str) -> Value {
        self.try_call("GET", &format!("{}/cookie/{name}", self.session), &Value::Null).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
