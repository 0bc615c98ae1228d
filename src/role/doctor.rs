//! `lace doctor`: what this machine lacks, and how to mend it.

use crate::command::DoctorArgs;
use std::process::ExitCode;

/// Runs the command.
pub fn main(_args: DoctorArgs) -> ExitCode {
    let findings = lace_machine::Machine::preflight();
    let mut bad = false;
    for finding in &findings {
        let mark = match finding.level {
            lace_machine::Level::Good => "ok     ",
            lace_machine::Level::Warning => "warning",
            lace_machine::Level::Error => {
                bad = true;
                "problem"
            }
        };
        eprintln!("{mark}  {}: {}", finding.what, finding.value);
        if !finding.remedy.is_empty() {
            eprintln!("         {}", finding.remedy);
        }
    }
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
