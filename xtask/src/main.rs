//! Developer chores. `cargo xtask world` runs the simulated world; `cargo xtask tidy` holds the tree against
//! architecture.toml; the same check is a test, so that nextest runs it.
#![allow(clippy::print_stdout)]

mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy | cargo xtask world [--seeds N] [--seed FIRST]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy_the_tree(),
        ["world", ref words @ ..] => world(words),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs the simulated world, which is no part of this program: it needs the whole controller.
fn world(words: &[&str]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ran = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--locked", "--package", "lace-world", "--"])
        .args(words)
        .current_dir(root())
        .status();
    match ran {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo: {error}");
            ExitCode::from(2)
        }
    }
}

fn tidy_the_tree() -> ExitCode {
    let report = match tidy::check(&root()) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("tidy: {error}");
            return ExitCode::from(2);
        }
    };
    print!("{report}");
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The repository this program was built from.
fn root() -> std::path::PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let report = super::tidy::check(&super::root()).unwrap();
        assert!(report.is_clean(), "\n{report}");
    }
}
