//! Rendering of templates within bounds: steps and bytes end, whatever a template says.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::io::{self, Write};

/// Largest rendered text, in bytes: a loop in a template ends here, not in the host's memory.
pub const RENDERED_BYTES_MAX: usize = 4 << 20;
/// Steps of one template at most.
const FUEL: u64 = 2_000_000;

/// Renders one text; its last line break stays, and a word that is not known is an error.
///
/// # Errors
/// A text that is no template; a word that `value` lacks; more steps or bytes than are allowed.
pub fn rendered(template: &str, value: Value) -> Result<String, Error> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    let mut text = Bounded(Vec::new());
    match engine.template_from_str(template)?.render_captured_to(value, &mut text) {
        Ok(_) => {}
        Err(_) if text.0.len() >= RENDERED_BYTES_MAX => {
            let why = format!("it becomes longer than {RENDERED_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::WriteFailure, why));
        }
        Err(error) => return Err(error),
    }
    String::from_utf8(text.0).map_err(|_| Error::new(ErrorKind::WriteFailure, "it is not UTF-8"))
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let takes = bytes.len().min(RENDERED_BYTES_MAX - self.0.len());
        if takes < bytes.len() {
            self.0.resize(RENDERED_BYTES_MAX, 0);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(takes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_ends_whatever_it_says() {
        let loops = "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}";
        assert!(rendered(loops, Value::UNDEFINED).unwrap_err().to_string().contains("fuel"), "steps");
        let long = "{% for i in range(100000) %}".to_owned() + &"x".repeat(1000) + "{% endfor %}";
        let error = rendered(&long, Value::UNDEFINED).unwrap_err().to_string();
        assert!(error.contains("longer than 4194304 bytes"), "{error}");
        assert_eq!(rendered("a{{ b }}\n", minijinja::context! { b => 1 }).unwrap(), "a1\n");
        assert!(rendered("{{ b }}", Value::UNDEFINED).is_err());
    }
}
