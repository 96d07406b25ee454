//! Which of three programs are we? It does nothing else.

fn main() {}
