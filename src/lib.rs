//! Longwire.
