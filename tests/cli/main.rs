//! The command line, in process against a fake controller.
